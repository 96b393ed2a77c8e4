"""Films that nginx reads itself (ACCEL_PREFIX): to its client no different from those that the service sends, and as hard to get."""

from __future__ import annotations

import os
import re
import signal
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from media_service.wire.signatures import PlaybackToken, sign
from tests.support.assets import assert_problem, await_extras, await_state, upload
from tests.support.films import Film, Films
from tests.support.nginx import CONF, Nginx, running_nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server, running_server

MIB = 1 << 20
KEY = bytes(range(32))
ORIGIN = "https://player.example"
PREFIX = "/_blobs/"
FILM = Film(seconds=6, size=(640, 480), moov_at_end=False)
BEHIND_ITS_INDEX = 64 * MIB  # more than all buffers on the way hold

BY_NGINX = (
    "original.mp4",
    "download",
    "poster.jpg",
    "hls/240p/0.m4s",
    "preview.mp4",
    "preview.webp",
    "waveform.json",
)
BY_THE_SERVICE = (
    "hls/source/0.m4s",
    "hls/240p/init.mp4",
    "240p.mp4",
    "audio.m4a",
    "storyboard/0.jpg",
    "storyboard/tiles/0.jpg",
    "hls/images/0.m4s",
    "hls/master.m3u8",
    "dash/manifest.mpd",
    "storyboard.json",
    "frame.jpg?t=1&width=64",
    "absent.mp4",
)

ASKED: dict[str, tuple[str, dict[str, str]]] = {
    "whole": ("GET", {}),
    "first byte": ("GET", {"Range": "bytes=0-0"}),
    "two bytes": ("GET", {"Range": "bytes=0-1"}),
    "middle": ("GET", {"Range": "bytes=700-1500"}),
    "open": ("GET", {"Range": "bytes=100-"}),
    "from the start": ("GET", {"Range": "bytes=0-"}),
    "end": ("GET", {"Range": "bytes=-100"}),
    "longer than it is": ("GET", {"Range": "bytes=-999999999999"}),
    "over its end": ("GET", {"Range": "bytes=50-999999999999"}),
    "beyond its end": ("GET", {"Range": "bytes=999999999999-"}),
    "nothing": ("GET", {"Range": "bytes=-0"}),
    "backwards": ("GET", {"Range": "bytes=9-3"}),
    "several": ("GET", {"Range": "bytes=0-9,100-109"}),
    "several that touch": ("GET", {"Range": "bytes=0-9,10-19"}),
    "no unit that is": ("GET", {"Range": "lines=0-1"}),
    "other letters": ("GET", {"Range": "Bytes=0-1"}),
    "head": ("HEAD", {}),
    "head of a range": ("HEAD", {"Range": "bytes=0-1"}),
    "on another origin": ("GET", {"Origin": ORIGIN, "Range": "bytes=0-1"}),
    "on one that may not": ("GET", {"Origin": "https://evil.example"}),
    "known": ("GET", {"If-None-Match": "{etag}"}),
    "known, weakly": ("GET", {"If-None-Match": 'W/{etag}, "other"'}),
    "any known": ("GET", {"If-None-Match": "*"}),
    "changed": ("GET", {"If-None-Match": '"other"'}),
    "changed, a range": ("GET", {"If-None-Match": '"other"', "Range": "bytes=5-9"}),
    "seen lately": ("GET", {"If-Modified-Since": "Fri, 20 Nov 2099 11:33:00 GMT"}),
    "seen long ago": ("GET", {"If-Modified-Since": "Fri, 20 Nov 1999 11:33:00 GMT"}),
    "the same": ("GET", {"If-Match": "{etag}"}),
    "not the same": ("GET", {"If-Match": '"other"'}),
    "whichever": ("GET", {"If-Match": "*"}),
    "unmodified lately": ("GET", {"If-Unmodified-Since": "Fri, 20 Nov 2099 11:33:00 GMT"}),
    "unmodified long ago": ("GET", {"If-Unmodified-Since": "Fri, 20 Nov 1999 11:33:00 GMT"}),
    "if the same": ("GET", {"If-Range": "{etag}", "Range": "bytes=5-9"}),
    "if not the same": ("GET", {"If-Range": '"other"', "Range": "bytes=5-9"}),
    "if of that time": ("GET", {"If-Range": "{time}", "Range": "bytes=5-9"}),
    "compressed": ("GET", {"Accept-Encoding": "gzip, br"}),
    "forged": ("GET", {"X-Accel-Mapping": "/etc/", "X-Accel-Redirect": "/_blobs/x"}),
}


