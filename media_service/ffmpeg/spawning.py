"""Starts a child behind the walls: from a thread that has shut itself in first.

Landlock and seccomp hold for a thread and all that it starts, and there is no way back. So each child is started by a thread
of its own: nothing of ours runs between fork and exec, and no interpreter starts. The thread stays until the child is gone,
because "dies with its parent" (prctl(2), PR_SET_PDEATHSIG) means the thread that started it.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import cache

from media_service.ffmpeg.fence import PROBE_LIMITS, Limits, environment
from media_service.ffmpeg.walls import Walls, candidates

log = logging.getLogger(__name__)

TRIAL_SECONDS = 20.0  # to start `ffprobe -version`: a cold disk, a busy machine


class Child:
    """A started program. Whoever reaps it says so with `gone`."""

    def __init__(
        self, popen: subprocess.Popen[bytes], thread_may_end: threading.Event, *, in_bubble: bool
    ) -> None:
        self._thread_may_end = thread_may_end
        self._in_bubble = in_bubble
        self.popen = popen

    def kill(self) -> None:
        """End it and its process group (SIGKILL). Only before it is reaped."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def gone(self) -> None:
        """It has been reaped: the thread that started it may end. May be called twice."""
        self._thread_may_end.set()

    def reap(self, seconds: float | None = None) -> int:
        """Wait for its end, here and now; its exit status, negative: a signal. Killed when that takes longer."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self.popen.wait()
        finally:
            self.gone()
        # bubblewrap tells as a shell does that what ran in it was ended by a signal: 137 is SIGKILL.
        told = self._in_bubble and 128 < status <= 128 + signal.SIGRTMAX
        return 128 - status if told else status


def spawn(
    argv: Sequence[str],
    limits: Limits,
    *,
    source_fds: Sequence[int] = (),
    pipe_fds: Sequence[int] = (),
    stdout: int | None = None,
    stderr: int | None = None,
    walls: Walls | None = None,
) -> Child:
    """Start `argv` behind the fence. It inherits the descriptors named here alone, and may open `source_fds` again.

    `walls`: others than those that `built` found. Blocks for vfork and exec, one or two milliseconds. Raises OSError:
    FileNotFoundError when setpriv is missing, others when a wall cannot be built.
    """
    chosen = built() if walls is None else walls
    with ExitStack() as stack:
        null = _owned(stack, os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        filter_fd = chosen.open_filter()
        if filter_fd is not None:
            _owned(stack, filter_fd)
        inherited = (*source_fds, *pipe_fds, *(() if filter_fd is None else (filter_fd,)))
        command = chosen.argv(argv, limits, filter_fd)

        def begin() -> subprocess.Popen[bytes]:
            # Of the thread alone, and of what it starts (sched(7)). Now: behind the walls nobody may, nice(1) neither.
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + limits.nice)
            chosen.restrict(source_fds)
            return subprocess.Popen(
                command,
                stdin=null,  # opened before: the thread itself may open nothing any more
                stdout=null if stdout is None else stdout,
                stderr=null if stderr is None else stderr,
                pass_fds=inherited,
                env=environment(),
                start_new_session=True,
            )

        started: Future[subprocess.Popen[bytes]] = Future()
        may_end = threading.Event()
        try:
            threading.Thread(target=_tend, args=(begin, started, may_end), name="fence", daemon=True).start()
        except RuntimeError as error:  # what fork would say: the user's or the container's share is used up
            raise BlockingIOError(errno.EAGAIN, "no thread can be started") from error
        return Child(started.result(), may_end, in_bubble=chosen.files == "bubblewrap")


@cache
def built() -> Walls:
    """The strongest walls behind which ffmpeg starts here. Tried once, in some 60 ms; the rest of the time known."""
    found = candidates()
    return next((walls for walls in found if _works(walls)), found[0])


def announced() -> Walls:
    """The same, said in the log: an operator reads there what they do not keep out."""
    walls = built()
    log.info("converters run behind %s", walls.name)
    for gap in walls.gaps:
        log.warning("the fence has a gap, should a film take over a converter. %s (docs/security.md)", gap)
    return walls


def _works(walls: Walls) -> bool:
    try:
        return spawn(["ffprobe", "-version"], PROBE_LIMITS, walls=walls).reap(TRIAL_SECONDS) == 0
    except OSError:
        return False


def _tend(
    begin: Callable[[], subprocess.Popen[bytes]],
    started: Future[subprocess.Popen[bytes]],
    may_end: threading.Event,
) -> None:
    try:
        started.set_result(begin())
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the one who waits
        started.set_exception(error)
    else:
        may_end.wait()


def _owned(stack: ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor
