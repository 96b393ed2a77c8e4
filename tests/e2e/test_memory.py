"""How much memory the service takes for large uploads and many downloads: sampled while they run.

Counted are its own pages (RssAnon + RssShmem), and every memfd that it or a child of it holds. The full sizes run under
`make torture`; what runs in `make test` is the same story with smaller numbers.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest

from tests.support.api import PLAYABLE, put_in, settled
from tests.support.films import Film, Films
from tests.support.huge import with_hole
from tests.support.media import framemd5
from tests.support.server import Server, running_server

MIB = 1 << 20
GIB = 1 << 30
SAMPLE_SECONDS = 0.02
DEADLINE_SECONDS = 300.0
CONNECTIONS = 64
RECEIVE_BYTES = 64 << 10
FILM = Film(size=(64, 64), audio=False)


class Watch:
    """The most memory that a service had while the block ran, in bytes; `before` is what it had at its beginning."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.before = self.peak = self._now()

    @property
    def added(self) -> int:
        """How much the peak is above the beginning."""
        return self.peak - self.before

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        print(f"before {self.before / MIB:.1f} MiB, at most {self.peak / MIB:.1f} MiB")

    def _now(self) -> int:
        return self._server.rss_bytes() + self._server.memfd_bytes()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self._now())


@contextmanager
def storing(directory: Path, memory_bytes: int) -> Iterator[Server]:
    """A service that only takes films and serves them."""
    with running_server(directory, upload_memory_bytes=memory_bytes, transcode_workers=0) as server:
        yield server


def peak_of_uploads(server: Server, films: list[Path], *, announced: bool = True) -> Watch:
    """Upload all of them at the same time, each streamed from its file."""

    def send(film: Path) -> None:
        with server.client(timeout=DEADLINE_SECONDS) as client:
            if announced:
                asset = put_in(client, film)
            else:
                with film.open("rb") as file:
                    pieces = iter(lambda: file.read(MIB), b"")
                    answer = client.put("/api/v1/assets", content=pieces)
                assert answer.status_code == 201, answer.text
                asset = answer.json()
        assert asset["size"] == film.stat().st_size

    with Watch(server) as watch, ThreadPoolExecutor(len(films)) as pool:
        list(pool.map(send, films))
    return watch


@pytest.mark.parametrize("announced", [True, False], ids=["of known length", "of unknown length"])
def test_an_upload_larger_than_the_memory_for_uploads_takes_no_more_than_that(
    tmp_path: Path, films: Films, announced: bool
) -> None:
    film = with_hole(films.film(FILM), tmp_path / "large.mp4", 160 * MIB)
    with storing(tmp_path, 32 * MIB) as server:
        assert peak_of_uploads(server, [film], announced=announced).added < (32 + 48) * MIB


@pytest.mark.torture
@pytest.mark.parametrize("announced", [True, False], ids=["of known length", "of unknown length"])
def test_an_upload_of_2_gb_takes_less_than_450_mb(tmp_path: Path, films: Films, announced: bool) -> None:
    film = with_hole(films.film(FILM), tmp_path / "large.mp4", 2_000_000_000)
    with storing(tmp_path, 256 * MIB) as server:
        assert peak_of_uploads(server, [film], announced=announced).peak < 450_000_000


def test_parallel_uploads_share_the_memory_for_uploads(tmp_path: Path, films: Films) -> None:
    film = with_hole(films.film(FILM), tmp_path / "large.mp4", 20 * MIB)
    with storing(tmp_path, 32 * MIB) as server:
        assert peak_of_uploads(server, [film] * 8).added < (32 + 48) * MIB


@pytest.mark.torture
@pytest.mark.parametrize("announced", [True, False], ids=["of known length", "of unknown length"])
def test_8_uploads_of_200_mb_take_less_than_450_mb(tmp_path: Path, films: Films, announced: bool) -> None:
    film = with_hole(films.film(FILM), tmp_path / "large.mp4", 200_000_000)
    with storing(tmp_path, 256 * MIB) as server:
        assert peak_of_uploads(server, [film] * 8, announced=announced).peak < 450_000_000


