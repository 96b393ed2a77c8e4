"""Who delivers the same film: the service, those it is compared with, and the service behind nginx. Each runs at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import films, peers
from bench.costs import family
from bench.load import Job, Kind, Result
from bench.service import await_state, upload
from tests.support.nginx import CONF, running_nginx
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server

OURS, NGINX, STARLETTE, STREAM = "media_service", "nginx", "Starlette FileResponse", "Litestar Stream"
BY_DEFAULT, OUR_CONF, BY_ACCEL = "nginx, its defaults", "nginx, k8s/nginx.conf", "nginx, X-Accel-Redirect"
BY_SOCKET = "nginx, k8s/nginx.conf, Unix socket"
JOB_SECONDS = 120.0


@dataclass(frozen=True)
class Contender:
    """A way to the film: where it is, and all processes that take part in it."""

    name: str
    port: int
    path: str
    size: int
    pids: tuple[int, ...]

    def load(
        self, kind: Kind, length: int, connections: int, seconds: float, *, pause: float = 0.0
    ) -> Result:
        """Put that load on it (`bench.load.Job`), from a process of its own. Raises RuntimeError."""
        job = Job(
            kind=kind,
            port=self.port,
            path=self.path,
            size=self.size,
            length=length,
            pids=sorted(family(*self.pids)),
            connections=connections,
            seconds=seconds,
            pause=pause,
        )
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", json.dumps(asdict(job))],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=JOB_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}, {kind} of {length}: {done.stderr[-500:]}")
        return Result(**json.loads(done.stdout))


@contextmanager
def direct(directory: Path, film: Path) -> Iterator[list[Contender]]:
    """The service, nginx and the two applications, each with a copy of `film` (a link to it, where that is enough)."""
    with ExitStack() as stack:
        # Bound as for viewers elsewhere. To clients on this machine alone it sends by another congestion control than the rest.
        server, path = stack.enter_context(service(directory, film, host="0.0.0.0"))  # noqa: S104 # loopback is who asks
        size = film.stat().st_size
        nginx = stack.enter_context(peers.static_nginx(directory / "nginx"))
        (nginx.files / film.name).hardlink_to(film)
        port = int(nginx.url.rpartition(":")[2])
        found = [
            Contender(OURS, server.port, path, size, (server.pid,)),
            Contender(NGINX, port, f"/{film.name}", size, (nginx.pid,)),
        ]
        for name, module in ((STARLETTE, "peer_starlette"), (STREAM, "peer_litestar")):
            peer = stack.enter_context(peers.application(module, film.parent))
            found.append(Contender(name, peer.port, f"/{film.name}", size, (peer.pid,)))
        yield found


@contextmanager
def behind_nginx(directory: Path, film: Path) -> Iterator[list[Contender]]:
    """nginx alone, and in front of the service in each way that there is; with one worker each time."""
    with ExitStack() as stack:
        size, conf = film.stat().st_size, one_worker(directory)
        nginx = stack.enter_context(peers.static_nginx(directory / "nginx"))
        (nginx.files / film.name).hardlink_to(film)
        found = [Contender(NGINX, int(nginx.url.rpartition(":")[2]), f"/{film.name}", size, (nginx.pid,))]

        server, path = stack.enter_context(service(directory / "tcp", film))
        plain = stack.enter_context(
            peers.static_nginx(directory / "plain", peers.PROXY, f"127.0.0.1:{server.port}")
        )
        port = int(plain.url.rpartition(":")[2])
        found.append(Contender(BY_DEFAULT, port, path, size, (plain.pid, server.pid)))
        front = stack.enter_context(running_nginx(directory / "front", server.port, conf))
        found.append(Contender(OUR_CONF, front.port, path, size, (front.pid, server.pid)))

        socket = directory / "socket"
        server, path = stack.enter_context(service(directory / "unix", film, unix_socket=socket))
        front = stack.enter_context(running_nginx(directory / "socket-front", socket, conf))
        found.append(Contender(BY_SOCKET, front.port, path, size, (front.pid, server.pid)))

        server, path = stack.enter_context(service(directory / "accel", film, accel_prefix="/_blobs/"))
        blobs = server.data_dir / "blobs"
        front = stack.enter_context(running_nginx(directory / "accel-front", server.port, conf, blobs=blobs))
        found.append(Contender(BY_ACCEL, front.port, path, size, (front.pid, server.pid)))
        yield found


@contextmanager
def service(directory: Path, film: Path, **settings: Any) -> Iterator[tuple[Server, str]]:
    """A service with these settings that has `film` and nothing left to do, and the film's path."""
    directory.mkdir(exist_ok=True)
    chosen: dict[str, Any] = {"transcode_workers": 0}
    # The film comes by TCP in any case, and the service is then started again as it is to be.
    with running_server(directory, **chosen) as server:
        asset_id, _ = upload(server, film)
        await_state(server, asset_id, "playable", "ready")
        wait_until(lambda: is_whole(server, asset_id), 300, "nothing is left to do for the film")
    with running_server(directory, **chosen, **settings) as server:
        yield server, f"/media/{asset_id}/original.mp4"


def is_whole(server: Server, asset_id: str) -> bool:
    """Is all made that is made of a film without anybody asking, but for its renditions?"""
    with server.client() as client:
        asset = client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()
    playback = asset["playback"]
    made = playback["poster"] and playback["preview"] and playback["waveform"]
    return bool(made and asset["previews"]["complete"])


def one_worker(directory: Path) -> Path:
    """A copy of k8s/nginx.conf with one worker, as all that are compared have one process that sends, and with room for
    two thousand viewers in it (4,000 connections)."""
    text = CONF.read_text()
    for old, new in (
        ("worker_processes 2;", "worker_processes 1;"),
        ("worker_connections 2048;", "worker_connections 8192;"),
        ("worker_rlimit_nofile 4096;", "worker_rlimit_nofile 16384;"),
        # Nobody asks for a thousand ranges by one connection but this client, which does not expect its end.
        ("keepalive_timeout 75s;", "keepalive_timeout 75s; keepalive_requests 100000000;"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    path = directory / "one-worker.conf"
    path.write_text(text)
    return path


def delivered_film(work: Path, size: int) -> Path:
    """The film that is delivered: its index in front, `size` bytes. It is in the page cache when this returns."""
    path = films.padded(films.film(work, films.PIECE_SECONDS), size)
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass
    return path
