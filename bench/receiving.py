"""Films of 1 GB that come in, one and sixteen at once: the service by PUT and by form, nginx's own PUT, Starlette's form parser.

`python -m bench uploads` has the other ways in, and what comes through nginx.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench import films, peers
from bench.costs import PeakMemory, cpu_seconds
from bench.figures import table
from bench.pace import Pace, in_turns
from bench.sending import Answer, Sender, keep_and_hash, post_form, put, unlink
from bench.service import await_state
from tests.support.server import Server, running_server

FILM_BYTES = 1_000_000_000
TOGETHER = 16
# On the disk at once: what came in, where a parser of forms puts it first, the film itself, and some room.
FILMS_ON_DISK = 2 * TOGETHER + 4
ASSETS = "/api/v1/assets"
NGINX = "nginx, PUT"
NOTE = (
    "Ours answers when the film is on the disk (fsync), its SHA-256 is known and ffprobe has read it. The others do none of\n"
    "that: the second figure has fsync and SHA-256 by hand for each film.\n"
)


@dataclass(frozen=True)
class Receiver:
    """Who takes films: its processes, how one is sent (what was made is returned), and how that is removed."""

    name: str
    pid: int
    send: Callable[[], str]
    remove: Callable[[str], None]
    finished: bool = False  # nothing is left to be done by hand


@dataclass(frozen=True)
class Taken:
    """So many films, for each GB: seconds, CPU seconds, those of what is done by hand; and bytes of memory in all."""

    seconds: float
    cpu: float
    by_hand: float
    peak: int


def measure(work: Path, pace: Pace) -> Iterator[str]:
    """Two tables."""
    room = shutil.disk_usage(work).free // FILMS_ON_DISK
    size = 32 << 20 if pace.quick else min(FILM_BYTES, room)
    film = films.padded(films.film(work, films.PIECE_SECONDS), size)
    with tempfile.TemporaryDirectory(dir=work) as directory, receivers(Path(directory), film) as who:
        for count in (1, TOGETHER):
            rounds = pace if count == 1 else pace._replace(rounds=1)
            found = in_turns(who, rounds, partial(_taken, count=count, size=size))
            nginx = median(one.cpu + one.by_hand for one in found[NGINX])
            rows = [_row(receiver, found[receiver.name], nginx) for receiver in who]
            header = ("", "s/GB", "CPU s/GB", "with fsync and SHA-256", "of nginx", "peak memory")
            title = f"{count} at once, {size / 1e9:.2f} GB each, {rounds.rounds} times"
            yield table(f"Uploads: {title}", header, rows, f"receiving-{count}")
    film.unlink()
    yield NOTE


def _row(receiver: Receiver, found: Sequence[Taken], nginx: float) -> tuple[str, ...]:
    whole = median(one.cpu + one.by_hand for one in found)
    return (
        receiver.name,
        f"{median(one.seconds for one in found):.2f}",
        "" if receiver.finished else f"{median(one.cpu for one in found):.2f}",
        f"{whole:.2f}",
        f"{whole / nginx:.2f}",
        f"{median(one.peak for one in found) / 1e6:.0f} MB",
    )


def _taken(receiver: Receiver, *, count: int, size: int) -> Taken:
    cpu, begun = cpu_seconds(receiver.pid), time.perf_counter()
    with PeakMemory(receiver.pid) as memory, ThreadPoolExecutor(count) as threads:
        made = list(threads.map(lambda _: receiver.send(), range(count)))
        seconds = time.perf_counter() - begun
    cpu, own = cpu_seconds(receiver.pid) - cpu, time.thread_time()
    if not receiver.finished:
        for path in made:
            keep_and_hash(path)
    own = time.thread_time() - own
    for one in made:
        receiver.remove(one)
    os.sync()  # what the disk has still to do must not slow down the next one
    gigabytes = count * size / 1e9
    return Taken(seconds / gigabytes, cpu / gigabytes, own / gigabytes, memory.bytes)


@contextmanager
def receivers(directory: Path, film: Path) -> Iterator[list[Receiver]]:
    """All of them, running."""
    with ExitStack() as stack:
        server = stack.enter_context(running_server(directory, transcode_workers=0))
        key = {"Authorization": f"Bearer {server.token}"}
        nginx = stack.enter_context(peers.static_nginx(directory / "nginx", peers.TAKES_UPLOADS))
        peer = stack.enter_context(peers.application("peer_starlette", directory / "starlette"))
        ours = partial(Sender, server.url, film, key)
        remove = partial(_delete, server)
        names = iter(range(10_000))

        def by_put() -> str:
            name = f"{next(names)}.mp4"
            with Sender(nginx.url, film, {}) as sender:
                put(sender, f"/{name}")
            return str(nginx.files / name)

        def by_form() -> str:
            name = f"{next(names)}.mp4"
            with Sender(f"http://127.0.0.1:{peer.port}", film, {}, name=name) as sender:
                post_form(sender, "/")
            return str(peer.files / name)

        yield [
            Receiver("media_service, PUT", server.pid, partial(_sent, ours, _put), remove, finished=True),
            Receiver("media_service, form", server.pid, partial(_sent, ours, _form), remove, finished=True),
            Receiver(NGINX, nginx.pid, by_put, unlink),
            Receiver("Starlette, form", peer.pid, by_form, unlink),
        ]


def _sent(connect: Callable[[], Sender], send: Callable[[Sender], Answer]) -> str:
    with connect() as sender:
        return send(sender).headers["location"].rpartition("/")[2]


def _put(sender: Sender) -> Answer:
    return put(sender, f"{ASSETS}?filename={sender.name}")


def _form(sender: Sender) -> Answer:
    return post_form(sender, ASSETS)


def _delete(server: Server, asset_id: str) -> None:
    await_state(server, asset_id, "playable", "ready")
    with server.client() as client:
        client.delete(f"{ASSETS}/{asset_id}").raise_for_status()
