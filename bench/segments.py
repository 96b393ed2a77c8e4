"""How long a segment takes: packaged from the source, stored, encoded on demand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import films, peers
from bench.figures import Sample, table
from bench.service import Connection, await_state, segment_uris, upload
from tests.support.processes import ffmpegs, wait_until
from tests.support.server import Server, running_server

RUNG = "720p"
ROUNDS = 60  # requests of each kind for what is there
DEMANDED = 8  # segments made on demand
APART = 12  # segments between two of them: more than a run goes ahead
HEADER = ("", "median", "10 % - 90 %", "n", "x peer")


def measure(work: Path) -> Iterator[str]:
    """The tables."""
    film = films.film(work, 4 * APART * (DEMANDED + 1) // 30 * 30 + 30)
    with (
        tempfile.TemporaryDirectory(dir=work) as directory,
        running_server(Path(directory), transcode_ahead=False) as server,
    ):
        asset_id, _ = upload(server, film)
        await_state(server, asset_id, "playable", "ready")
        yield _on_demand(server, asset_id, film)
        yield _there(server, asset_id, Path(directory) / "nginx")


def _on_demand(server: Server, asset_id: str, film: Path) -> str:
    """From the film's end to its start, so that no run reaches the next one's segment."""
    uris = segment_uris(server, asset_id, RUNG)
    first, last, bare = Sample("first byte"), Sample("last byte"), Sample("peer: ffmpeg -ss by hand, exit")
    with Connection(server.url) as connection:
        connection.fetch(f"/media/{asset_id}/hls/{RUNG}/init.mp4")
        for number in range(DEMANDED, 0, -1):
            at = number * APART
            first_byte, last_byte, _ = connection.fetch(uris[at])
            first.seconds.append(first_byte)
            last.seconds.append(last_byte)
            # What is made ahead for a viewer must not slow the peer down, nor the next request.
            wait_until(lambda: not ffmpegs(server.pid), 120, "the run that was begun ends")
            bare.seconds.append(peers.seconds_of(peers.encode_segment(film, at * 4.0, 720)))
    return table(
        f"A segment of 4 s encoded on demand (1080p30 source -> {RUNG})",
        HEADER,
        [first.row(bare), last.row(bare), bare.row()],
    )


def _there(server: Server, asset_id: str, directory: Path) -> str:
    """Packaged and stored ones, in turns with nginx and the same bytes in a file."""
    packaged = segment_uris(server, asset_id, "source")
    stored = [segment_uris(server, asset_id, RUNG)[number * APART] for number in range(1, DEMANDED + 1)]
    kinds = {"packaged from the source": packaged[:: len(packaged) // DEMANDED], "stored": stored}
    rows = []
    with (
        peers.static_nginx(directory) as peer_server,
        Connection(server.url) as ours,
        Connection(peer_server.url) as nginx,
    ):
        for kind, uris in kinds.items():
            times = {name: Sample(f"{kind}: {name}") for name in ("first byte", "last byte")}
            peer = {name: Sample(f"{kind}: nginx, {name}") for name in ("first byte", "last byte")}
            for number, uri in enumerate(uris):
                (peer_server.files / f"{number}.m4s").write_bytes(ours.fetch(uri)[2])
            for turn in range(ROUNDS):
                number = turn % len(uris)
                for connection, path, samples in (
                    (ours, uris[number], times),
                    (nginx, f"/{number}.m4s", peer),
                ):
                    first_byte, last_byte, _ = connection.fetch(path)
                    samples["first byte"].seconds.append(first_byte)
                    samples["last byte"].seconds.append(last_byte)
            for name, sample in times.items():
                rows += [sample.row(peer[name]), peer[name].row()]
    return table("A segment that needs no encoder", HEADER, rows)
