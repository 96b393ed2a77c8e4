"""What it costs somebody to take an upload: seconds, CPU seconds of all its processes, and its peak memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import descendants, memfd_bytes

SAMPLE_SECONDS = 0.05  # between two looks at the memory: what stands for less time may be missed
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Way:
    """One way to upload a film to somebody: who that is, and what is done.

    `roots` are the processes that count, with all that they start. `upload` returns what was made, which `remove` takes
    away again. `after`, if any, does by hand what the receiver leaves undone; it counts as the receiver's.
    """

    name: str
    roots: tuple[int, ...]
    upload: Callable[[], str]
    remove: Callable[[str], None]
    after: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Cost:
    """Of one upload: wall clock and CPU time in seconds, and the receiver's greatest memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measured(way: Way) -> Cost:
    """Upload once by that way, and remove what was made."""
    cpu, started = cpu_seconds(*way.roots), time.perf_counter()
    with PeakMemory(*way.roots) as memory:
        made = way.upload()
        own = time.thread_time()
        if way.after is not None:
            way.after(made)
        own = time.thread_time() - own
        seconds = time.perf_counter() - started
    cost = Cost(seconds, cpu_seconds(*way.roots) - cpu + own, memory.bytes)
    way.remove(made)
    os.sync()  # what the disk has still to do must not slow down the next one
    return cost


def cpu_seconds(*roots: int) -> float:
    """What these processes and all that they started have used, user and system, of ended ones too (proc(5), stat)."""
    return ticks_seconds(family(*roots))


def family(*roots: int) -> set[int]:
    """These processes and all that they started."""
    return {*roots, *(child.pid for root in roots for child in descendants(root))}


def ticks_seconds(pids: Iterable[int]) -> float:
    """What these very processes have used, and the ended children that they have waited for."""
    return sum(map(_ticks, pids)) / TICKS_PER_SECOND


def _ticks(pid: int) -> int:
    """Of the process, and of its children that it has waited for."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0  # ended since it was found: its parent has waited for it
    return sum(map(int, line.rpartition(")")[2].split()[11:15]))


class PeakMemory:
    """Watches these processes and their children while it is entered; `bytes` is the most that they had together.

    Counted are the pages that are in no file, and each memfd that one of them holds. The page cache is not memory.
    """

    def __init__(self, *roots: int) -> None:
        self.bytes = 0
        self._roots = roots
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.bytes = max(self.bytes, memory_bytes(*self._roots))
            if self._left.wait(SAMPLE_SECONDS):
                return


def memory_bytes(*roots: int) -> int:
    """What these processes and their descendants have now."""
    pids = family(*roots)
    return sum(map(_own_bytes, pids)) + memfd_bytes(*pids)


def _own_bytes(pid: int) -> int:
    """Its share of the pages that are in no file (proc(5), smaps_rollup): a child that is just forked has none of its own."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # ended since it was found
    shares = (line.split() for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return sum(int(words[1]) * 1024 for words in shares)