class House(NamedTuple):
    """A service, an nginx that reads its files, and one that does not."""

    server: Server
    client: httpx.Client
    viewer: httpx.Client
    reading: Nginx
    asking: Nginx
    film: str

    def ask(self, proxy: Nginx, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Through one of the two, with these headers and Host alone."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.viewer.request(method, proxy.url + path, headers=told)

    def is_redirected(self, path: str) -> bool:
        """Whether the service leaves it to an nginx."""
        answer = self.viewer.get(self.server.url + path, headers={"X-Accel-Mapping": PREFIX})
        assert ("x-accel-redirect" in answer.headers) == (answer.status_code == 502)
        return answer.status_code == 502


@pytest.fixture(scope="module")
def film(films: Films) -> Path:
    """One that is served as it is stored: its index comes first."""
    return films.film(FILM)


@pytest.fixture(scope="module")
def large(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same before much that no player looks at."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    padding = os.urandom(BEHIND_ITS_INDEX - 8)
    path.write_bytes(film.read_bytes() + BEHIND_ITS_INDEX.to_bytes(4, "big") + b"free" + padding)
    return path


@pytest.fixture(scope="module")
def house(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    keys = f"k1:{urlsafe_b64encode(KEY).decode()}"
    directory = tmp_path_factory.mktemp("house")
    without = directory / "without.conf"
    mapped = "~^/(media|t)/ /_blobs/;"
    text = CONF.read_text()
    assert mapped in text
    without.write_text(text.replace(mapped, ""))
    with (
        running_server(directory, signing_keys=keys, cors_origins=ORIGIN, accel_prefix=PREFIX) as server,
        server.client() as client,
        # Each request on a connection of its own: what a single test opens it has to close.
        httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as viewer,
        running_nginx(directory / "reading", server.port, blobs=server.data_dir / "blobs") as reading,
        running_nginx(directory / "asking", server.port, without) as asking,
    ):
        asset = upload(client, film)["id"]
        await_state(client, asset, "ready")
        await_extras(client, asset)
        viewer.headers.clear()
        yield House(server, client, viewer, reading, asking, asset)


def token(asset: str, **said: int) -> str:
    lasting = {"expires_at": int(time.time()) + 600, **said}
    return sign(PlaybackToken(asset_id=asset, key_id="k1", **lasting), KEY)  # type: ignore[arg-type] # numbers


def told(answer: httpx.Response) -> list[tuple[str, str]]:
    """Its headers but for what no two answers share, and the seconds that a token is still good for."""
    return sorted(
        (name, re.sub("max-age=[0-9]{1,3},", "max-age=0,", value))
        for name, value in answer.headers.multi_items()
        if name not in {"date", "x-request-id"}
    )


def compared(house: House, address: str, names: Iterable[str]) -> None:
    known = house.ask(house.asking, address, "HEAD").headers
    validators = {"etag": known.get("etag", '"none"'), "time": known.get("last-modified", "never")}
    for name in names:
        method, headers = ASKED[name]
        filled = {key.replace("-", "_"): value.format(**validators) for key, value in headers.items()}
        first = house.ask(house.asking, address, method, **filled)
        second = house.ask(house.reading, address, method, **filled)
        assert first.status_code == second.status_code, f"{name}: {first.status_code} {second.status_code}"
        assert told(first) == told(second), name
        assert first.content == second.content, name
        assert len(second.headers.get_list("x-request-id")) == 1, name


@pytest.mark.parametrize("path", ["original.mp4", "poster.jpg", "hls/240p/0.m4s", "hls/source/0.m4s"])
def test_both_ways_answer_alike_however_they_are_asked(house: House, path: str) -> None:
    compared(house, f"/media/{house.film}/{path}", ASKED)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("path", [*BY_NGINX, *BY_THE_SERVICE])
def test_both_ways_answer_alike_for_all_of_a_film(house: House, path: str, signed: bool) -> None:
    address = f"/media/{house.film}/{path}"
    if signed:
        address = f"/t/{token(house.film)}{address}"
    assert house.is_redirected(address) == (path in BY_NGINX)
    compared(house, address, ("whole", "middle", "end", "head", "on another origin", "known"))


def test_an_old_client_is_answered_alike(house: House) -> None:
    target = f"/media/{house.film}/preview.mp4".encode()
    for extra in (b"", b"Range: bytes=5-9\r\n", b"Range: bytes=5-9\r\nRange: bytes=7-8\r\n"):
        answers = []
        for proxy in (house.asking, house.reading):
            with RawConnection(proxy.port) as connection:
                connection.send(b"GET " + target + b" HTTP/1.0\r\n" + extra + b"\r\n")
                head = connection.head()
                headers = {
                    name: value
                    for name, value in head.headers.items()
                    if name not in {"date", "x-request-id"}
                }
                answers.append((head.status, headers, connection.rest()))
        assert answers[0] == answers[1], extra


# --- the bytes --------------------------------------------------------------------------------------------------------


def test_the_service_takes_no_part_in_the_sending(house: House, large: Path) -> None:
    asset = upload(house.client, large)["id"]
    await_state(house.client, asset, "playable", "ready")
    with RawConnection(house.reading.port) as connection:
        connection.request("GET", f"/media/{asset}/original.mp4")
        size = int(connection.head().headers["content-length"])
        first = connection.body(MIB)
        os.kill(house.server.pid, signal.SIGSTOP)
        try:
            rest = connection.body(size - MIB)
        finally:
            os.kill(house.server.pid, signal.SIGCONT)
    assert first + rest == large.read_bytes()
    house.client.delete(f"/api/v1/assets/{asset}").raise_for_status()


def test_a_film_that_is_deleted_meanwhile_is_sent_to_its_end_and_then_is_gone(
    house: House, large: Path
) -> None:
    asset = upload(house.client, large)["id"]
    await_state(house.client, asset, "playable", "ready")
    address = f"/media/{asset}/original.mp4"
    with RawConnection(house.reading.port, receive_buffer=1 << 16) as connection:
        connection.request("GET", address)
        size = int(connection.head().headers["content-length"])
        first = connection.body(1000)
        assert house.client.delete(f"/api/v1/assets/{asset}").status_code == 204
        wait_until(lambda: not (house.server.data_dir / "blobs" / asset).exists(), 10, "its files are gone")
        for proxy in (house.reading, house.asking):
            assert_problem(house.ask(proxy, address), 404, "not_found")
            assert_problem(house.ask(proxy, address, Range="bytes=0-1"), 404, "not_found")
        assert first + connection.body(size - 1000) == large.read_bytes()


def test_a_film_whose_file_is_missing_is_not_found_and_no_empty_film(house: House, film: Path) -> None:
    asset = upload(house.client, film)["id"]
    await_state(house.client, asset, "playable", "ready")
    address = f"/media/{asset}/original.mp4"
    (house.server.data_dir / "blobs" / asset / "original").unlink()
    answers = [house.ask(proxy, address) for proxy in (house.asking, house.reading)]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].status_code >= 400
    assert told(answers[0]) == told(answers[1])
    assert answers[0].content == answers[1].content != b""
    house.client.delete(f"/api/v1/assets/{asset}").raise_for_status()


def test_an_nginx_without_the_volume_has_the_service_send(house: House, film: Path, tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", house.server.port, blobs=tmp_path / "absent") as proxy:
        for headers in ({}, {"Range": "bytes=5-9"}):
            wanted = house.ask(house.asking, f"/media/{house.film}/preview.mp4", **headers)
            found = house.ask(proxy, f"/media/{house.film}/preview.mp4", **headers)
            assert found.status_code == wanted.status_code
            assert told(found) == told(wanted)
            assert found.content == wanted.content


def test_connections_to_the_service_are_kept(house: House) -> None:
    address = f"/media/{house.film}/original.mp4"
    before = house.server.open_sockets()
    for start in range(200):
        answer = house.ask(house.reading, address, Range=f"bytes={start}-{start + 9}")
        assert answer.status_code == 206
    assert house.server.open_sockets() <= before + 2  # one for each process of nginx


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_token_opens_what_it_opens(house: House) -> None:
    address = f"/media/{house.film}/original.mp4"
    said = {
        "expired": token(house.film, expires_at=int(time.time()) - 5),
        "another's": token("another"),
        "forged": token(house.film)[:-4] + "AAAA",
        "for a part": token(house.film, window=(0, 1000)),  # type: ignore[arg-type] # milliseconds
        "for small pictures": token(house.film, max_height=100),
    }
    for name, text in said.items():
        answers = [
            house.ask(proxy, f"/t/{text}{address}", Range="bytes=0-9")
            for proxy in (house.asking, house.reading)
        ]
        assert answers[0].status_code == answers[1].status_code, name
        assert answers[0].status_code == (410 if name == "expired" else 403), name
        assert told(answers[0]) == told(answers[1]), name
        assert answers[0].content == answers[1].content, name


def test_a_signed_film_is_not_opened_by_its_address_alone(house: House, film: Path) -> None:
    asset = upload(house.client, film)["id"]
    await_state(house.client, asset, "playable", "ready")
    address = f"/media/{asset}/original.mp4"
    assert house.ask(house.reading, address, Range="bytes=0-9").status_code == 206
    house.client.patch(f"/api/v1/assets/{asset}", json={"visibility": "signed"}).raise_for_status()
    assert_problem(house.ask(house.reading, address, Range="bytes=0-9"), 403, "playback_denied")
    answer = house.ask(house.reading, f"/t/{token(asset)}{address}", Range="bytes=0-9")
    assert (answer.status_code, answer.content) == (206, film.read_bytes()[:10])
    assert_problem(house.ask(house.reading, f"{PREFIX}{asset}/original"), 404, "not_found")
    house.client.delete(f"/api/v1/assets/{asset}").raise_for_status()


def test_whoever_does_not_follow_the_redirect_gets_an_error_and_no_empty_film(house: House) -> None:
    for name in BY_NGINX:
        url = f"{house.server.url}/media/{house.film}/{name}"
        answer = house.viewer.get(url, headers={"X-Accel-Mapping": PREFIX})
        assert answer.status_code == 502
        assert "cache-control" not in answer.headers
        assert "content-disposition" not in answer.headers


def test_a_client_that_is_no_proxy_is_sent_the_film_whatever_it_says(tmp_path: Path, films: Films) -> None:
    with (
        running_server(
            tmp_path, accel_prefix=PREFIX, trusted_proxies="192.0.2.1", transcode_workers=0
        ) as server,
        server.client() as client,
    ):
        asset = upload(client, films.film(FILM))["id"]
        await_state(client, asset, "playable", "ready")
        for said in (PREFIX, "/", "/etc/"):
            answer = client.get(f"/media/{asset}/original.mp4", headers={"X-Accel-Mapping": said})
            assert answer.status_code == 200
            assert answer.content == films.film(FILM).read_bytes()
            assert "x-accel-redirect" not in answer.headers


def test_without_the_setting_nothing_is_redirected(server: Server, films: Films) -> None:
    with server.client() as client:
        asset = upload(client, films.film(FILM))["id"]
        await_state(client, asset, "playable", "ready")
        for said in (PREFIX, ""):
            answer = client.get(f"/media/{asset}/original.mp4", headers={"X-Accel-Mapping": said})
            assert answer.content == films.film(FILM).read_bytes()
        client.delete(f"/api/v1/assets/{asset}").raise_for_status()


def test_it_is_so_by_the_unix_socket_and_from_every_process(film: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, transcode_workers=0) as server, server.client() as client:
        asset = upload(client, film)["id"]
        await_state(client, asset, "playable", "ready")
    socket = tmp_path / "socket"
    settings: dict[str, Any] = {
        "unix_socket": socket,
        "workers": 2,
        "transcode_workers": 0,
        "accel_prefix": PREFIX,
    }
    with (
        running_server(tmp_path, **settings) as server,
        running_nginx(tmp_path / "nginx", socket, blobs=server.data_dir / "blobs") as proxy,
        running_nginx(tmp_path / "unable", socket, blobs=tmp_path / "absent") as unable,
    ):
        for one in (proxy, unable):
            for start in range(40):  # by many connections, so that both processes answer
                answer = httpx.get(
                    f"{one.url}/media/{asset}/original.mp4", headers={"Range": f"bytes={start}-{start + 9}"}
                )
                assert (answer.status_code, answer.content) == (206, film.read_bytes()[start : start + 10])
        wait_until(lambda: len(proxy.access_log()) == len(unable.access_log()) == 40, 5, "all is logged")
        asked_twice = [
            [" : " in line["service_seconds"] for line in one.access_log()] for one in (proxy, unable)
        ]
        assert asked_twice == [[False] * 40, [True] * 40]


def test_stored_files_can_be_read_by_the_services_group_and_by_nobody_else(house: House) -> None:
    blobs = house.server.data_dir / "blobs"
    assert blobs.stat().st_mode & 0o777 == 0o750  # whatever lies below it, nobody else comes there
    for path in blobs.rglob("*"):
        needed = 0o050 if path.is_dir() else 0o040
        assert path.stat().st_mode & needed == needed, path
