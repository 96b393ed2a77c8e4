"""What an upload costs: ours by all ways in, beside nginx's own PUT and @tus/server, in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from bench import films, peers
from bench.costs import Cost, Way, measured
from bench.figures import Sample, table
from bench.sending import Sender, keep_and_hash, post_form, put, tus, unlink
from bench.service import await_state
from tests.support.nginx import running_nginx
from tests.support.server import Server, running_server

FILM_BYTES = 512 << 20  # more than UPLOAD_MEMORY_BYTES: what takes a film into memory as a whole shows
ROUNDS = 3
# The whole by one PATCH, as clients that trust their line send it; or in pieces, as most of them are set up.
PIECES = {"one PATCH": FILM_BYTES, "16 MiB PATCHes": 16 << 20}
GB = 1e9
Connect = Callable[
    [], Sender
]  # a connection for each upload: between two of one kind it would be idle for too long
ASSETS, UPLOADS = "/api/v1/assets", "/api/v1/uploads"
SAME_WORK = ", then fsync and SHA-256"  # which ours has done when it answers
NOTE = (
    "Ours answers when the film is on the disk (fsync), its SHA-256 is known and ffprobe has read it. nginx and\n"
    f"@tus/server do none of that: the factors are to the rows `{SAME_WORK.removeprefix(', ')}`, done by hand.\n"
)
NGINX, TUS = f"nginx, PUT{SAME_WORK}", f"@tus/server, one PATCH{SAME_WORK}"


def measure(work: Path) -> list[str]:
    """One table, and what the peers do not do."""
    film = films.padded(films.film(work, films.PIECE_SECONDS), FILM_BYTES)
    with tempfile.TemporaryDirectory(dir=work) as directory, _ways(Path(directory), film) as ways:
        costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
        for turn in range(ROUNDS):
            # Not always behind the same neighbour: a disk may still be busy with what that one left.
            first = turn * len(ways) // ROUNDS
            for way in (*ways[first:], *ways[:first]):
                costs[way.name].append(measured(way))
    header = ("", "s/GB", "spread", "CPU s/GB", "peak memory", "time, CPU x nginx", "time, CPU x @tus/server")
    rows = [_row(name, costs) for name in costs]
    return [
        table(f"An upload of {FILM_BYTES >> 20} MiB over loopback, {ROUNDS} of each", header, rows),
        NOTE,
    ]


def _row(name: str, costs: Mapping[str, list[Cost]]) -> tuple[str, ...]:
    seconds, cpu = (
        {way: Sample(way, [of(cost) / FILM_BYTES * GB for cost in found]) for way, found in costs.items()}
        for of in (_seconds, _cpu_seconds)
    )
    low, high = seconds[name].spread
    return (
        name,
        f"{seconds[name].median:.2f}",
        f"{low:.2f} - {high:.2f}",
        f"{cpu[name].median:.2f}",
        # Not the greatest: a child between its vfork and its exec seems to have all that its parent has.
        f"{median(cost.peak_bytes for cost in costs[name]) / 1e6:.0f} MB",
        *(
            f"{seconds[name].median / seconds[peer].median:.2f}, {cpu[name].median / cpu[peer].median:.2f}"
            for peer in (NGINX, TUS)
        ),
    )


def _seconds(cost: Cost) -> float:
    return cost.seconds


def _cpu_seconds(cost: Cost) -> float:
    return cost.cpu_seconds


@contextmanager
def _ways(directory: Path, film: Path) -> Iterator[list[Way]]:
    """Everything that is measured, running."""
    with ExitStack() as stack:
        server = stack.enter_context(running_server(directory, transcode_workers=0))
        front = stack.enter_context(running_nginx(directory / "front", server.port))
        key = {"Authorization": f"Bearer {server.token}"}
        nginx = stack.enter_context(peers.static_nginx(directory / "nginx", peers.TAKES_UPLOADS))
        node = stack.enter_context(peers.tus_server(directory / "tus"))
        yield [
            *_ours(server, partial(Sender, server.url, film, key), (server.pid,), ""),
            *_ours(server, partial(Sender, front.url, film, key), (server.pid, front.pid), ", through nginx"),
            *_nginx(nginx, partial(Sender, nginx.url, film, {})),
            *_tus_server(node, partial(Sender, node.url, film, {})),
        ]


def _ours(server: Server, connect: Connect, roots: tuple[int, ...], note: str) -> Iterator[Way]:
    def remove(asset_id: str) -> None:
        await_state(server, asset_id, "playable", "ready")
        with server.client() as client:
            client.delete(f"{ASSETS}/{asset_id}").raise_for_status()

    for name, piece_bytes in PIECES.items():
        yield Way(f"ours: tus, {name}{note}", roots, partial(_by_tus, connect, piece_bytes), remove)
    yield Way(f"ours: PUT{note}", roots, partial(_by_put, connect), remove)
    yield Way(f"ours: form{note}", roots, partial(_by_form, connect), remove)


def _by_tus(connect: Connect, piece_bytes: int) -> str:
    with connect() as sender:
        _, answer = tus(sender, UPLOADS, piece_bytes)
    # The protocol knows an upload's end, not what is made of it: that has a header of our own.
    return _last_segment(answer.headers["upload-asset"])


def _by_put(connect: Connect) -> str:
    with connect() as sender:
        return _last_segment(put(sender, f"{ASSETS}?filename={sender.name}").headers["location"])


def _by_form(connect: Connect) -> str:
    with connect() as sender:
        return _last_segment(post_form(sender, ASSETS).headers["location"])


def _nginx(nginx: peers.StaticNginx, connect: Connect) -> Iterator[Way]:
    def upload() -> str:
        with connect() as sender:
            put(sender, f"/{sender.name}")
            return str(nginx.files / sender.name)

    yield Way("nginx, PUT", (nginx.pid,), upload, unlink)
    yield Way(NGINX, (nginx.pid,), upload, unlink, after=keep_and_hash)


def _tus_server(node: peers.TusServer, connect: Connect) -> Iterator[Way]:
    def upload(piece_bytes: int) -> str:
        with connect() as sender:
            path, _ = tus(sender, "/files", piece_bytes)
        return str(node.files / _last_segment(path))

    def remove(path: str) -> None:
        unlink(path)
        unlink(f"{path}.json")

    for name, piece_bytes in PIECES.items():
        send = partial(upload, piece_bytes)
        yield Way(f"@tus/server, {name}", (node.pid,), send, remove)
        yield Way(f"@tus/server, {name}{SAME_WORK}", (node.pid,), send, remove, after=keep_and_hash)


def _last_segment(address: str) -> str:
    return address.rpartition("/")[2]