class Readers:
    """Downloads of one address over plain sockets, so that the reader's own buffers are known and small."""

    def __init__(self, port: int, address: str) -> None:
        self._port = port
        self._request = f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        self.received = 0

    async def run(self, count: int, *, seconds: float, pause: float) -> None:
        """`count` readers, each taking 64 KiB, then a break of `pause` seconds, until `seconds` are over."""
        over = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._read(over, pause))

    async def _read(self, over: float, pause: float) -> None:
        loop = asyncio.get_running_loop()
        buffer = bytearray(RECEIVE_BYTES)
        with socket.socket() as connection:
            connection.setblocking(False)
            await loop.sock_connect(connection, ("127.0.0.1", self._port))
            await loop.sock_sendall(connection, self._request)
            while loop.time() < over and (count := await loop.sock_recv_into(connection, buffer)):
                self.received += count
                await asyncio.sleep(pause)


async def memory_of_downloads(directory: Path, film: Path, *, seconds: float, pause: float) -> Watch:
    """64 downloads of `film` at the same time."""
    with storing(directory, 0) as server, server.client(timeout=DEADLINE_SECONDS) as client:
        asset_id = put_in(client, film)["id"]
        asset = await asyncio.to_thread(settled, server, asset_id, DEADLINE_SECONDS, PLAYABLE)
        readers = Readers(server.port, asset["playback"]["original"]["url"])
        # Once before it counts: what the first response loads stays.
        await readers.run(1, seconds=0.5, pause=0)
        with Watch(server) as watch:
            await readers.run(CONNECTIONS, seconds=seconds, pause=pause)
        print(f"{readers.received / MIB:.0f} MiB received")
        assert readers.received > CONNECTIONS * MIB
        assert client.get("/livez").status_code == 200
    return watch


@pytest.mark.parametrize(
    "pause", [0, pytest.param(0.05, marks=pytest.mark.torture)], ids=["as fast as they can", "slowly"]
)
async def test_many_downloads_add_little(tmp_path: Path, films: Films, pause: float) -> None:
    film = with_hole(films.film(FILM), tmp_path / "large.mp4", 128 * MIB)
    watch = await memory_of_downloads(tmp_path, film, seconds=3, pause=pause)
    assert watch.added < 64_000_000


@pytest.mark.torture
@pytest.mark.parametrize("pause", [0, 0.05, 1], ids=["as fast as they can", "slowly", "hardly"])
async def test_64_downloads_of_1_gb_add_less_than_64_mb(tmp_path: Path, films: Films, pause: float) -> None:
    film = with_hole(films.film(FILM), tmp_path / "large.mp4", 1_000_000_000)
    watch = await memory_of_downloads(tmp_path, film, seconds=30, pause=pause)
    assert watch.added < 64_000_000


@pytest.mark.torture
def test_a_film_of_5_gib_plays_moov_first(tmp_path: Path, films: Films) -> None:
    small = films.film(FILM)
    film = with_hole(small, tmp_path / "large.mp4", 5 * GIB)
    with storing(tmp_path, 256 * MIB) as server, server.client(timeout=DEADLINE_SECONDS) as client:
        with Watch(server) as watch:
            asset_id = put_in(client, film)["id"]
        assert watch.peak < 450_000_000
        asset = settled(server, asset_id, DEADLINE_SECONDS, PLAYABLE)
        assert asset["state"] == "playable", asset["error"]
        address = asset["playback"]["original"]["url"]
        far_bytes_are_right(client, address, film)
        # ffmpeg seeks over the hole.
        assert framemd5(server.url + address) == framemd5(small)


def far_bytes_are_right(client: httpx.Client, address: str, film: Path) -> None:
    """Ranges beyond 4 GiB: the bytes of the upload, moved by the size of the `moov`, which came to the front."""
    start = fetched(client, address, 0, 65535)
    ftyp = int.from_bytes(start[:4])
    moov = int.from_bytes(start[ftyp : ftyp + 4])
    assert start[4:8] + start[ftyp + 4 : ftyp + 8] == b"ftypmoov"
    media_stop = film.stat().st_size - moov
    for at, count in [(4 * GIB - 500, 1000), (media_stop - 5000, 5000), (media_stop - 1, 1)]:
        with film.open("rb") as file:
            expected = os.pread(file.fileno(), count, at)
        assert digest(fetched(client, address, at + moov, at + moov + count - 1)) == digest(expected)


def fetched(client: httpx.Client, address: str, first: int, last: int) -> bytes:
    answer = client.get(address, headers={"Range": f"bytes={first}-{last}"})
    assert answer.status_code == 206
    assert len(answer.content) == last - first + 1
    return answer.content


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
