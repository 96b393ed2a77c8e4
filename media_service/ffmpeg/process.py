"""Runs one ffmpeg or ffprobe: fenced, watched, and gone without a trace when the block is left.

    with Pipe() as video, Pipe() as progress:
        argv = recipes.video_run(facts, source_fd=fd, renditions=[(rendition, video.write_fd)], progress_fd=progress.write_fd, ...)
        async with start(argv, limits=limits, pass_fds=(fd,), outputs=(video,), progress=progress) as process:
            async for chunk in video:
                ...

The child is known by a pidfd on the event loop and reaped by us alone: no watcher threads, no signal handlers, the same on
asyncio and uvloop, and no moment in which a kill could hit a process that only inherited the number. Until it is reaped its
process group exists, so the group is killed first, always.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from media_service import errors
from media_service.ffmpeg.fence import Limits, cpu_seconds
from media_service.ffmpeg.pipes import Drain, Pipe
from media_service.ffmpeg.progress import Progress, ProgressParser
from media_service.ffmpeg.spawning import Child, spawn

STDERR_BYTES = 8 << 10  # the end of it says why it failed; a hostile file can make ffmpeg write gigabytes
QUOTED_CHARACTERS = 200  # of ffmpeg's own words in a sentence for a person
WATCH_SECONDS = 0.5  # between two looks of the watchdogs; ffmpeg reports progress as often


class Process:
    """A running child. Made by `start`."""

    def __init__(
        self,
        child: Child,
        pidfd: int,
        *,
        limits: Limits,
        outputs: Sequence[Pipe],
        progress: Pipe | None,
        stderr: Pipe,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._child = child
        self._limits = limits
        self._outputs = outputs
        self._on_progress = on_progress
        self._parser = ProgressParser()
        self._stderr = bytearray()
        self._verdict: errors.TranscodeFailed | None = None  # why a watchdog ended it
        self._received = 0
        self.progress = Progress()
        self.returncode: int | None = None  # negative: the signal that ended it
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._started = self._alive_at = self._loop.time()
        self._paused_at: float | None = None
        self._pidfd = pidfd
        self._loop.add_reader(self._pidfd, self._reap)
        self._drains = [Drain(stderr, self._said)]
        if progress is not None:
            self._drains.append(Drain(progress, self._reported))
        for pipe in outputs:
            pipe.on_read = self._read
        self._timer = self._loop.call_later(WATCH_SECONDS, self._watch)

    @property
    def pid(self) -> int:
        """The child's process id, which is also its process group's."""
        return self._child.popen.pid

    @property
    def stderr(self) -> str:
        """The last 8 KB that it said, for the log."""
        return self._stderr.decode(errors="replace")

    def kill(self) -> None:
        """End it and all its children now (SIGKILL to the process group). May be called at any time."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Let it and its children stand still (SIGSTOP to the process group) until `resume`; no watchdog counts that time.

        Whoever pauses it resumes or kills it: by itself it never ends any more.
        """
        if self._paused_at is None and self._signal(signal.SIGSTOP):
            self._paused_at = self._loop.time()

    def resume(self) -> None:
        """Let it go on where it was paused."""
        if self._paused_at is not None and self._signal(signal.SIGCONT):
            paused = self._loop.time() - self._paused_at
            self._paused_at = None
            self._started += paused
            self._alive_at += paused

    def _signal(self, number: signal.Signals) -> bool:
        """Whether it was still there to be told."""
        if self.returncode is not None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(self._child.popen.pid, number)
            return True
        return False

    async def wait(self) -> int:
        """Its exit status, once it has ended by itself or otherwise; negative: a signal's number."""
        await asyncio.shield(self._exited)
        assert self.returncode is not None
        return self.returncode

    async def finish(self) -> None:
        """Wait for a good end.

        Raises TranscodeStalled, TranscodeTooLong (wall clock, CPU, bytes), or TranscodeFailed for any other end. The
        output is whole only after this; exit status 0 alone still proves nothing about what is in it.
        """
        code = await self.wait()
        if self._verdict is not None:
            raise self._verdict
        if code == 0:
            return
        if code == -signal.SIGKILL:
            raise errors.ConverterKilled("Something outside ended it, most likely for want of memory.")
        raise errors.TranscodeFailed(_failure(code, self.stderr))

    def _reap(self) -> None:
        """The pidfd became readable: the child is a zombie now, and its number is still ours."""
        self.kill()  # what it may have left of its group
        self.returncode = self._child.reap()
        self._timer.cancel()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        for drain in self._drains:
            drain.finish()
        self._exited.set_result(None)

    # --- what it tells ---------------------------------------------------------------------------------------

    def _said(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-STDERR_BYTES]

    def _reported(self, data: bytes) -> None:
        for report in self._parser.feed(data):
            if (report.frame, report.out_seconds) != (self.progress.frame, self.progress.out_seconds):
                self._alive_at = self._loop.time()
            self.progress = report
            if self._on_progress is not None:
                self._on_progress(report)

    def _read(self, size: int) -> None:
        self._alive_at = self._loop.time()
        self._received += size
        if self._received > self._limits.output_bytes:
            self._condemn(errors.TranscodeTooLong("It made more bytes than the limit allows."))

    # --- the watchdogs ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        now = self._loop.time() if self._paused_at is None else self._paused_at
        if any(not (pipe.ended or pipe.waiting) for pipe in self._outputs):
            self._alive_at = now  # it is we who are slow: its output waits for a reader
        if now - self._started > self._limits.wall_seconds:
            self._condemn(
                errors.TranscodeTooLong(f"It was not done after {self._limits.wall_seconds:.0f} s.")
            )
        elif cpu_seconds(self._child.popen.pid) > self._limits.cpu_seconds:
            self._condemn(
                errors.TranscodeTooLong(f"It used {self._limits.cpu_seconds:.0f} s of processor time.")
            )
        elif now - self._alive_at > self._limits.stall_seconds:
            self._condemn(
                errors.TranscodeStalled(f"It made no progress for {self._limits.stall_seconds:.0f} s.")
            )
        self._timer = self._loop.call_later(WATCH_SECONDS, self._watch)

    def _condemn(self, verdict: errors.TranscodeFailed) -> None:
        if self._verdict is None:
            self._verdict = verdict
            self.kill()


