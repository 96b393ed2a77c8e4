"""`make bench`: everything, or what is named: `python -m bench segments first_seek throughput uploads`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import first_seek, segments, throughput, uploads

MEASURES: dict[str, Callable[[Path], Iterable[str]]] = {
    "segments": segments.measure,
    "first_seek": first_seek.measure,
    "throughput": throughput.measure,
    "uploads": uploads.measure,
}


def main(names: list[str]) -> int:
    """Measure and print Markdown; the exit status."""
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        print(f"There is no measure {unknown[0]!r}; there are {', '.join(MEASURES)}.", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    print(
        f"{len(os.sched_getaffinity(0))} cores, load {load:.1f} before it began, {time.strftime('%Y-%m-%d')}\n"
    )
    with tempfile.TemporaryDirectory(prefix="media-service-bench-") as work:
        for name in names or MEASURES:
            for part in MEASURES[name](Path(work)):
                print(part, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
