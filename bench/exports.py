"""What an export costs: of a few assets and of a million, in time, processor and memory; and what others notice of it.

The assets are rows copied from one real film, each with facts of its own; memory is what the service has more of than before.
Beside it, Python reads the same rows and makes nothing of them: that much is the database's share.
"""

from __future__ import annotations

import http.client
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from bench.costs import cpu_seconds
from bench.figures import table
from bench.service import await_state, upload
from tests.support.films import Film, make_film
from tests.support.many_assets import multiply
from tests.support.server import TOKEN, Server, running_server

COUNTS = (10_000, 1_000_000)
PATHS = ("/api/v1/assets.ndjson", "/api/v1/assets.csv?sort=title&order=asc")
READ_BYTES = 1 << 20
EACH_SECONDS = 0.2  # how often memory is looked at, and somebody else asks for an asset
HEADER = ("", "assets/s", "CPU s per 100,000", "MB", "memory above idle", "p50, p99 of others")


@dataclass(frozen=True)
class Export:
    """Of so many assets: seconds, CPU seconds of the service, bytes, how much its memory grew, and others' seconds."""

    count: int
    seconds: float
    cpu: float
    size: int
    growth: int
    others: list[float]


def measure(work: Path) -> Iterator[str]:
    """One table for each count."""
    film = make_film(work / "exported.mp4", Film(seconds=2))
    for count in COUNTS:
        with tempfile.TemporaryDirectory(dir=work) as directory:
            with running_server(Path(directory), transcode_ahead=False) as server:
                asset_id, _ = upload(server, film)
                await_state(server, asset_id, "playable", "ready")
            database = server.data_dir / "catalog.sqlite3"
            multiply(database, asset_id, count)
            rows = [_bare(database)]
            with running_server(Path(directory), transcode_ahead=False) as server:
                rows[:0] = [_row(path, _exported(server, path, count, asset_id)) for path in PATHS]
            yield table(f"Exports of {count:,} assets", HEADER, rows)


def _exported(server: Server, path: str, count: int, asset_id: str) -> Export:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with closing(connection):
        connection.request("GET", "/api/v1/assets?limit=200", headers=headers)
        connection.getresponse().read()
        idle, cpu, size, lines = server.rss_bytes(), cpu_seconds(server.pid), 0, 0
        with _others(server, f"/api/v1/assets/{asset_id}") as others:
            started = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            most, looked = idle, 0.0
            while piece := answer.read1(READ_BYTES):
                size += len(piece)
                lines += piece.count(b"\n")
                if (now := time.perf_counter()) > looked + EACH_SECONDS:
                    most, looked = max(most, server.rss_bytes()), now
            seconds = time.perf_counter() - started
    if lines not in {count + 1, count + 2}:  # the template; the names of the columns
        raise RuntimeError(f"{path}: {lines} lines of {count + 1} assets")
    return Export(count, seconds, cpu_seconds(server.pid) - cpu, size, most - idle, others)


@contextmanager
def _others(server: Server, path: str) -> Iterator[list[float]]:
    """The seconds that somebody else waits for an asset, now and then, while the block runs."""
    found: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
            while not over.wait(EACH_SECONDS):
                started = time.perf_counter()
                connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
                connection.getresponse().read()
                found.append(time.perf_counter() - started)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield found
    finally:
        over.set()
        asking.join()


def _bare(database: Path) -> tuple[str, ...]:
    """All rows of both tables, and nothing made of them."""
    with closing(sqlite3.connect(database)) as connection:
        cpu, started, count = time.process_time(), time.perf_counter(), 0
        for _ in connection.execute("SELECT * FROM assets ORDER BY created_at DESC, id DESC"):
            count += 1
        for _ in connection.execute("SELECT * FROM renditions"):
            pass
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return ("Python alone reads the rows", f"{count / seconds:,.0f}", f"{cpu / count * 1e5:.1f}", "", "", "")


def _row(path: str, found: Export) -> tuple[str, ...]:
    waits = "-"
    if len(found.others) >= 2:
        hundredths = quantiles(found.others, n=100, method="inclusive")
        waits = f"{hundredths[49] * 1000:.0f}, {hundredths[98] * 1000:.0f} ms"
    return (
        path.removeprefix("/api/v1/"),
        f"{found.count / found.seconds:,.0f}",
        f"{found.cpu / found.count * 1e5:.1f}",
        f"{found.size / 1e6:,.1f}",
        f"{found.growth / 1e6:.1f} MB",
        waits,
    )
