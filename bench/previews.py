"""What previews cost: all of a film's, beside ffmpeg's own sprite sheets; and how soon after an upload the first are there."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import films
from bench.figures import table
from bench.service import upload
from media_service.timeline.previews import Pack
from tests.support.server import running_server
from tests.support.workshop import opened_workshop

FILM_SECONDS = 660  # from ten minutes on there is a picture each two seconds, as the peer makes them
HOUR = 3600
ROUNDS = 3
SELDOM_FRAMES = 250  # between keyframes, as x264 has it by itself: 8.3 s


@dataclass(frozen=True)
class _Cost:
    """Of all previews of one film: wall clock and CPU time in seconds, bytes and how many."""

    seconds: float
    cpu_seconds: float
    size: int
    count: int


def measure(work: Path) -> list[str]:
    """Two tables."""
    often = films.film(work, FILM_SECONDS)
    seldom = _with_seldom_keyframes(work, often)
    rows = []
    for name, film in (("a keyframe every 2 s", often), ("a keyframe every 8.3 s", seldom)):
        costs: dict[str, list[_Cost]] = {"ours": [], "peer": []}
        for _ in range(ROUNDS):  # in turns
            costs["ours"].append(asyncio.run(_ours(work, film)))
            costs["peer"].append(_sheets(work, film))
        rows += _rows(name, costs["ours"], costs["peer"])
    header = ("an hour of 1080p30", "s", "CPU s", "MB", "pictures", "CPU x peer")
    waits = [_first(work, often) for _ in range(ROUNDS)]
    soon = [(f"{median(first for first, _ in waits):.2f} s", f"{median(some for _, some in waits):.1f} s")]
    return [
        table(f"All previews (measured with {FILM_SECONDS // 60} minutes)", header, rows),
        table("From the upload's end until there are previews", ("the first", "all"), soon),
    ]


def _rows(name: str, ours: list[_Cost], peer: list[_Cost]) -> list[tuple[str, ...]]:
    factor = median(one.cpu_seconds for one in ours) / median(one.cpu_seconds for one in peer)
    return [
        (f"{name}: ours", *_figures(ours), f"{factor:.2f}"),
        (f"{name}: ffmpeg fps=1/2,scale,tile", *_figures(peer), ""),
    ]


def _figures(costs: list[_Cost]) -> tuple[str, ...]:
    hours = FILM_SECONDS / HOUR
    seconds, cpu, size, count = (
        median(getattr(one, name) for one in costs) / hours
        for name in ("seconds", "cpu_seconds", "size", "count")
    )
    return (f"{seconds:.0f}", f"{cpu:.0f}", f"{size / 1e6:.1f}", f"{count:.0f}")


def _with_seldom_keyframes(work: Path, film: Path) -> Path:
    """The same pictures with other keyframes: 30 s of them again and again."""
    piece, whole = work / "seldom-piece.mp4", work / "seldom.mp4"
    if not whole.exists():
        ffmpeg = ("ffmpeg", "-nostdin", "-v", "error", "-y")
        codec = ("-c:v", "libx264", "-preset", "superfast", "-b:v", "5M", "-bf", "2", "-sc_threshold", "0")
        part = ("-t", str(films.PIECE_SECONDS), "-i", str(film), "-g", str(SELDOM_FRAMES))
        subprocess.run([*ffmpeg, *part, *codec, "-an", str(piece)], check=True)
        again = ("-stream_loop", str(FILM_SECONDS // films.PIECE_SECONDS - 1), "-i", str(piece))
        subprocess.run([*ffmpeg, *again, "-c", "copy", str(whole)], check=True)
    return whole


async def _ours(work: Path, film: Path) -> _Cost:
    """A service's inside without all the rest that it does for a film."""
    with tempfile.TemporaryDirectory(dir=work) as directory:
        async with opened_workshop(Path(directory)) as workshop:
            asset = await workshop.indexer().index(await workshop.admitted(film))
            async with workshop.previewer() as previewer:
                started, before = time.perf_counter(), _cpu()
                await previewer.begin(asset)
                await previewer.make(asset.id)
                seconds, cpu = time.perf_counter() - started, _cpu() - before
            pack = await workshop.catalog.pack_of(asset.id)
    if pack is None or not pack.complete:
        raise RuntimeError("the film has no previews")
    return _Cost(seconds, cpu, _size(pack), len(pack.tiles))


def _size(pack: Pack) -> int:
    return sum(tile.size for tile in pack.tiles)


def _sheets(work: Path, film: Path) -> _Cost:
    """What one finds in every article about it: one picture each two seconds, 25 to a sheet."""
    with tempfile.TemporaryDirectory(dir=work) as directory:
        chain = "fps=1/2,scale=256:144,tile=5x5"
        argv = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(film), "-an", "-vf", chain, "-q:v", "4"]
        started, before = time.perf_counter(), _cpu()
        subprocess.run([*argv, f"{directory}/%d.jpg"], check=True)
        seconds, cpu = time.perf_counter() - started, _cpu() - before
        size = sum(path.stat().st_size for path in Path(directory).iterdir())
    return _Cost(seconds, cpu, size, FILM_SECONDS // 2)


def _cpu() -> float:
    """Of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _first(work: Path, film: Path) -> tuple[float, float]:
    """Seconds from the acknowledgement until an event tells of previews, and until it tells of all of them."""
    with (
        tempfile.TemporaryDirectory(dir=work) as directory,
        running_server(Path(directory), transcode_workers=0) as server,
    ):
        asset_id, acknowledged = upload(server, film)
        found: list[float] = []
        wanted: list[Callable[[dict[str, object]], bool]] = [
            lambda _: True,
            lambda said: bool(said["complete"]),
        ]
        with (
            server.client(timeout=600) as client,
            client.stream("GET", f"/api/v1/assets/{asset_id}/events") as events,
        ):
            for line in events.iter_lines():
                said = (
                    json.loads(line.removeprefix("data:")).get("previews")
                    if line.startswith("data:")
                    else None
                )
                while said is not None and len(found) < len(wanted) and wanted[len(found)](said):
                    found.append(time.perf_counter() - acknowledged)
                if len(found) == len(wanted):
                    return found[0], found[1]
    raise RuntimeError("the events ended")
