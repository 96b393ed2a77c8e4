"""What UNSENT_BYTES is good for, and what it costs: bytes that a server has written for viewers who were gone, and CPU time.

Unlike `bench.abandoned`, which asks what came to the viewer, this counts what the server's processes have written
(`wchar` of proc(5), io: sendfile(2) counts there): what was read from the disk and handed over for nobody.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

from bench import peers
from bench.contenders import NGINX, Contender, delivered_film, service
from bench.costs import family, ticks_seconds
from bench.figures import table
from bench.pace import Pace, in_turns

SIZES = (0, 128 << 10, 256 << 10)  # 0: the kernel's own
FILM_BYTES = 100_000_000  # more than a reader takes in the time
SEEK_BYTES = 64 << 10  # what a viewer reads before he jumps elsewhere
LINGER_SECONDS = 0.05  # or until he does: long enough to fill every buffer
READERS = 8
PACE = 100e6  # bytes per second that the readers take together
PIECE_BYTES = 32 << 10
SETTLE_SECONDS = 0.3


def measure(work: Path, pace: Pace) -> Iterator[str]:
    """One table: nginx, and the service with some values of the setting, in turns."""
    film = delivered_film(work, FILM_BYTES // 4 if pace.quick else FILM_BYTES)
    seeks = 20 if pace.quick else 200
    with ExitStack() as stack:
        contenders = list(_contenders(stack, work, film))
        at_once = in_turns(contenders, pace, lambda one: lost(one, seeks, 0.0))
        later = in_turns(contenders, pace, lambda one: lost(one, seeks // 5, LINGER_SECONDS))
        cost = in_turns(contenders, pace, lambda one: paced_cost(one, 3 * pace.seconds))
    rows = [
        (
            one.name,
            f"{median(at_once[one.name]) / 1e6:.2f} MB",
            f"{median(later[one.name]) / 1e6:.2f} MB",
            f"{median(cost[one.name]):.3f}",
        )
        for one in contenders
    ]
    after = f"gone after {LINGER_SECONDS * 1000:.0f} ms"
    header = ("", "lost, gone at once", f"lost, {after}", "CPU s/GB, paced readers")
    yield table("Bytes written for viewers who had gone, and the price of few", header, rows, "unsent")


def _contenders(stack: ExitStack, work: Path, film: Path) -> Iterator[Contender]:
    nginx = stack.enter_context(peers.static_nginx(work / "unsent-nginx"))
    (nginx.files / film.name).hardlink_to(film)
    size = film.stat().st_size
    yield Contender(NGINX, int(nginx.url.rpartition(":")[2]), f"/{film.name}", size, (nginx.pid,))
    for unsent in SIZES:
        server, path = stack.enter_context(service(work / f"unsent-{unsent}", film, unsent_bytes=unsent))
        yield Contender(f"UNSENT_BYTES={unsent}", server.port, path, size, (server.pid,))


def lost(one: Contender, seeks: int, linger: float) -> float:
    """Bytes per seek that the server wrote and the viewer never read; he is gone `linger` seconds after what he read."""
    pids = family(*one.pids)
    places = random.Random(8)  # noqa: S311 # the same places each time
    before, read = _written(pids), 0
    for _ in range(seeks):
        with _asked(one, places.randrange(one.size // 2)) as viewer:
            read += len(viewer.recv(SEEK_BYTES, socket.MSG_WAITALL))
            time.sleep(linger)
    time.sleep(
        SETTLE_SECONDS
    )  # there is nothing to await: what a server writes to a closed connection it tells nobody
    return (_written(pids) - before - read) / seeks


def paced_cost(one: Contender, seconds: float) -> float:
    """CPU seconds of the server per GB, for readers that take PACE bytes a second together."""
    pids, place = sorted(family(*one.pids)), bytearray(PIECE_BYTES)
    with ExitStack() as stack:
        readers = [stack.enter_context(_asked(one, 0)) for _ in range(READERS)]
        time.sleep(SETTLE_SECONDS)  # the buffers fill
        cpu, begun, read = ticks_seconds(pids), time.monotonic(), 0
        while time.monotonic() < begun + seconds:
            for reader in readers:
                read += reader.recv_into(place, PIECE_BYTES, socket.MSG_TRUNC)
            time.sleep(max(0.0, begun + read / PACE - time.monotonic()))
        return (ticks_seconds(pids) - cpu) / (read / 1e9)


def _asked(one: Contender, start: int) -> closing[socket.socket]:
    viewer = socket.create_connection(("127.0.0.1", one.port), timeout=20)
    viewer.sendall(f"GET {one.path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={start}-\r\n\r\n".encode())
    return closing(viewer)


def _written(pids: set[int]) -> int:
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("wchar:"))
