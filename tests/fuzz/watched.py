"""Runs what reads strangers' bytes over many of them: each time at most an error of the table, soon, in bounded memory."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from media_service.errors import MediaServiceError
from tests.fuzz.mutations import Seed, mutants

MOST_SECONDS = 5.0  # of processor time for one mutant: a hundred times what most take
MOST_ADDRESSES = 1 << 30  # bytes of addresses that a run may take besides: what is claimed and never written


@dataclass(frozen=True)
class Target:
    """`read` takes a mutant of one of `seeds`. `allowed` is all that it may raise.

    It may hold `most_bytes` of memory at once, and `bytes_per_byte` of the mutant besides.
    """

    name: str
    seeds: Sequence[Seed]
    read: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...] = (MediaServiceError,)
    most_bytes: int = 8 << 20
    bytes_per_byte: float = 100


@dataclass
class Tally:
    """What came of it: how many mutants were read as if they were honest, how many were refused."""

    read: int = 0
    refused: int = 0
    peak_bytes: int = 0


class TooLong(Exception):
    """A mutant took longer than any may."""


def fuzz(target: Target, count: int, number: int = 1, keep: Path | None = None) -> Tally:
    """`count` mutants of all seeds together. Raises AssertionError that says how to have the mutant again.

    Its bytes are kept in the directory `keep`.
    """
    tally = Tally()
    with _fewer_addresses():
        for place, seed in enumerate(target.seeds):
            share = count // len(target.seeds) + (place < count % len(target.seeds))
            for at, data in enumerate(mutants(seed, share, number)):
                try:
                    _read(target, data, tally)
                except Exception as error:
                    if keep is not None:
                        (keep / f"{target.name}-mutant").write_bytes(data)
                    raise AssertionError(
                        f"mutant {at} of {seed.name}, dice {number}: {type(error).__name__}: {error}"
                    ) from error
    return tally


def _read(target: Target, data: bytes, tally: Tally) -> None:
    _FORGET_PEAK.write_text("5")
    before = _memory("VmRSS")
    with _deadline():
        try:
            target.read(data)
        except target.allowed:
            tally.refused += 1
        else:
            tally.read += 1
    peak = _memory("VmHWM") - before
    tally.peak_bytes = max(tally.peak_bytes, peak)
    most = target.most_bytes + target.bytes_per_byte * len(data)
    assert peak <= most, f"{len(data)} bytes took {peak} bytes of memory, at most {most:.0f} are expected"


# proc(5): a 5 makes the process' peak of resident memory what it has now.
_FORGET_PEAK = Path("/proc/self/clear_refs")


def _memory(what: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"the kernel does not tell {what}")


@contextmanager
def _fewer_addresses() -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + MOST_ADDRESSES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))


@contextmanager
def _deadline() -> Iterator[None]:
    def ring(_: int, __: FrameType | None) -> None:
        raise TooLong(f"more than {MOST_SECONDS} s")

    # Processor time: what else the machine does is no fault of the mutant's.
    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
