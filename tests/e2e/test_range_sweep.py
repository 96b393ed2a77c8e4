"""Hundreds of ranges of real assets: each the very slice of the whole body, directly and through nginx."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.assets import await_state, upload
from tests.support.films import Film, Films
from tests.support.media import framemd5
from tests.support.nginx import Nginx
from tests.support.server import Server, running_server

RANGES = 300
RANGES_MORE = 75  # through nginx, which adds nothing of its own to any of them; and of a still
FILM = Film(seconds=3, quality=10, size=(640, 480))
SEGMENTS = {"packaged": "source", "encoded": "240p"}  # kind -> rendition
KINDS = ["original", "mp4", *SEGMENTS, "poster"]


@pytest.fixture(scope="module")
def asset(server: Server, films: Films) -> dict[str, Any]:
    """A film, ready."""
    with server.client() as client:
        return await_state(client, upload(client, films.film(FILM))["id"], "ready")


@pytest.fixture(params=["direct", "nginx"])
def client(request: pytest.FixtureRequest, server: Server, nginx: Nginx) -> Iterator[httpx.Client]:
    url = server.url if request.param == "direct" else nginx.url
    with server.client(url=url, authorized=False) as opened:
        yield opened


def address(client: httpx.Client, asset: dict[str, Any], kind: str) -> str:
    """Where a kind of body of the asset is; the segment's address comes out of the playlist."""
    playback = asset["playback"]
    if kind == "original":
        return str(playback["original"]["url"])
    if kind not in SEGMENTS:
        return str(playback[kind])
    base = f"/media/{asset['id']}/hls/{SEGMENTS[kind]}"
    lines = client.get(f"{base}/index.m3u8").raise_for_status().text.splitlines()
    return f"{base}/{next(line for line in lines if '.m4s' in line)}"


def random_range(dice: random.Random, size: int) -> tuple[str, int, int]:
    """A Range value, and the slice [start, stop) that it names."""
    match dice.choice(["bounded", "bounded", "open", "suffix", "beyond", "tiny"]):
        case "open":
            start = dice.randrange(size)
            return f"bytes={start}-", start, size
        case "suffix":
            length = dice.randrange(1, size + 100)
            return f"bytes=-{length}", max(0, size - length), size
        case "beyond":
            start = dice.randrange(size)
            return f"bytes={start}-{size + dice.randrange(1 << 40)}", start, size
        case "tiny":
            start = dice.randrange(size)
            stop = min(size, start + dice.randrange(1, 4))
            return f"bytes={start}-{stop - 1}", start, stop
    first, last = sorted((dice.randrange(size), dice.randrange(size)))
    return f"bytes={first}-{last}", first, last + 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_range_is_that_slice_of_the_whole(
    client: httpx.Client, server: Server, asset: dict[str, Any], kind: str
) -> None:
    url = address(client, asset, kind)
    whole = client.get(url).raise_for_status()
    size = len(whole.content)
    assert int(whole.headers["content-length"]) == size
    dice = random.Random(20261120)
    directly = client.base_url.port == server.port
    for _ in range(RANGES if directly and kind != "poster" else RANGES_MORE):
        value, start, stop = random_range(dice, size)
        part = client.get(url, headers={"Range": value})
        assert part.status_code == 206, value
        assert part.content == whole.content[start:stop], value
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}", value
        assert part.headers["etag"] == whole.headers["etag"]
        assert "content-encoding" not in part.headers


def test_the_original_is_the_uploaded_film_with_its_moov_first(
    client: httpx.Client, asset: dict[str, Any], films: Films, tmp_path: Path
) -> None:
    uploaded = films.film(FILM)
    body = client.get(asset["playback"]["original"]["url"]).content
    assert uploaded.read_bytes().index(b"moov") > uploaded.read_bytes().index(b"mdat")
    assert body.index(b"moov") < body.index(b"mdat")
    (tmp_path / "served.mp4").write_bytes(body)
    assert framemd5(tmp_path / "served.mp4") == framemd5(uploaded)


@pytest.mark.parametrize("kind", KINDS)
def test_several_ranges_come_as_parts_of_the_same_body(
    client: httpx.Client, asset: dict[str, Any], kind: str
) -> None:
    url = address(client, asset, kind)
    whole = client.get(url).content
    answer = client.get(url, headers={"Range": "bytes=10-19,-7,100-149"})
    assert answer.status_code == 206
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    parts = answer.content.split(b"--" + boundary)[1:-1]
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
    assert bodies == [whole[10:20], whole[-7:], whole[100:150]]
    assert len(answer.content) == int(answer.headers["content-length"])


@pytest.mark.parametrize("kind", [*KINDS, "hls", "dash"])
def test_head_says_what_get_says(client: httpx.Client, asset: dict[str, Any], kind: str) -> None:
    url = address(client, asset, kind)
    get, head = client.get(url), client.head(url)
    ranged = client.head(url, headers={"Range": "bytes=0-1"})
    assert (head.status_code, ranged.status_code) == (200, 200)
    assert head.content == ranged.content == b""
    changing = {"date", "x-request-id"}
    for answer in (head, ranged):
        assert {name: value for name, value in answer.headers.items() if name not in changing} == {
            name: value for name, value in get.headers.items() if name not in changing
        }


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_hold(client: httpx.Client, asset: dict[str, Any], kind: str) -> None:
    url = address(client, asset, kind)
    whole = client.get(url)
    size, etag = len(whole.content), whole.headers["etag"]
    assert etag.startswith('"'), "a weak tag resumes nothing"

    def get(**headers: str) -> httpx.Response:
        return client.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})

    assert get(If_None_Match=etag).status_code == 304
    assert get(If_None_Match=f'"other", W/{etag}', Range="bytes=0-1").status_code == 304
    assert get(If_None_Match='"other"').content == whole.content
    assert get(If_Match='"other"').status_code == 412
    resumed = get(If_Range=etag, Range="bytes=5-")
    assert (resumed.status_code, resumed.content) == (206, whole.content[5:])
    changed = get(If_Range='"other"', Range="bytes=5-")
    assert (changed.status_code, changed.content) == (200, whole.content)
    beyond = get(Range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.headers["content-type"] == "application/problem+json"
    if "last-modified" in whole.headers:
        assert get(If_Modified_Since=whole.headers["last-modified"]).status_code == 304


def test_etags_and_bodies_outlive_the_service(tmp_path: Path, films: Films) -> None:
    seen = []
    asset: dict[str, Any] = {}
    for _ in range(2):
        with running_server(tmp_path) as service, service.client() as client:
            if not asset:
                film = Film(seconds=1, audio=False, size=(640, 480))
                asset = await_state(client, upload(client, films.film(film))["id"], "ready")
            answers = [client.get(address(client, asset, kind)).raise_for_status() for kind in KINDS]
            seen.append([(answer.headers["etag"], answer.content) for answer in answers])
            half = client.get(
                address(client, asset, "original"),
                headers={"If-Range": seen[0][0][0], "Range": "bytes=1000-"},
            )
            assert (half.status_code, half.content) == (206, seen[0][0][1][1000:])
    assert seen[0] == seen[1]