@asynccontextmanager
async def start(
    argv: Sequence[str],
    *,
    limits: Limits,
    pass_fds: Sequence[int] = (),
    outputs: Sequence[Pipe] = (),
    stdout: Pipe | None = None,
    progress: Pipe | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncIterator[Process]:
    """Run `argv` behind the fence; it inherits `pass_fds`, the only files that it may open (to read, by /proc/self/fd), and
    the write ends of the pipes.

    `outputs` (and `stdout`, which also becomes its standard output) are read by the body, all of them at the same time, for
    one that nobody reads holds up the others. `progress` is read here. Leaving the block in the normal way waits for a good
    end and raises as `Process.finish` does; leaving it by an exception or by cancelling kills. Either way the whole process
    group is gone and every pipe closed when the block is left.
    """
    outputs = (*outputs, *(() if stdout is None else (stdout,)))
    given = (*outputs, *(() if progress is None else (progress,)))
    with Pipe() as stderr:
        try:
            child, pidfd = _spawn(argv, limits, pass_fds, given, stdout=stdout, stderr=stderr)
            for pipe in (*given, stderr):
                pipe.close_write()
            process = Process(
                child,
                pidfd,
                limits=limits,
                outputs=outputs,
                progress=progress,
                stderr=stderr,
                on_progress=on_progress,
            )
            try:
                yield process
                for pipe in outputs:
                    pipe.close()  # a body that left early: the child gets EPIPE instead of waiting for a reader
                await process.finish()
            finally:
                process.kill()
                # A second cancel may cut this wait short; the pidfd stays on the loop and reaps all the same.
                await process.wait()
        finally:
            for pipe in given:
                pipe.close()


def _spawn(
    argv: Sequence[str],
    limits: Limits,
    pass_fds: Sequence[int],
    given: Sequence[Pipe],
    *,
    stdout: Pipe | None,
    stderr: Pipe,
) -> tuple[Child, int]:
    """Start the child; returns it and its pidfd.

    Blocks for the vfork and exec, one or two milliseconds, and so cannot be cancelled half-way.
    """
    try:
        child = spawn(
            argv,
            limits,
            source_fds=pass_fds,
            pipe_fds=[pipe.write_fd for pipe in given],
            stdout=None if stdout is None else stdout.write_fd,
            stderr=stderr.write_fd,
        )
    except FileNotFoundError as error:
        raise errors.TranscodeFailed("setpriv (util-linux) is not installed.") from error
    try:
        return child, os.pidfd_open(child.popen.pid)
    except OSError:
        child.kill()
        child.reap()
        raise


def _failure(code: int, stderr: str) -> str:
    """A sentence about an exit status, with the last thing that was said, shortened."""
    how = f"ended with status {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
    said = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    return f"The converter {how}." if not said else f"The converter {how}: {said[:QUOTED_CHARACTERS]}"
