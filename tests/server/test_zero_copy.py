"""Sending files on a socket, as far as it goes at once and then when there is room again."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from media_service.server import zero_copy
from media_service.server.writable import Writable
from media_service.server.zero_copy import PAGE_BYTES, PROBED_BYTES, TURN_BYTES, ClientGone, FileEnded, Sender


class Transport(asyncio.BaseTransport):
    """Shows its socket."""

    def __init__(self, shown: socket.socket) -> None:
        super().__init__()
        self._shown = shown

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket."""
        return self._shown if name == "socket" else default


class Line:
    """A sender and its client."""

    def __init__(self, sender: Sender, client: socket.socket) -> None:
        self.sender = sender
        self.client = client

    async def read(self, count: int) -> bytes:
        """What the client gets."""
        loop = asyncio.get_running_loop()
        data = bytearray()
        while len(data) < count and (more := await loop.sock_recv(self.client, 1 << 18)):
            data += more
        return bytes(data)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A line of TCP, and a sender at one of its ends."""
    loop = asyncio.get_running_loop()
    writable = Writable(loop)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        client.setblocking(False)
        accepted, _ = listening.accept()
    accepted.setblocking(False)
    with client, accepted:
        sender = Sender(Transport(accepted), writable, loop)
        yield Line(sender, client)
        sender.close()
    writable.close()


async def test_what_fits_goes_at_once(line: Line, film: int, content: bytes) -> None:
    assert line.sender.begin(b"held", film, 5, 1000)
    assert line.sender.begin(b"", film, 0, 10)
    assert line.sender.begin(b"only held", film, 0, 0)
    assert not line.sender.waits
    wanted = b"held" + content[5:1005] + content[:10] + b"only held"
    assert await line.read(len(wanted)) == wanted


@pytest.fixture
def begun_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where in the file each sendfile(2) of a test begins."""
    begun: list[int] = []
    real = os.sendfile

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        begun.append(offset)
        return real(out, file, offset, count)

    monkeypatch.setattr(os, "sendfile", sendfile)
    return begun


