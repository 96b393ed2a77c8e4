"""Clients that leave, assets that go, blobs that are missing or too short: what a response does in the middle of it."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_service.web.send import PIECE_BYTES
from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.nginx import Nginx, running_nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server, running_server
from tests.support.uploads import padded

MIB = 1 << 20
BIG = 200 * MIB
# What the service reads besides: request heads, the catalog's pages, /proc nothing.
BESIDES = 64 << 10
SEEKS = 200
STILL_LOOKS = 15  # one each 10 ms
SMALL_WINDOW = 64 << 10  # of the client, so that the sockets in between hold little


@pytest.fixture(scope="module")
def player_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that transcodes nothing: all that it reads, it reads for viewers."""
    with running_server(tmp_path_factory.mktemp("player"), transcode_workers=0) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(player_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("player-nginx"), player_server.port) as running:
        yield running


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1, moov_at_end=False)).read_bytes()


@pytest.fixture(scope="module")
def big(player_server: Server, film: bytes) -> dict[str, Any]:
    """An asset of 200 MB, of which nothing more is made."""
    with player_server.client() as client:
        asset = upload(client, padded(film, BIG))

        def done() -> bool:
            asset.update(client.get(f"/api/v1/assets/{asset['id']}").json())
            return asset["playback"]["poster"] is not None

        wait_until(done, 60, "the poster is made")
        return asset


def original(asset: dict[str, Any]) -> str:
    return str(asset["playback"]["original"]["url"])


def collect(pieces: Iterator[bytes], into: bytearray) -> None:
    """Read to the end, or to where it breaks off."""
    for piece in pieces:
        into += piece


def blob(server: Server, asset: dict[str, Any]) -> Path:
    return server.data_dir / "blobs" / str(asset["id"]) / "original"


def bytes_read(server: Server) -> int:
    """All that the process has ever read, from files as from sockets (proc(5), rchar)."""
    lines = Path(f"/proc/{server.pid}/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("rchar:")).split()[1])


def settle(server: Server) -> int:
    """`bytes_read` once it stands still: what is sent waits for the client, or nothing is sent."""
    seen: deque[int] = deque(maxlen=STILL_LOOKS)

    def still() -> bool:
        seen.append(bytes_read(server))
        return len(seen) == STILL_LOOKS and seen[0] == seen[-1]

    wait_until(still, 20, "the service reads no more")
    return seen[-1]


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_the_service_stops_reading_when_the_viewer_leaves(
    player_server: Server, proxy: Nginx, big: dict[str, Any], through: str
) -> None:
    port = player_server.port if through == "direct" else proxy.port
    idle = settle(player_server)
    with RawConnection(port, receive_buffer=SMALL_WINDOW) as viewer:
        viewer.request("GET", original(big), {"Range": "bytes=0-"})
        assert viewer.head().status == 206
        assert len(viewer.body(SMALL_WINDOW)) >= SMALL_WINDOW
        waiting = settle(player_server)
        # A viewer that pauses holds the service back: it reads no further than buffers reach.
        assert waiting - idle < 16 * MIB
    assert settle(player_server) - waiting <= PIECE_BYTES + BESIDES


def test_hundreds_of_seeks_leave_nothing_behind(player_server: Server, big: dict[str, Any]) -> None:
    dice = random.Random(11)
    with httpx.Client(base_url=player_server.url) as prober:
        prober.get("/livez")
        settle(player_server)
        idle, before = player_server.open_descriptors(), bytes_read(player_server)
        for _ in range(SEEKS):
            start = dice.randrange(BIG - MIB)
            with RawConnection(player_server.port, receive_buffer=SMALL_WINDOW) as viewer:
                viewer.request("GET", original(big), {"Range": f"bytes={start}-"})
                head = viewer.head()
                assert head.headers["content-range"] == f"bytes {start}-{BIG - 1}/{BIG}"
                viewer.body(1000)
        wait_until(lambda: player_server.open_descriptors() <= idle, 10, "all descriptors are closed")
        assert settle(player_server) - before < SEEKS * 8 * MIB
        assert prober.get("/livez").status_code == 200
    assert "Traceback" not in player_server.log_text()


@pytest.mark.parametrize("through", ["direct", "nginx"])
def test_an_asset_deleted_while_it_is_sent_is_sent_to_its_end(
    player_server: Server, proxy: Nginx, film: bytes, through: str
) -> None:
    content = padded(film, 40 * MIB)
    url = player_server.url if through == "direct" else proxy.url
    with player_server.client() as client, player_server.client(url=url) as viewer:
        asset = await_state(client, upload(client, content)["id"], "playable")
        digest, size = hashlib.sha256(), 0
        with viewer.stream("GET", original(asset)) as answer:
            for piece in answer.iter_bytes(MIB):
                if size == 0:
                    assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
                    assert not blob(player_server, asset).exists()
                digest.update(piece)
                size += len(piece)
        assert (size, digest.digest()) == (len(content), hashlib.sha256(content).digest())
        assert_problem(viewer.get(original(asset)), 404, "not_found")


def test_a_missing_blob_is_an_error_before_the_first_byte(player_server: Server, film: bytes) -> None:
    with player_server.client() as client:
        asset = await_state(client, upload(client, film)["id"], "playable")
        blob(player_server, asset).unlink()
        answer = client.get(original(asset))
        assert_problem(answer, 404, "not_found")
        # An error is no representation of the film: it must not be kept for a year.
        assert {"etag", "accept-ranges", "content-range"}.isdisjoint(answer.headers)
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("through", ["direct", "nginx"])
@pytest.mark.parametrize("wanted", ["whole", "range"])
def test_a_body_that_breaks_off_never_looks_whole(
    player_server: Server, proxy: Nginx, film: bytes, through: str, wanted: str
) -> None:
    content = padded(film, 8 * MIB)
    url = player_server.url if through == "direct" else proxy.url
    headers = {"Range": "bytes=1000-"} if wanted == "range" else {}
    with player_server.client() as client, player_server.client(url=url) as viewer:
        asset = await_state(client, upload(client, content)["id"], "playable")
        with blob(player_server, asset).open("r+b") as stored:
            stored.truncate(3 * MIB + 17)
        received = bytearray()
        with viewer.stream("GET", original(asset), headers=headers) as answer:
            assert answer.status_code in {200, 206}
            pieces = answer.iter_bytes()
            with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                collect(pieces, received)
        start = 1000 if headers else 0
        assert received == content[start : start + len(received)]
        assert len(received) <= 3 * MIB + 17
        assert client.get("/livez").status_code == 200


def test_a_blob_cut_while_it_is_sent_breaks_the_body_off(player_server: Server, film: bytes) -> None:
    content = padded(film, 40 * MIB)
    with player_server.client() as client:
        asset = await_state(client, upload(client, content)["id"], "playable")
        with RawConnection(player_server.port, receive_buffer=SMALL_WINDOW) as viewer:
            viewer.request("GET", original(asset))
            head = viewer.head()
            received = viewer.body(SMALL_WINDOW)
            settle(player_server)
            with blob(player_server, asset).open("r+b") as stored:
                stored.truncate(20 * MIB)
            received += viewer.rest()
        assert int(head.headers["content-length"]) == len(content)
        assert received == content[: len(received)]
        assert len(received) <= 20 * MIB
        assert client.delete(f"/api/v1/assets/{asset['id']}").status_code == 204
