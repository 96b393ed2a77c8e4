"""`/media/{id}/download`: the file as it came, under the name that it came with; no name is more than a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import pytest

from tests.support.api import PLAYABLE, settled
from tests.support.films import Films
from tests.support.raw_http import RawConnection
from tests.support.server import Server

# File names as clients may send them -> the name to keep the file under.
NAMES = {
    "film.mp4": "film.mp4",
    "Füße & 映画.mp4": "Füße & 映画.mp4",
    'say "hi"; filename=evil.exe': 'say "hi"; filename=evil.mp4',
    "page.html": "page.mp4",
    "run.exe": "run.mp4",
    "no ending": "no ending.mp4",
    "../../etc/passwd": "passwd.mp4",
    "..\\..\\boot.ini": "boot.mp4",
    "a\r\nSet-Cookie: hacked=1\r\n\r\n<script>.mp4": "aSet-Cookie: hacked=1<script>.mp4",
    "a\r\nSet-Cookie: hacked=1.mp4": "aSet-Cookie: hacked=1.mp4",
    "a\x00b\x1bc\x7fd\x85e.mp4": "abcde.mp4",
    "film\u202e4pm.exe": "film4pm.mp4",
    "100%0d%0aX: y.mp4": "100%0d%0aX: y.mp4",
    "a'b*c''d.mp4": "a'b*c''d.mp4",
}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film().read_bytes()


def put(server: Server, client: httpx.Client, film: bytes, filename: str) -> str:
    """Upload; the asset's id, once it can be fetched."""
    answer = client.put(f"/api/v1/assets?filename={quote(filename, safe='')}", content=film)
    assert answer.status_code == 201, answer.text
    identity: str = answer.json()["id"]
    settled(server, identity, 60, PLAYABLE)
    return identity


def kept_as(disposition: str) -> str:
    """The name that a browser takes: `filename*` before `filename` (RFC 6266 s4.3)."""
    extended = re.search(r"filename\*=UTF-8''([^;]+)$", disposition)
    if extended:
        return unquote(extended[1], errors="strict")
    plain = re.fullmatch(r'attachment; filename="([^"\\]+)"', disposition)
    assert plain, disposition
    return plain[1]


@pytest.mark.parametrize("filename", NAMES)
def test_a_file_is_kept_under_the_name_that_it_came_with(
    server: Server, client: httpx.Client, film: bytes, filename: str
) -> None:
    identity = put(server, client, film, filename)
    original = client.get(f"/media/{identity}/original.mp4").raise_for_status()
    answer = client.get(f"/media/{identity}/download").raise_for_status()
    assert kept_as(answer.headers["content-disposition"]) == NAMES[filename]
    assert answer.content == original.content
    new = {"content-disposition", "date"}
    assert {**answer.headers, **dict.fromkeys(new)} == {**original.headers, **dict.fromkeys(new)}
    assert answer.headers["content-type"] == "video/mp4"
    assert client.delete(f"/api/v1/assets/{identity}").status_code == 204


@pytest.mark.parametrize("filename", NAMES)
def test_no_file_name_adds_a_line_to_an_answer(server: Server, film: bytes, filename: str) -> None:
    with server.client() as client:
        identity = put(server, client, film, filename)
        names = {name for name, _ in client.get(f"/media/{identity}/original.mp4").headers.items()}
        key = {"Authorization": f"Bearer {server.token}", "Connection": "close"}
        paths = [f"/media/{identity}/download", f"/api/v1/assets/{identity}", f"/watch/{identity}/asset.json"]
        for path in paths:
            with RawConnection(server.port) as connection:
                connection.request("GET", path, key)
                head, _, _ = connection.rest().partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert lines[0] == b"HTTP/1.1 200 OK"
            assert all(re.fullmatch(rb"[a-z-]+: [\x20-\x7e]*", line) for line in lines[1:]), head
            told = {line.partition(b":")[0].decode() for line in lines[1:]}
            assert told - names <= {"content-disposition", "connection", "vary"}, head
        assert client.delete(f"/api/v1/assets/{identity}").status_code == 204


def test_a_download_goes_on_where_it_ended(server: Server, client: httpx.Client, film: bytes) -> None:
    identity = put(server, client, film, "film.mp4")
    path = f"/media/{identity}/download"
    whole = client.get(path)
    rest = client.get(path, headers={"Range": "bytes=100-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[100:])
    head = client.head(path)
    assert head.headers["content-disposition"] == whole.headers["content-disposition"]
    assert client.delete(f"/api/v1/assets/{identity}").status_code == 204
    assert client.get(path).status_code == 404
