"""How cost grows: with the length of a film, the number of assets, and the number of viewers, each doubled or more."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.contenders import NGINX, OURS, Contender, delivered_film, direct, is_whole
from bench.figures import Sample, ms, table
from bench.pace import Pace, in_turns
from bench.service import Connection, await_state, segment_uris, upload
from bench.startup import resident_bytes
from tests.support.films import Film, make_film
from tests.support.many_assets import multiply
from tests.support.processes import wait_until
from tests.support.server import TOKEN, Server, running_server

MINUTES, QUICK_MINUTES = (30, 60, 120), (1, 2)
ASSETS, QUICK_ASSETS = (1000, 10_000, 100_000), (100, 200)
VIEWERS, QUICK_VIEWERS = (32, 64, 128, 256, 512, 1024), (32, 64)
LOOKS = 200  # at each kind of thing that is asked for
MIB = 1 << 20
SMALL = Film(seconds=60, fps=25, keyframe_seconds=2.0, moov_at_end=False)


def measure(work: Path, pace: Pace) -> Iterator[str]:
    """Three tables."""
    yield _lengths(work, pace)
    yield _assets(work, pace)
    yield _viewers(work, pace)


def _lengths(work: Path, pace: Pace) -> str:
    piece, rows = make_film(work / "minute.mp4", SMALL), []
    for minutes in QUICK_MINUTES if pace.quick else MINUTES:
        film = _repeated(piece, minutes)
        with tempfile.TemporaryDirectory(dir=work) as name:
            directory = Path(name)
            with running_server(directory, transcode_workers=0) as server:
                asset_id, acknowledged = upload(server, film)
                await_state(server, asset_id, "playable", "ready")
                playable = time.perf_counter() - acknowledged
                wait_until(lambda s=server, a=asset_id: is_whole(s, a), 900, "nothing is left to do")  # type: ignore[misc]
            with running_server(directory, transcode_workers=0) as server:
                rows.append((f"{minutes} min", ms(playable), *_played(server, asset_id, film.stat().st_size)))
        film.unlink()
    header = (
        *("", "playable after its end", "playlist: first, again", "its size"),
        *("a segment: first", "again, any other (p50)", "1 MiB of the original (p50)", "resident"),
    )
    return table("A film of twice the length", header, rows, "growth-length")


def _repeated(piece: Path, minutes: int) -> Path:
    # An upload need not be written by ffmpeg's own muxer to be long: the same minute again and again, index in front.
    path = piece.with_name(f"minutes-{minutes}.mp4")
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", str(minutes - 1), "-i", str(piece)]
    subprocess.run([*argv, "-c", "copy", "-movflags", "+faststart", str(path)], check=True)
    return path


def _played(server: Server, asset_id: str, size: int) -> tuple[str, ...]:
    with Connection(server.url) as connection:
        playlist = f"/media/{asset_id}/hls/source/index.m3u8"
        first, again = connection.fetch(playlist), connection.fetch(playlist)
        uris = segment_uris(server, asset_id, "source")
        cold = connection.fetch(uris[len(uris) // 2])
        places = random.Random(1)  # noqa: S311 # the same places each time
        warm = [connection.fetch(places.choice(uris))[1] for _ in range(LOOKS)]
    whole = Contender(OURS, server.port, f"/media/{asset_id}/original.mp4", size, (server.pid,))
    ranges = whole.load("ranges", MIB, 1, 1.0)
    return (
        f"{ms(first[1])}, {ms(again[1])}",
        f"{len(first[2]) / 1e3:.0f} kB",
        ms(cold[1]),
        ms(median(warm)),
        ms(ranges.seconds / max(1, ranges.answers)),
        f"{resident_bytes(server.pid) / 1e6:.0f} MB",
    )


def _assets(work: Path, pace: Pace) -> str:
    film, rows = make_film(work / "many.mp4", Film(seconds=8)), []
    for count in QUICK_ASSETS if pace.quick else ASSETS:
        with tempfile.TemporaryDirectory(dir=work) as name:
            directory = Path(name)
            with running_server(directory, transcode_ahead=False) as server:
                asset_id, _ = upload(server, film)
                await_state(server, asset_id, "playable", "ready")
            multiply(server.data_dir / "catalog.sqlite3", asset_id, count)
            begun = time.perf_counter()
            with running_server(directory, transcode_ahead=False) as server:
                started = time.perf_counter() - begun
                rows.append((f"{count:,}", ms(started), *_asked(server, asset_id)))
    header = (
        *("assets", "listens after", "a page of 50 (p50)", "a page of a search (p50)", "one asset (p50)"),
        *("a segment (p50)", "resident"),
    )
    return table("Ten times as many assets", header, rows, "growth-assets")


def _asked(server: Server, asset_id: str) -> tuple[str, ...]:
    address = "/api/v1/assets"
    samples = []
    with Connection(server.url, {"Authorization": f"Bearer {TOKEN}"}) as connection:
        segment = segment_uris(server, asset_id, "source")[0]
        for path in (
            f"{address}?limit=50",
            f"{address}?limit=50&q=part+77",
            f"{address}/{asset_id}",
            segment,
        ):
            connection.fetch(path)
            samples.append(Sample(path, [connection.fetch(path)[1] for _ in range(LOOKS // 4)]))
    return (*(ms(sample.median) for sample in samples), f"{resident_bytes(server.pid) / 1e6:.0f} MB")


def _viewers(work: Path, pace: Pace) -> str:
    film, rows = delivered_film(work, 64 * MIB if pace.quick else 512 * MIB), []
    with tempfile.TemporaryDirectory(dir=work) as name, direct(Path(name), film) as contenders:
        both = [one for one in contenders if one.name in {OURS, NGINX}]
        for count in QUICK_VIEWERS if pace.quick else VIEWERS:
            found = in_turns(both, pace, lambda one, n=count: one.load("ranges", MIB, n, pace.seconds))  # type: ignore[misc]
            ours, nginx = found[OURS], found[NGINX]
            rate, peer = (median(one.throughput for one in results) for results in (ours, nginx))
            waits = (
                f"{ms(median(one.p50 for one in results))}, {ms(median(one.p99 for one in results))}"
                for results in (ours, nginx)
            )
            cpu = (f"{median(one.cpu_per_gb for one in results):.3f}" for results in (ours, nginx))
            rows.append((f"{count:,}", f"{rate / MIB:,.0f}/s", f"{rate / peer:.2f}", *cpu, *waits))
    header = (
        "viewers",
        "1 MiB ranges",
        "of nginx",
        "CPU s/GB",
        "nginx's",
        "first byte (p50, p99)",
        "nginx's",
    )
    return table("Twice as many viewers, each as fast as he can", header, rows, "growth-viewers")
