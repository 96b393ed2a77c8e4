"""Real children, on both loops: that they end well, and that in no other case anything of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from media_service import errors
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.progress import Progress
from tests.ffmpeg.loops import LOOPS, run_on
from tests.support.processes import Process, look_up, still_running, wait_until

LIMITS = Limits(memory_bytes=4 << 30)
ENDLESS = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=1000"]
on_both_loops = pytest.mark.parametrize("loop", LOOPS)


def known(pid: int) -> Process:
    found = look_up(pid)
    assert found is not None
    return found


def gone(process: Process) -> bool:
    """Not even a zombie is left."""
    now = look_up(process.pid)
    return now is None or now.started != process.started


@on_both_loops
def test_output_is_whole_when_the_block_is_left(loop: str) -> None:
    async def story() -> tuple[bytes, int | None]:
        with Pipe() as out:
            async with start(["seq", "200000"], limits=LIMITS, stdout=out) as process:
                text = await out.read_all()
            return text, process.returncode

    text, code = run_on(loop, story())
    assert code == 0
    assert text.splitlines() == [b"%d" % number for number in range(1, 200_001)]


@on_both_loops
def test_a_child_inherits_what_it_was_given_and_nothing_else(loop: str, tmp_path: Path) -> None:
    async def story() -> list[bytes]:
        with (tmp_path / "given").open("wb") as given, (tmp_path / "kept").open("wb") as kept:
            os.set_inheritable(kept.fileno(), True)
            with Pipe() as out, Pipe() as extra:
                # By number: the fence lets it look into no directory, but say where its own descriptors lead.
                argv = ["sh", "-c", "readlink $(seq -f /proc/self/fd/%g 0 63) || true"]
                fds = (given.fileno(),)
                async with start(argv, limits=LIMITS, pass_fds=fds, outputs=(extra,), stdout=out):
                    listing, nothing = await asyncio.gather(out.read_all(), extra.read_all())
                assert nothing == b""
                return listing.splitlines()

    targets = run_on(loop, story())
    assert any(target.endswith(b"/given") for target in targets)
    assert not any(target.endswith(b"/kept") for target in targets)
    pipes = {target for target in targets if target.startswith(b"pipe:")}
    assert len(pipes) == 3  # stdout, stderr, and the extra one: no end that belongs to us


@on_both_loops
def test_a_failure_is_told_with_the_last_words(loop: str) -> None:
    async def story() -> None:
        argv = ["sh", "-c", "echo first >&2; echo the reason >&2; exit 3"]
        async with start(argv, limits=LIMITS):
            pass

    with pytest.raises(errors.TranscodeFailed, match="ended with status 3: the reason"):
        run_on(loop, story())


@on_both_loops
def test_a_program_that_is_missing_is_a_failure(loop: str) -> None:
    async def story() -> None:
        async with start(["no-such-program"], limits=LIMITS):
            pass

    with pytest.raises(errors.TranscodeFailed, match="no-such-program"):
        run_on(loop, story())


@on_both_loops
def test_only_the_end_of_a_flood_of_words_is_kept(loop: str) -> None:
    async def story() -> str:
        argv = ["sh", "-c", "seq 300000 >&2"]
        async with start(argv, limits=LIMITS) as process:
            await process.wait()
        return process.stderr

    words = run_on(loop, story())
    assert words.endswith("299999\n300000\n")
    assert len(words) <= 8192


@on_both_loops
def test_a_kill_from_outside_is_named(loop: str) -> None:
    async def story() -> None:
        async with start(["sleep", "60"], limits=LIMITS) as process:
            os.kill(process.pid, signal.SIGTERM)
            await process.wait()

    with pytest.raises(errors.TranscodeFailed, match="SIGTERM"):
        run_on(loop, story())


@on_both_loops
def test_cancelling_kills_the_child_and_its_children(loop: str) -> None:
    async def story() -> tuple[Process, Process]:
        family: asyncio.Future[tuple[Process, Process]] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            with Pipe() as out:
                argv = ["sh", "-c", "sleep 60 & echo $!; exec sleep 61"]
                async with start(argv, limits=LIMITS, stdout=out) as process:
                    family.set_result((known(process.pid), known(int(await out.read()))))
                    await out.read()

        running = asyncio.create_task(run())
        both = await family
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert gone(both[0]), "reaped when the block is left"
        return both

    _, grandchild = run_on(loop, story())
    wait_until(lambda: not still_running(grandchild), 2.0, "the grandchild ends")


@on_both_loops
def test_cancelling_twice_still_reaps(loop: str) -> None:
    async def story() -> None:
        began: asyncio.Future[Process] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            async with start([*ENDLESS, "-f", "null", "-"], limits=LIMITS) as process:
                began.set_result(known(process.pid))
                await process.wait()

        running = asyncio.create_task(run())
        child = await began
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        # Nobody is told of the end, for whoever waited is cancelled: look. It is gone from the process table, not a zombie.
        await asyncio.to_thread(wait_until, lambda: gone(child), 2.0, "it is reaped")

    run_on(loop, story())


@on_both_loops
def test_an_error_in_the_block_kills_and_goes_through(loop: str) -> None:
    async def story() -> None:
        with Pipe() as out:
            argv = [*ENDLESS, "-f", "rawvideo", f"pipe:{out.write_fd}"]
            async with start(argv, limits=LIMITS, outputs=(out,)):
                await out.read()
                raise errors.StorageFull("no room")

    with pytest.raises(errors.StorageFull):
        run_on(loop, story())


@on_both_loops
def test_leaving_early_ends_a_child_that_still_writes(loop: str) -> None:
    async def story() -> None:
        with Pipe() as out:
            argv = [*ENDLESS, "-f", "rawvideo", f"pipe:{out.write_fd}"]
            async with start(argv, limits=LIMITS, outputs=(out,)):
                await out.read()

    with pytest.raises(errors.TranscodeFailed):
        run_on(loop, story())


@on_both_loops
def test_the_wall_clock_ends_a_run(loop: str) -> None:
    limits = Limits(wall_seconds=0.5)

    async def story() -> None:
        with Pipe() as out:
            argv = [*ENDLESS, "-f", "rawvideo", f"pipe:{out.write_fd}"]
            async with start(argv, limits=limits, outputs=(out,)):
                async for _ in out:
                    pass

    with pytest.raises(errors.TranscodeTooLong):
        run_on(loop, story())


@on_both_loops
def test_a_run_without_progress_is_stalled(loop: str) -> None:
    async def story() -> None:
        with Pipe() as out:
            async with start(["sleep", "60"], limits=Limits(stall_seconds=0.5), stdout=out):
                await out.read_all()

    with pytest.raises(errors.TranscodeStalled):
        run_on(loop, story())


@on_both_loops
def test_a_stopped_child_is_stalled_and_killed(loop: str) -> None:
    async def story() -> None:
        with Pipe() as out:
            argv = [*ENDLESS, "-f", "rawvideo", f"pipe:{out.write_fd}"]
            async with start(argv, limits=Limits(stall_seconds=0.5), outputs=(out,)) as process:
                await out.read()
                os.kill(process.pid, signal.SIGSTOP)
                async for _ in out:
                    pass

    with pytest.raises(errors.TranscodeStalled):
        run_on(loop, story())


@on_both_loops
def test_a_paused_child_stands_still_and_no_watchdog_counts_that(loop: str) -> None:
    limits = Limits(stall_seconds=0.6, wall_seconds=3.0)

    async def story() -> tuple[str, bytes]:
        with Pipe() as out:
            argv = ["sh", "-c", "sleep 0.3; echo done"]
            async with start(argv, limits=limits, stdout=out) as process:
                process.pause()
                process.pause()
                await asyncio.sleep(3.5)  # longer than it may stall, and than it may last in all
                state = known(process.pid).state
                process.resume()
                process.resume()
                return state, await out.read_all()

    state, said = run_on(loop, story())
    assert state in {
        "T",
        "D",
    }  # D: stopped while it waits for a child of its own, just made, that is stopped too (vfork)
    assert said == b"done\n"


@on_both_loops
def test_the_watchdogs_go_on_after_a_pause(loop: str) -> None:
    async def story() -> None:
        with Pipe() as out:
            async with start(["sleep", "60"], limits=Limits(stall_seconds=0.5), stdout=out) as process:
                process.pause()
                process.resume()
                await out.read_all()

    with pytest.raises(errors.TranscodeStalled):
        run_on(loop, story())


@on_both_loops
def test_a_paused_child_can_be_killed(loop: str) -> None:
    codes = []

    async def story() -> None:
        async with start(["sleep", "60"], limits=LIMITS) as process:
            process.pause()
            process.kill()
            codes.append(await process.wait())
            process.pause()
            process.resume()

    with pytest.raises(errors.ConverterKilled):
        run_on(loop, story())
    assert codes == [-signal.SIGKILL]


@on_both_loops
def test_a_slow_reader_is_not_the_childs_stall(loop: str) -> None:
    async def story() -> int:
        with Pipe() as out:
            argv = ["head", "-c", "3000000", "/dev/zero"]
            async with start(argv, limits=Limits(stall_seconds=0.6), stdout=out) as process:
                first = len(await out.read())
                await asyncio.sleep(1.8)  # three times what it may stall: a store that is slow
                rest = len(await out.read_all())
            assert process.returncode == 0
            return first + rest

    assert run_on(loop, story()) == 3_000_000


@on_both_loops
def test_more_bytes_than_allowed_end_a_run(loop: str) -> None:
    async def story() -> int:
        with Pipe() as out:
            limits = Limits(output_bytes=1_000_000)
            try:
                async with start(["cat", "/dev/zero"], limits=limits, stdout=out):
                    async for _ in out:
                        pass
            finally:
                received = out.received
                assert received < 4_000_000
        return received

    with pytest.raises(errors.TranscodeTooLong, match="bytes"):
        run_on(loop, story())


@on_both_loops
def test_more_processor_time_than_allowed_ends_a_run(loop: str) -> None:
    async def story() -> None:
        argv = ["sh", "-c", "while :; do :; done"]
        async with start(argv, limits=Limits(cpu_seconds=1)):
            pass

    with pytest.raises(errors.TranscodeTooLong, match="processor"):
        run_on(loop, story())


@on_both_loops
def test_progress_is_told_as_it_goes(loop: str) -> None:
    async def story() -> tuple[list[Progress], Progress]:
        told: list[Progress] = []
        with Pipe() as progress:
            argv = [
                *(
                    "ffmpeg",
                    "-nostdin",
                    "-v",
                    "error",
                    "-re",
                    "-f",
                    "lavfi",
                    "-i",
                    "testsrc2=s=64x64:r=25:d=1.2",
                ),
                *("-stats_period", "0.2", "-progress", f"pipe:{progress.write_fd}", "-f", "null", "-"),
            ]
            async with start(argv, limits=LIMITS, progress=progress, on_progress=told.append) as process:
                pass
        return told, process.progress

    told, last = run_on(loop, story())
    assert len(told) >= 3
    assert [report.frame for report in told] == sorted(report.frame for report in told)
    assert last == told[-1]
    assert (last.frame, last.out_seconds, last.finished) == (30, 1.2, True)


@on_both_loops
def test_killing_after_the_end_hits_nobody(loop: str) -> None:
    async def story() -> None:
        async with start(["true"], limits=LIMITS) as process:
            await process.wait()
            process.kill()
        process.kill()

    run_on(loop, story())


PARENT = """
import asyncio, sys
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start

async def main():
    with Pipe() as out:
        argv = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25",
                "-f", "rawvideo", f"pipe:{out.write_fd}"]
        async with start(argv, limits=Limits(), outputs=(out,)) as process:
            await out.read()
            print(process.pid, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_parent_killed_outright_takes_its_child_along() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            child = known(int(parent.stdout.readline()))
            assert child.parent == parent.pid
        finally:
            parent.kill()
    wait_until(lambda: not still_running(child), 2.0, "ffmpeg dies with its parent")


def test_without_a_pidfd_the_child_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(pid: int) -> int:
        raise OSError(24, "EMFILE")

    monkeypatch.setattr(os, "pidfd_open", none_left)

    async def story() -> None:
        async with start(["sleep", "60"], limits=LIMITS):
            pass

    with pytest.raises(OSError, match="EMFILE"):
        run_on("asyncio", story())
