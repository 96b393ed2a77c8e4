"""What /proc says about processes: the tests' view of who lives, who is whose child, and what it costs."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat. `started` (clock ticks since boot) tells a process from a later one of the same id."""

    pid: int
    parent: int
    state: str
    started: int
    name: str

    @property
    def ended(self) -> bool:
        """A zombie: it runs no more, its parent has not asked for its exit code yet."""
        return self.state in "ZX"


def processes() -> list[Process]:
    """Every process of the machine that can be seen."""
    return [
        found
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (found := look_up(int(entry.name)))
    ]


def look_up(pid: int) -> Process | None:
    """The process of that id, None when there is none."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may hold any character, brackets and blanks too (proc(5)).
    name, _, rest = line.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Process(pid=pid, state=fields[0], parent=int(fields[1]), started=int(fields[19]), name=name)


def children(pid: int) -> list[Process]:
    """The direct children of `pid`. One may be left out while another one ends (proc(5), /proc/PID/task/TID/children)."""
    try:
        listed = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (
        FileNotFoundError,
        ProcessLookupError,
    ):  # a thread has ended, or the kernel is built without these lists
        return [process for process in processes() if process.parent == pid]
    return [found for text in listed for child in text.split() if (found := look_up(int(child)))]


def descendants(pid: int) -> list[Process]:
    """Children, their children, and so on."""
    everyone = processes()
    found: list[Process] = []
    wanted = {pid}
    while more := [process for process in everyone if process.parent in wanted]:
        found += more
        wanted = {process.pid for process in more}
    return found


def ffmpegs(pid: int) -> list[Process]:
    """The ffmpegs among the descendants of `pid` that still run."""
    return [process for process in descendants(pid) if process.name == "ffmpeg" and not process.ended]


def still_running(known: Process) -> bool:
    """Does this very process (not a later one of the same id) still run?"""
    now = look_up(known.pid)
    return now is not None and now.started == known.started and not now.ended


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll for what sends no event, such as another process' end. Raises TimeoutError that says `what`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """`wait_until` for what has to be awaited itself: what only the catalog knows. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 # whoever knows tells nobody
            await asyncio.sleep(0.001)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent dies, so that a leaked one is seen and not handed on to init."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def rss_bytes(pid: int) -> int:
    """Resident memory that is the process' own: RssAnon + RssShmem of proc(5). Pages of mapped files are not counted."""
    status = Path(f"/proc/{pid}/status").read_text()
    lines = (line.split() for line in status.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0] in {"RssAnon:", "RssShmem:"})


def memfd_bytes(*pids: int) -> int:
    """Pages of all memfds that the processes hold open, each memfd once. RSS does not show them unless they are mapped."""
    sizes: dict[int, int] = {}
    for link in (link for pid in pids for link in _open_files(pid)):
        try:
            if str(link.readlink()).startswith("/memfd:"):
                found = link.stat()
                sizes[found.st_ino] = found.st_blocks * 512
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed since the directory was read
    return sum(sizes.values())


def _open_files(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []  # ended since it was found
