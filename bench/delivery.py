"""What leaves the service, beside what does the same: nginx, Starlette, Litestar's `Stream`; and through nginx.

All have the same film and the same client, and take turns. nginx alone is what the others are compared with.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import abandoned, slow_readers
from bench.contenders import (
    BY_ACCEL,
    BY_DEFAULT,
    BY_SOCKET,
    NGINX,
    OUR_CONF,
    OURS,
    STARLETTE,
    Contender,
    behind_nginx,
    delivered_film,
    direct,
)
from bench.figures import Goal, goals, table
from bench.load import Result
from bench.pace import Pace, in_turns

KIB, MIB = 1 << 10, 1 << 20
FILM_BYTES = 512 * MIB
WHOLE = 0
LOADS = (
    ("64 KiB", 64 * KIB, 32),
    ("64 KiB", 64 * KIB, 128),
    ("256 KiB", 256 * KIB, 32),
    ("256 KiB", 256 * KIB, 128),
    ("1 MiB", MIB, 32),
    ("1 MiB", MIB, 128),
    ("16 MiB", 16 * MIB, 8),
    ("the whole file", WHOLE, 4),
)
# Through nginx: small and large, and the load of the goals.
BEHIND = (("64 KiB", 64 * KIB, 32), ("1 MiB", MIB, 32), ("16 MiB", 16 * MIB, 8))
WANTED = {
    ("256 KiB", 32): 0.65,
    ("256 KiB", 128): 0.65,
    ("1 MiB", 32): 0.80,
    ("1 MiB", 128): 0.80,
    ("16 MiB", 8): 0.95,
}

Found = Mapping[tuple[str, int], Mapping[str, Sequence[Result]]]


def measure(work: Path, pace: Pace) -> Iterator[str]:
    """Tables: ranges, abandoned seeks, slow readers, each direct and through nginx; and the goals of each."""
    film = delivered_film(work, 64 * MIB if pace.quick else FILM_BYTES)
    for title, ways in (("direct", direct), ("through nginx", behind_nginx)):
        with tempfile.TemporaryDirectory(dir=work) as directory, ways(Path(directory), film) as contenders:
            loads = LOADS if ways is direct else BEHIND
            found = {(name, count): ranges(contenders, pace, length, count) for name, length, count in loads}
            yield from _tables(title, found)
            yield goals(
                f"Goals: ranges, {title}", _direct_goals(found) if ways is direct else _behind_goals(found)
            )
            yield from abandoned.tables(title, contenders, pace)
            yield from slow_readers.tables(title, contenders, pace)


def ranges(contenders: Sequence[Contender], pace: Pace, length: int, count: int) -> dict[str, list[Result]]:
    """Ranges of `length` bytes over `count` connections, from each in turns."""
    return in_turns(contenders, pace, lambda one: one.load("ranges", length, count, pace.seconds))


def throughput(found: Sequence[Result]) -> float:
    """Bytes per second: the median."""
    return median(result.throughput for result in found)


def cpu(found: Sequence[Result]) -> float:
    """CPU seconds of all processes of that way for 10^9 bytes: the median."""
    return median(result.cpu_per_gb for result in found)


def _tables(title: str, found: Found) -> Iterator[str]:
    names = list(next(iter(found.values())))
    sizes = {name: length for name, length, _ in LOADS}
    rates, costs = [], []
    for (size, count), results in found.items():
        length, nginx = sizes[size], throughput(results[NGINX])
        cells = []
        for name in names:
            mine = throughput(results[name])
            shown = f"{mine / length:,.0f}/s" if length and length <= MIB else f"{mine / 1e9:.2f} GB/s"
            cells.append(shown if name == NGINX else f"{shown} ({mine / nginx:.2f})")
        load = f"{size}, {count} connections"
        rates.append((load, *cells))
        costs.append((load, *(f"{cpu(results[name]):.3f}" for name in names)))
    slug = title.replace(" ", "-")
    yield table(f"Random ranges, {title} (of nginx)", ("", *names), rates, f"ranges-{slug}")
    yield table(f"Random ranges, {title}: CPU s/GB", ("", *names), costs, f"ranges-{slug}-cpu")


def _direct_goals(found: Found) -> list[Goal]:
    wanted = []
    for (size, count), goal in WANTED.items():
        results = found[size, count]
        wanted.append(
            Goal(
                f"{size}, {count} connections: throughput of nginx",
                goal,
                throughput(results[OURS]) / throughput(results[NGINX]),
            )
        )
    results = found["1 MiB", 32]
    times = throughput(results[OURS]) / throughput(results[STARLETTE])
    return [*wanted, Goal("1 MiB, 32 connections: times Starlette's throughput", 10, times)]


def _behind_goals(found: Found) -> list[Goal]:
    results, large = found["1 MiB", 32], found["16 MiB", 8]
    wanted = []
    if BY_ACCEL in results:
        share = throughput(results[BY_ACCEL]) / throughput(results[NGINX])
        wanted.append(Goal("1 MiB, 32 connections, X-Accel-Redirect: throughput of nginx", 0.55, share))
    for name, way in ((OUR_CONF, "by TCP"), (BY_SOCKET, "by Unix socket")):
        if name in large:
            what = f"16 MiB, unbuffered, k8s/nginx.conf, {way}: CPU s/GB"
            wanted.append(Goal(what, 0.42, cpu(large[name]), at_least=False))
    assert BY_DEFAULT in results
    return wanted
