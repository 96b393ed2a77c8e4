"""From the start of the process until it listens, and what it holds while nobody asks for anything; beside a bare Starlette."""

from __future__ import annotations

import compileall
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import peers
from bench.figures import Goal, goals, ms, table
from bench.pace import Pace, in_turns
from tests.support.processes import rss_bytes
from tests.support.server import CHECKOUT, running_server

ROUNDS = 7
IDLE_SECONDS = 2.0  # until what is done at the start is done
AGAIN = "media_service, on data that are there"
FIRST = "media_service, its first start"
BARE = "uvicorn and Starlette, one route"


@dataclass(frozen=True)
class Started:
    """Seconds until it listened; resident memory in bytes, all of it and what is in no file."""

    seconds: float
    resident: int
    own: int


@dataclass(frozen=True)
class Start:
    """Something to start, and its name."""

    name: str
    start: Callable[[Path], Started]


def measure(work: Path, pace: Pace) -> Iterator[str]:
    """One table, and the goals."""
    # As in the image. Where PYTHONDONTWRITEBYTECODE is set each start would compile everything again, and keep the compiler's
    # memory.
    compileall.compile_dir(CHECKOUT / "media_service", quiet=1)
    with tempfile.TemporaryDirectory(dir=work) as directory:
        kept = Path(directory) / "kept"
        kept.mkdir()
        service(kept)  # makes the catalog
        ways = (
            Start(AGAIN, lambda _: service(kept)),
            Start(FIRST, service),
            Start(BARE, _bare),
        )
        rounds = pace._replace(rounds=1 if pace.quick else ROUNDS)
        numbers = iter(range(1000))

        def once(way: Start) -> Started:
            fresh = Path(directory) / str(next(numbers))
            fresh.mkdir()
            return way.start(fresh)

        found = in_turns(ways, rounds, once)
    rows = [
        (
            name,
            ms(median(one.seconds for one in starts)),
            f"{ms(min(one.seconds for one in starts))} - {ms(max(one.seconds for one in starts))}",
            f"{median(one.resident for one in starts) / 1e6:.0f} MB",
            f"{median(one.own for one in starts) / 1e6:.0f} MB",
        )
        for name, starts in found.items()
    ]
    header = ("", "listens after", "spread", "resident", "of it in no file")
    yield table(f"Start and idle memory, {rounds.rounds} of each", header, rows, "startup")
    again = found[AGAIN]
    wanted = [
        Goal("seconds until it listens", 1.0, median(one.seconds for one in again), at_least=False),
        Goal("MB of idle memory", 80, median(one.resident for one in again) / 1e6, at_least=False),
    ]
    yield goals("Goals: start", wanted)


def service(directory: Path) -> Started:
    """Start the service on that directory, and stop it."""
    begun = time.perf_counter()
    with running_server(directory, transcode_workers=0) as server:
        seconds = time.perf_counter() - begun
        time.sleep(IDLE_SECONDS)
        return Started(seconds, resident_bytes(server.pid), rss_bytes(server.pid))


def _bare(directory: Path) -> Started:
    begun = time.perf_counter()
    with peers.application("peer_starlette", directory) as peer:
        seconds = time.perf_counter() - begun
        time.sleep(IDLE_SECONDS)
        return Started(seconds, resident_bytes(peer.pid), rss_bytes(peer.pid))


def resident_bytes(pid: int) -> int:
    """VmRSS of proc(5): with the pages of its program and libraries, which other processes may share."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
