"""`make bench`: everything, or what is named: `python -m bench events exports segments first_seek previews seeking stills
throughput transforms uploads delivery growth profiling receiving startup unsent`.

`--quick`: those that know a short form take it: whether it works, in a minute; its figures mean nothing.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import (
    delivery,
    events,
    exports,
    first_seek,
    growth,
    previews,
    profiling,
    receiving,
    seeking,
    segments,
    startup,
    stills,
    throughput,
    transforms,
    unsent,
    uploads,
)
from bench.figures import Table
from bench.pace import QUICK, Pace
from tests.support.server import CHECKOUT

MEASURES: dict[str, Callable[[Path], Iterable[str]]] = {
    "events": events.measure,
    "exports": exports.measure,
    "segments": segments.measure,
    "first_seek": first_seek.measure,
    "previews": previews.measure,
    "seeking": seeking.measure,
    "stills": stills.measure,
    "throughput": throughput.measure,
    "transforms": transforms.measure,
    "uploads": uploads.measure,
}
# Those that know a short form.
PACED: dict[str, Callable[[Path, Pace], Iterable[str]]] = {
    "delivery": delivery.measure,
    "growth": growth.measure,
    "profiling": profiling.measure,
    "receiving": receiving.measure,
    "startup": startup.measure,
    "unsent": unsent.measure,
}
KEPT = CHECKOUT / "build" / "bench"  # the tables as JSON, for `python -m bench.performance`


def main(arguments: list[str]) -> int:
    """Measure and print Markdown, and keep the tables as JSON; the exit status."""
    pace = QUICK if "--quick" in arguments else Pace()
    names = [name for name in arguments if name != "--quick"]
    unknown = [name for name in names if name not in MEASURES and name not in PACED]
    if unknown:
        print(
            f"There is no measure {unknown[0]!r}; there are {', '.join((*MEASURES, *PACED))}.",
            file=sys.stderr,
        )
        return 2
    machine = f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} before it began"
    print(f"{machine}, {time.strftime('%Y-%m-%d')}\n")
    with tempfile.TemporaryDirectory(prefix="media-service-bench-") as work:
        for name in names or (*MEASURES, *PACED):
            begun, tables = time.monotonic(), list[Table]()
            found = PACED[name](Path(work), pace) if name in PACED else MEASURES[name](Path(work))
            for part in found:
                print(part, flush=True)
                if isinstance(part, Table) and part.key:
                    tables.append(part)
                    _keep(name, machine, time.monotonic() - begun, tables)
    return 0


def _keep(name: str, machine: str, seconds: float, tables: Iterable[Table]) -> None:
    kept = {
        "machine": machine,
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(seconds),
        "tables": [
            {"key": one.key, "title": one.caption, "header": one.header, "rows": one.rows} for one in tables
        ],
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
