"""How long a still takes: drawn, out of the previews, and remembered; beside ffmpeg run by hand for the same frame."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from statistics import median, quantiles

from bench import films, peers
from bench.figures import table
from bench.service import Connection, await_state, upload
from tests.support.processes import wait_until
from tests.support.server import Server, running_server

FILM_SECONDS = 120
ROUNDS = 100  # stills of each kind; each cold one of another frame
WIDTHS = (320, 1280)
PREVIEW_WIDTH = 200  # no more than previews have
HEADER = ("", "p50", "p99", "n", "p50 x peer")


def measure(work: Path) -> list[str]:
    """One table."""
    film = films.film(work, FILM_SECONDS)
    chance = random.Random(6)  # noqa: S311 - places in a film, the same in each run
    places = [round(chance.uniform(0, FILM_SECONDS - 1), 3) for _ in range(ROUNDS)]
    with (
        tempfile.TemporaryDirectory(dir=work) as directory,
        running_server(Path(directory), transcode_ahead=False) as server,
        Connection(server.url) as connection,
    ):
        asset_id, _ = upload(server, film)
        await_state(server, asset_id, "playable", "ready")
        wait_until(lambda: _is_previewed(server, asset_id), 120, "all previews are made")
        rows = []
        for width in WIDTHS:
            rows += _drawn(connection, asset_id, film, places, width)
        address = f"/media/{asset_id}/frame.jpg?mode=keyframe&width={PREVIEW_WIDTH}"
        found = [connection.fetch(f"{address}&t={place}")[1] for place in places]
        rows.append(_row("a preview in place of the keyframe", found))
    return [table("A still of a 1080p30 film, keyframes 2 s apart, until its last byte", HEADER, rows)]


def _drawn(
    connection: Connection, asset_id: str, film: Path, places: list[float], width: int
) -> list[tuple[str, ...]]:
    """Of one width: the very frame and its keyframe, cold, and once more; in turns with the peer."""
    address = f"/media/{asset_id}/frame.jpg?width={width}"
    exact, warm, peer = [], [], []
    for place in places:
        exact.append(connection.fetch(f"{address}&t={place}")[1])
        warm.append(connection.fetch(f"{address}&t={place}")[1])
        peer.append(peers.seconds_of(peers.still(film, place, width)))
    odd = range(1, FILM_SECONDS, 2)  # each lies behind another keyframe, and that is not drawn yet
    keyframe = [connection.fetch(f"{address}&mode=keyframe&t={second}")[1] for second in odd]
    return [
        _row(f"{width} pixels wide: the very frame, cold", exact, peer),
        _row(f"{width}: the keyframe, cold", keyframe, peer),
        _row(f"{width}: the very frame, warm", warm, peer),
        _row(f"{width}: peer, ffmpeg -ss by hand", peer),
    ]


def _is_previewed(server: Server, asset_id: str) -> bool:
    with server.client() as client:
        previews = client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()["previews"]
    return previews is not None and bool(previews["complete"])


def _row(name: str, seconds: list[float], peer: list[float] | None = None) -> tuple[str, ...]:
    ratio = "" if peer is None else f"{median(seconds) / median(peer):.2f}"
    high = quantiles(seconds, n=100)[-1]
    return (name, f"{median(seconds) * 1000:.0f} ms", f"{high * 1000:.0f} ms", str(len(seconds)), ratio)