@pytest.mark.parametrize("start", [0, 1, PAGE_BYTES - 1, PAGE_BYTES, 5 * PAGE_BYTES + 7])
async def test_what_is_before_a_page_goes_with_the_head(
    line: Line, film: int, content: bytes, begun_at: list[int], start: int
) -> None:
    head = b"h" * (PAGE_BYTES - start % 7)
    assert line.sender.begin(head, film, start, 70_000)
    assert await line.read(len(head) + 70_000) == head + content[start : start + 70_000]
    assert begun_at == [-(-start // PAGE_BYTES) * PAGE_BYTES]


@pytest.mark.parametrize(
    "wish", [(b"", 70_000), (b"h" * (PAGE_BYTES + 1), 70_000), (b"head", PAGE_BYTES - 10), (b"head", 5)]
)
async def test_nothing_is_copied_without_a_head_for_one_that_is_large_or_of_a_page(
    line: Line, film: int, content: bytes, begun_at: list[int], wish: tuple[bytes, int]
) -> None:
    head, count = wish
    assert line.sender.begin(head, film, 10, count)
    assert await line.read(len(head) + count) == head + content[10 : 10 + count]
    assert begun_at == [10]


async def test_what_is_before_a_page_and_not_in_memory_is_not_waited_for(
    line: Line, film: int, content: bytes, begun_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.preadv

    def cold(file: int, buffers: Any, offset: int, flags: int = 0) -> int:
        if offset == 10:
            raise BlockingIOError(errno.EAGAIN, "not in memory")
        return real(file, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", cold)
    assert line.sender.begin(b"head", film, 10, 60_000)
    assert await line.read(60_004) == b"head" + content[10:60_010]
    assert begun_at == [10]


async def test_a_file_that_ends_before_a_page_does_is_noticed(line: Line, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"0123456789")
    with (tmp_path / "film").open("rb") as file, pytest.raises(FileEnded):
        line.sender.begin(b"head", file.fileno(), 1, 2 * PAGE_BYTES)


async def test_what_does_not_fit_goes_when_there_is_room(line: Line, film: int, content: bytes) -> None:
    held = os.urandom(6 << 20)
    assert not line.sender.begin(held, film, 1, len(content) - 1)
    rest = asyncio.create_task(line.sender.rest())
    await asyncio.sleep(0.01)
    assert line.sender.waits
    assert await line.read(len(held) + len(content) - 1) == held + content[1:]
    await rest
    assert line.sender.sent == len(content) - 1
    assert not line.sender.waits


async def test_files_of_one_turn_have_its_room_together(line: Line, film: int) -> None:
    line.sender.room = 100
    assert line.sender.begin(b"", film, 0, 60)
    assert not line.sender.begin(b"", film, 0, 60)
    await line.sender.rest()
    assert line.sender.room == TURN_BYTES - 20
    assert len(await line.read(120)) == 120


@pytest.mark.parametrize("first_cold", [0, PROBED_BYTES])
async def test_what_is_not_in_memory_is_read_by_a_thread_first(
    line: Line, film: int, content: bytes, first_cold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int]] = []
    real, really_read = os.preadv, zero_copy._read

    def cold(file: int, buffers: Any, offset: int, flags: int = 0) -> int:
        if flags and offset >= first_cold:
            raise BlockingIOError(errno.EAGAIN, "not in memory")
        return real(file, buffers, offset, flags)

    def reads(file: int, start: int, stop: int) -> None:
        read.append((start, stop))
        really_read(file, start, stop)

    monkeypatch.setattr(os, "preadv", cold)
    monkeypatch.setattr(zero_copy, "_read", reads)
    size = 2 * PROBED_BYTES + 5
    assert not line.sender.begin(b"", film, 0, size)
    sending = asyncio.create_task(line.sender.rest())
    assert await line.read(size) == content[:size]
    await sending
    pieces = [(at, min(at + PROBED_BYTES, size)) for at in range(0, size, PROBED_BYTES)]
    assert read == pieces[first_cold // PROBED_BYTES :]


async def test_who_goes_while_a_thread_reads_is_noticed(
    line: Line, film: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cold(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "not in memory")

    monkeypatch.setattr(os, "preadv", cold)
    reading, gone = threading.Event(), threading.Event()

    def reads(*_: object) -> None:
        reading.set()
        gone.wait(10)

    monkeypatch.setattr(zero_copy, "_read", reads)
    assert not line.sender.begin(b"", film, 0, 1000)
    sending = asyncio.create_task(line.sender.rest())
    await asyncio.to_thread(reading.wait, 10)
    line.sender.close()
    gone.set()
    with pytest.raises(ClientGone):
        await sending
    with pytest.raises(ClientGone):
        await line.sender.rest()


async def test_a_thread_reads_on_a_descriptor_of_its_own(
    line: Line, film: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cold(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "not in memory")

    monkeypatch.setattr(os, "preadv", cold)
    threads = ThreadPoolExecutor(1, "its own")
    monkeypatch.setattr(zero_copy, "_THREADS", threads)
    reading, closed = threading.Event(), threading.Event()
    read: list[tuple[str, int, os.stat_result]] = []

    def reads(file: int, *_: int) -> None:
        reading.set()
        closed.wait(10)
        read.append((threading.current_thread().name, file, os.fstat(file)))

    monkeypatch.setattr(zero_copy, "_read", reads)
    one = os.dup(film)
    assert not line.sender.begin(b"", one, 0, 1000)
    sending = asyncio.create_task(line.sender.rest())
    await asyncio.to_thread(reading.wait, 10)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    os.close(one)  # as who opened it does when the response has ended
    closed.set()
    await asyncio.to_thread(threads.shutdown)
    [(thread, own, status)] = read
    assert thread.startswith("its own")  # the loop's threads are for uploads
    assert os.path.samestat(status, os.fstat(film))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(own)


async def test_without_a_descriptor_for_the_thread_one_response_ends(
    line: Line, film: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    def cold(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "not in memory")

    monkeypatch.setattr(os, "preadv", cold)
    monkeypatch.setattr(os, "dup", none_left)
    assert not line.sender.begin(b"", film, 0, 1000)
    with pytest.raises(ClientGone):
        await line.sender.rest()
    assert "broken off: Too many open files" in caplog.text


async def test_a_file_that_cannot_be_read_ahead_is_not_the_threads_trouble(
    film: int, caplog: pytest.LogCaptureFixture
) -> None:
    zero_copy._read(1 << 20, 0, 100)
    assert "cannot be read ahead" in caplog.text
    zero_copy._read(film, 1 << 40, (1 << 40) + 5)  # behind its end: nothing to read


async def test_a_file_in_memory_needs_no_look(line: Line) -> None:
    memory = os.memfd_create("film")
    os.write(memory, b"0123456789" * 100_000)
    assert line.sender.begin(b"", memory, 10, 70_000)
    assert await line.read(70_000) == b"0123456789" * 7_000
    os.close(memory)


async def test_a_file_that_ends_too_early_is_told(line: Line, tmp_path: Any) -> None:
    (tmp_path / "short").write_bytes(b"12345")
    short = os.open(tmp_path / "short", os.O_RDONLY)
    line.sender.begin(b"", short, 0, 8)
    with pytest.raises(FileEnded, match="3 bytes"):
        await line.sender.rest()
    os.close(short)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EPIPE, ClientGone),
        (errno.ECONNRESET, ClientGone),
        (errno.ETIMEDOUT, ClientGone),
        (errno.EHOSTUNREACH, ClientGone),
        (errno.EIO, OSError),
        (errno.EBADF, OSError),
    ],
)
async def test_what_is_wrong_with_the_line_is_a_client_that_has_gone(
    line: Line, film: int, number: int, error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", fails)
    with pytest.raises(error, check=lambda raised: type(raised) is error):
        line.sender.begin(b"", film, 0, 8)


async def test_who_waits_is_told_that_the_client_has_gone(line: Line, film: int, content: bytes) -> None:
    assert not line.sender.begin(b"", film, 0, len(content))
    sending = asyncio.create_task(line.sender.rest())
    await asyncio.sleep(0)
    line.client.close()  # with bytes unread: a reset
    with pytest.raises(ClientGone):
        await sending
    with pytest.raises(ClientGone):
        line.sender.begin(b"", film, 0, 8)


async def test_who_gives_up_waiting_is_not_called_any_more(line: Line, film: int, content: bytes) -> None:
    assert not line.sender.begin(b"", film, 0, len(content))
    sending = asyncio.create_task(line.sender.rest())
    await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    sent = line.sender.sent
    await line.read(sent)
    await asyncio.sleep(0.01)
    assert line.sender.sent == sent
