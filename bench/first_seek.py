"""From the upload's acknowledgement until a viewer can be at t: ours, and a plain `ffmpeg -f hls` job's."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

from bench import films, peers
from bench.figures import table
from bench.service import Connection, await_state, segment_uris, upload
from tests.support.server import running_server

FILM_SECONDS = 300
PLACES = (0.0, 0.5, 0.9)  # of the film
RUNG = "720p"


def measure(work: Path) -> list[str]:
    """One table: the wait in seconds by place in the film."""
    film = films.film(work, FILM_SECONDS)
    ours = {(name, place): _ours(work, film, name, place) for name in ("source", RUNG) for place in PLACES}
    job = _hls_job(work, film)
    rows = [
        (
            f"{place:.0%}",
            *(f"{ours[name, place]:.2f} s" for name in ("source", RUNG)),
            f"{job[place]:.1f} s",
            f"{job[place] / ours[RUNG, place]:.1f}",
        )
        for place in PLACES
    ]
    header = (
        "seek to",
        "ours: source",
        f"ours: {RUNG}, encoded",
        "ffmpeg -f hls 720p",
        "ffmpeg / ours encoded",
    )
    return [
        table(
            f"From the end of the upload of {FILM_SECONDS // 60} min 1080p until the segment is there",
            header,
            rows,
        )
    ]


def _ours(work: Path, film: Path, rendition: str, place: float) -> float:
    """A fresh service each time: nothing is made before. Playlist, init segment and segment, as a player asks for them."""
    with tempfile.TemporaryDirectory(dir=work) as directory, running_server(Path(directory)) as server:
        asset_id, acknowledged = upload(server, film)
        await_state(server, asset_id, "playable", "ready")
        uris = segment_uris(server, asset_id, rendition)
        with Connection(server.url) as connection:
            connection.fetch(f"/media/{asset_id}/hls/{rendition}/init.mp4")
            connection.fetch(uris[int(place * len(uris))])
        return time.perf_counter() - acknowledged


def _hls_job(work: Path, film: Path) -> dict[float, float]:
    """When each place's segment is finished (the next one is begun, or the job has ended)."""
    with tempfile.TemporaryDirectory(dir=work) as directory:
        segments = {place: Path(directory) / f"{int(place * FILM_SECONDS / 4)}.ts" for place in PLACES}
        found: dict[float, float] = {}
        started = time.perf_counter()
        with subprocess.Popen(peers.hls_job(film, 720, Path(directory)), stdin=subprocess.DEVNULL) as job:
            while len(found) < len(PLACES):
                ended = job.poll() is not None
                for place, path in segments.items():
                    if place not in found and path.exists():
                        found[place] = time.perf_counter() - started
                if ended:
                    break
                time.sleep(0.02)  # a peer's files can only be looked for; 20 ms of what takes seconds
            job.terminate()
        if len(found) < len(PLACES):
            raise RuntimeError("the HLS job ended without all of its segments")
        return found
