"""Two thousand viewers on slow lines: the memory that they take, of the server and of the kernel, and what others notice.

Others: one client on a connection of its own, who asks for 64 KiB again and again, first alone, then beside them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import OURS, Contender
from bench.costs import memory_bytes
from bench.figures import Goal, goals, ms, table
from bench.load import Result
from bench.pace import Pace
from tests.support.server import CHECKOUT

READERS, QUICK_READERS = 2000, 50
BYTES_PER_SECOND = 50_000
PROBE_BYTES = 64 << 10
PROBE_SECONDS, PROBE_PAUSE = 4.0, 0.005
SETTLE_SECONDS = 3.0  # until what is sent ahead of them is sent
LONGEST_SETTLE_SECONDS, FALL_BYTES = 15.0, 1 << 20
PAGE_BYTES = 4096


@dataclass(frozen=True)
class Slow:
    """Memory for each of them in bytes, and what somebody else got alone and meanwhile."""

    process: float
    kernel: float
    alone: Result
    meanwhile: Result
    rate: float  # bytes/s that each of them got


def tables(title: str, contenders: Sequence[Contender], pace: Pace) -> Iterator[str]:
    """One table, and the goals where the service is asked directly."""
    found = {one.name: _measured(one, pace) for one in contenders}
    rows = [
        (
            name,
            f"{slow.process / 1e3:.1f} kB",
            f"{slow.kernel / 1e3:.0f} kB",
            f"{ms(slow.alone.p50)}, {ms(slow.alone.p99)}",
            f"{ms(slow.meanwhile.p50)}, {ms(slow.meanwhile.p99)}",
            f"{slow.rate / 1e3:.0f} kB/s",
        )
        for name, slow in found.items()
    ]
    count = QUICK_READERS if pace.quick else READERS
    header = (
        *("", "memory of the server's processes, each", "of the kernel, each"),
        *("others' first byte (p50, p99) before", "meanwhile", "each got"),
    )
    slug = title.replace(" ", "-")
    yield table(
        f"{count:,} readers at {BYTES_PER_SECOND // 1000} kB/s, {title}", header, rows, f"slow-readers-{slug}"
    )
    if OURS in found:
        ours = found[OURS]
        wanted = [
            Goal("kB of process memory for each slow reader", 20, ours.process / 1e3, at_least=False),
            Goal(
                f"others' p99 beside {count:,} slow readers, times their p99 before",
                2,
                ours.meanwhile.p99 / ours.alone.p99,
                at_least=False,
            ),
        ]
        yield goals("Goals: slow readers", wanted)


def _measured(contender: Contender, pace: Pace) -> Slow:
    count = QUICK_READERS if pace.quick else READERS
    seconds = pace.seconds if pace.quick else PROBE_SECONDS
    alone = contender.load("probe", PROBE_BYTES, 1, seconds, pause=PROBE_PAUSE)
    before, kernel = memory_bytes(*contender.pids), _settled()
    with _readers(contender, count) as readers:
        time.sleep(pace.seconds if pace.quick else SETTLE_SECONDS)
        held, read, since = *readers.look(), time.monotonic()
        process = (memory_bytes(*contender.pids) - before) / count
        in_kernel = (kernel_bytes() - kernel - held) / count
        meanwhile = contender.load("probe", PROBE_BYTES, 1, seconds, pause=PROBE_PAUSE)
        rate = (readers.look()[1] - read) / count / (time.monotonic() - since)
    return Slow(process, in_kernel, alone, meanwhile, rate)


class _Readers:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def look(self) -> tuple[int, int]:
        """Bytes that the kernel holds for their ends, and that they have read so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("look\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return int(told["held"]), int(told["read"])


@contextmanager
def _readers(contender: Contender, count: int) -> Iterator[_Readers]:
    arguments = (contender.port, contender.path, contender.size, count, BYTES_PER_SECOND)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.slow_clients", *map(str, arguments)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "begun\n":
            raise RuntimeError(f"{contender.name}: the readers did not begin")
        yield _Readers(process)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _settled() -> int:
    """What TCP holds once it has let go of what others before had: thousands of connections take a while to end."""
    held, end = kernel_bytes(), time.monotonic() + LONGEST_SETTLE_SECONDS
    while time.monotonic() < end:
        time.sleep(SETTLE_SECONDS / 3)
        before, held = held, kernel_bytes()
        if held > before - FALL_BYTES:
            break
    return held


def kernel_bytes() -> int:
    """What TCP holds for all sockets of this machine (proc(5), /proc/net/sockstat)."""
    words = next(
        line.split()
        for line in Path("/proc/net/sockstat").read_text().splitlines()
        if line.startswith("TCP:")
    )
    return int(words[words.index("mem") + 1]) * PAGE_BYTES
