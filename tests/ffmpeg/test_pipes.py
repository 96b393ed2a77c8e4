from __future__ import annotations

import asyncio
import fcntl
import os

import pytest

from media_service.ffmpeg.pipes import PIPE_BYTES, Drain, Pipe
from tests.ffmpeg.loops import LOOPS, run_on

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def test_everything_written_comes_out_in_order(loop: str) -> None:
    sent = os.urandom(3 * PIPE_BYTES + 17)

    async def story() -> bytes:
        with Pipe() as pipe:
            writing = asyncio.to_thread(_write_all, pipe, sent)
            received, _ = await asyncio.gather(pipe.read_all(), writing)
            assert pipe.received == len(sent)
            assert pipe.ended
            return received

    assert run_on(loop, story()) == sent


def test_what_nobody_reads_stays_with_the_writer(loop: str) -> None:
    async def story() -> None:
        with Pipe() as pipe:
            os.set_blocking(pipe.write_fd, False)
            written = os.write(pipe.write_fd, bytes(2 * PIPE_BYTES))
            await asyncio.sleep(0)
            assert written == fcntl.fcntl(pipe.write_fd, fcntl.F_GETPIPE_SZ)
            assert pipe.received == 0

    run_on(loop, story())


def test_a_reader_that_waits_can_be_cancelled_and_another_goes_on(loop: str) -> None:
    async def story() -> None:
        with Pipe() as pipe:
            reading = asyncio.ensure_future(pipe.read())
            waits = [pipe.waiting]
            await asyncio.sleep(0)
            waits.append(pipe.waiting)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert [*waits, pipe.waiting] == [False, True, False]
            os.write(pipe.write_fd, b"later")
            assert await pipe.read() == b"later"

    run_on(loop, story())


def test_closing_shows_a_waiting_reader_the_end(loop: str) -> None:
    async def story() -> None:
        pipe = Pipe()
        reading = asyncio.ensure_future(pipe.read())
        await asyncio.sleep(0)
        pipe.close()
        pipe.close()
        assert await reading == b""
        assert await pipe.read() == b""

    run_on(loop, story())


def test_two_readers_at_once_are_a_mistake(loop: str) -> None:
    async def story() -> None:
        with Pipe() as pipe:
            reading = asyncio.ensure_future(pipe.read())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="one reader"):
                await pipe.read()
            pipe.close_write()
            assert await reading == b""

    run_on(loop, story())


def test_a_drain_takes_what_comes_and_what_is_left(loop: str) -> None:
    async def story() -> None:
        taken: list[bytes] = []
        come = asyncio.Event()

        def take(data: bytes) -> None:
            taken.append(data)
            come.set()

        with Pipe() as pipe:
            drain = Drain(pipe, take)
            os.write(pipe.write_fd, b"one ")
            await come.wait()
            os.write(pipe.write_fd, b"two")
            drain.finish()
            assert b"".join(taken) == b"one two"
            assert pipe.ended

    run_on(loop, story())


def test_a_user_without_pipe_memory_left_gets_smaller_pipes(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, command: int, size: int) -> int:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", refuse)

    async def story() -> bytes:
        with Pipe() as pipe:
            os.write(pipe.write_fd, b"works")
            pipe.close_write()
            return await pipe.read_all()

    assert run_on(loop, story()) == b"works"


def _write_all(pipe: Pipe, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe.write_fd, rest[:100_000]) :]
    pipe.close_write()
