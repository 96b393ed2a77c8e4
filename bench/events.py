"""A thousand listeners to Server-Sent Events: what each of them takes of memory, and when the last one has heard.

The peer is an ASGI application on the same uvicorn that does nothing but send the same bytes to as many.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import httpx

from bench import films
from bench.costs import cpu_seconds
from bench.figures import table
from bench.service import await_state, upload
from tests.support.nginx import free_port, listens
from tests.support.processes import rss_bytes, wait_until
from tests.support.server import CHECKOUT, Server, running_server

LISTENERS = 1000
ROUNDS = 20  # events, each heard by every listener
PAUSE_SECONDS = 0.4  # more than there is between two states of one film
FILM_SECONDS = 60
HEADER = ("", "KiB each", "p50", "p99", "CPU ms per event", "events lost", "p50, p99 x peer")

Publish = Callable[[str], Awaitable[object]]


class Listener(asyncio.Protocol):
    """One connection that notes when it hears what."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._rest = b""
        self.begun = asyncio.Event()
        self.heard: dict[bytes, float] = {}
        self.awaited = b""
        self.on_heard: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note it."""
        text = self._rest + data
        if b"retry: " in text:
            self.begun.set()
        if self.awaited and self.awaited in text:
            self.heard[self.awaited] = time.perf_counter()
            self.awaited, self._rest = b"", b""
            self.on_heard()
        else:
            self._rest = text[-len(self.awaited) or len(text) :]


def measure(work: Path) -> list[str]:
    """One table."""
    film = films.film(work, FILM_SECONDS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * LISTENERS + 200)), hard))
    with tempfile.TemporaryDirectory(dir=work) as directory, plain_server() as (plain, pid):
        with running_server(Path(directory), transcode_workers=0) as server:
            asset_id, _ = upload(server, film)
            await_state(server, asset_id, "playable", "ready")
            wait_until(lambda: _is_whole(server, asset_id), 120, "nothing else changes any more")
            ours = asyncio.run(_ours(server, asset_id))
            with server.client() as client:
                body = client.get(f"/api/v1/assets/{asset_id}").content
        peer = asyncio.run(_peer(plain, pid, body))
    ratio = f"{ours.at(50) / peer.at(50):.1f}, {ours.at(99) / peer.at(99):.1f}"
    title = f"An event of {len(body) / 1000:.0f} kB heard by {LISTENERS} listeners, from its cause on"
    return [table(title, HEADER, [(*ours.row("ours"), ratio), (*peer.row("a bare uvicorn"), "")])]


def _is_whole(server: Server, asset_id: str) -> bool:
    with server.client() as client:
        asset = client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()
    playback = asset["playback"]
    made = playback["poster"] and playback["preview"] and playback["waveform"]
    return bool(made and asset["previews"]["complete"])


class Heard:
    """What came of one run."""

    def __init__(self, seconds: list[float], bytes_each: float, cpu: float) -> None:
        self._percentiles = quantiles(seconds, n=100)
        self._lost = LISTENERS * ROUNDS - len(seconds)
        self._bytes_each = bytes_each
        self._cpu = cpu

    def at(self, percent: int) -> float:
        """The percentile of the latencies, in seconds."""
        return self._percentiles[percent - 1]

    def row(self, name: str) -> tuple[str, ...]:
        """For the table."""
        figures = (
            f"{self._bytes_each / 1024:.1f}",
            f"{1000 * self.at(50):.0f} ms",
            f"{1000 * self.at(99):.0f} ms",
        )
        return (name, *figures, f"{1000 * self._cpu / ROUNDS:.0f}", str(self._lost))


async def _ours(server: Server, asset_id: str) -> Heard:
    headers = {"Authorization": f"Bearer {server.token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:

        async def retitle(text: str) -> None:
            (await client.patch(f"/api/v1/assets/{asset_id}", json={"title": text})).raise_for_status()

        return await _run(server.url, "/api/v1/events", server.token, server.pid, retitle)


async def _peer(url: str, pid: int, body: bytes) -> Heard:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def post(text: str) -> None:
            event = b"id: 1\nevent: asset\ndata: %b\n\n" % body.replace(
                b"{", b'{"marker":"%b",' % text.encode(), 1
            )
            (await client.post("/", content=event)).raise_for_status()

        return await _run(url, "/", "", pid, post)


async def _run(url: str, path: str, token: str, pid: int, publish: Publish) -> Heard:
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def listen() -> Listener:
        _, listener = await loop.create_connection(lambda: Listener(request), "127.0.0.1", parts.port or 80)
        await listener.begun.wait()
        return listener

    first = [await listen() for _ in range(20)]  # what is made once for all is there by now
    await _round(first, publish, "warm")
    before = rss_bytes(pid)
    listeners = [await listen() for _ in range(LISTENERS)]
    for listener in first:
        listener.transport.close()
    await asyncio.sleep(PAUSE_SECONDS)
    seconds: list[float] = []
    cpu = cpu_seconds(pid)
    for number in range(ROUNDS):
        seconds += await _round(listeners, publish, f"round-{number}-of-many")
        await asyncio.sleep(PAUSE_SECONDS)
    heard = Heard(seconds, (rss_bytes(pid) - before) / (LISTENERS - len(first)), cpu_seconds(pid) - cpu)
    for listener in listeners:
        listener.transport.close()
    return heard


async def _round(listeners: list[Listener], publish: Publish, text: str) -> list[float]:
    """When each has heard of it, in seconds from the request that caused it on."""
    marker, left, everybody = text.encode(), len(listeners), asyncio.Event()

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            everybody.set()

    for listener in listeners:
        listener.awaited, listener.on_heard = marker, count
    started = time.perf_counter()
    await publish(text)
    try:
        async with asyncio.timeout(10):
            await everybody.wait()
    except TimeoutError:
        print(f"{left} have not heard of {text}", file=sys.stderr)
    return [listener.heard[marker] - started for listener in listeners if marker in listener.heard]


@contextmanager
def plain_server() -> Iterator[tuple[str, int]]:
    """The peer's address and process."""
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "uvicorn",
        "bench.plain_events:app",
        "--port",
        str(port),
        "--loop",
        "uvloop",
    ]
    process = subprocess.Popen(
        [*argv, "--http", "httptools", "--no-access-log", "--log-level", "warning"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    try:
        wait_until(lambda: listens(port), 30, "the peer listens")
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()
