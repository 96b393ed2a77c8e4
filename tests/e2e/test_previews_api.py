"""Previews over HTTP: exact types, ranges, conditions, other origins, and names that are none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.assets import assert_problem, upload
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.server import Server

FILM = Film(seconds=6)
LISTS = ("storyboard.vtt", "storyboard.json", "hls/images/index.m3u8", "hls/images/tiles.m3u8")
PICTURES = ("storyboard/0.jpg", "storyboard/tiles/2.jpg", "hls/images/2.m4s", "hls/images/init.mp4")
MADE_SECONDS = 60.0


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def film(client: httpx.Client, films: Films) -> Iterator[str]:
    """The address of a film with all its previews."""
    asset = upload(client, films.film(FILM), "film.mp4")
    base = f"/media/{asset['id']}"

    def whole() -> bool:
        previews = client.get(f"/api/v1/assets/{asset['id']}").raise_for_status().json()["previews"]
        return previews is not None and bool(previews["complete"])

    wait_until(whole, MADE_SECONDS, "all previews are made")
    yield base
    client.delete(f"/api/v1/assets/{asset['id']}")


def version(client: httpx.Client, film: str) -> str:
    found = re.search(r"v=(\w+)", client.get(f"{film}/storyboard.vtt").text)
    assert found is not None
    return found[1]


def test_lists_have_the_types_that_players_compare(client: httpx.Client, film: str) -> None:
    types = [client.get(f"{film}/{path}").headers["content-type"] for path in LISTS]
    hls = "application/vnd.apple.mpegurl"
    assert types == ["text/vtt", "application/json", hls, hls]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_that_has_not_changed_is_not_sent_again(client: httpx.Client, film: str, path: str) -> None:
    first = client.get(f"{film}/{path}")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(f"{film}/{path}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", PICTURES)
def test_a_picture_that_the_list_named_is_kept_for_ever(client: httpx.Client, film: str, path: str) -> None:
    named = client.get(f"{film}/{path}", params={"v": version(client, film)})
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = client.get(f"{film}/{path}")
    assert plain.headers["cache-control"] == "no-cache"
    assert (plain.content, plain.headers["etag"]) == (named.content, named.headers["etag"])


@pytest.mark.parametrize("path", [*LISTS, *PICTURES])
def test_everything_has_an_exact_size_and_any_range(client: httpx.Client, film: str, path: str) -> None:
    whole = client.get(f"{film}/{path}")
    assert int(whole.headers["content-length"]) == len(whole.content)
    head = client.head(f"{film}/{path}")
    assert [head.headers[name] for name in ("content-length", "etag")] == [
        whole.headers[name] for name in ("content-length", "etag")
    ]
    last = len(whole.content) - 1
    for first, stop in ((0, 1), (last // 2, last // 2 + 100), (last, last)):
        part = client.get(f"{film}/{path}", headers={"Range": f"bytes={first}-{stop}"})
        assert part.status_code == 206
        assert part.content == whole.content[first : stop + 1]


def test_a_sheet_in_many_pieces_is_the_sheet(client: httpx.Client, film: str) -> None:
    whole = client.get(f"{film}/storyboard/0.jpg").content
    pieces = [
        client.get(f"{film}/storyboard/0.jpg", headers={"Range": f"bytes={at}-{at + 996}"}).content
        for at in range(0, len(whole), 997)
    ]
    assert b"".join(pieces) == whole


def test_scripts_of_other_origins_may_read_them(client: httpx.Client, film: str) -> None:
    for path in (*LISTS, *PICTURES):
        answer = client.get(f"{film}/{path}", headers={"Origin": "https://elsewhere.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "ETag" in answer.headers["access-control-expose-headers"]
        preflight = client.options(
            f"{film}/{path}",
            headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"},
        )
        assert preflight.status_code == 204
        assert "Range" in preflight.headers["access-control-allow-headers"]


def test_json_names_no_host_so_that_nobody_can_choose_one(client: httpx.Client, film: str) -> None:
    answer = client.get(f"{film}/storyboard.json", headers={"Host": "evil.example"})
    texts = [cue["text"] for cue in json.loads(answer.content)]
    assert all(text.startswith(f"{film}/storyboard/0.jpg?v=") for text in texts)


@pytest.mark.parametrize(
    "path",
    [
        "storyboard/1.jpg",
        "storyboard/x.jpg",
        "storyboard/-1.jpg",
        "storyboard/0.png",
        "storyboard/0",
        "storyboard/99999999999.jpg",
        "storyboard/tiles/99.jpg",
        "storyboard/tiles/0.jpeg",
        "storyboard/tiles/٣.jpg",
        "hls/images/99.m4s",
        "hls/images/0.mp4",
        "hls/images/iframes.m3u8",
        "storyboard/0.jpg?v=other",
        "hls/images/init.mp4?v=other",
    ],
)
def test_what_is_no_preview_is_not_found(client: httpx.Client, film: str, path: str) -> None:
    assert_problem(client.get(f"{film}/{path}"), 404, "not_found")


def test_sound_alone_has_none(client: httpx.Client, films: Films) -> None:
    asset = upload(client, films.film(Film(seconds=2, size=None)), "sound.mp4")
    base = f"/media/{asset['id']}"
    wait_until(
        lambda: client.get(f"{base}/hls/master.m3u8").status_code == 200, MADE_SECONDS, "it can be played"
    )
    for path in (*LISTS, *PICTURES):
        assert_problem(client.get(f"{base}/{path}"), 404, "not_found")
    assert "images" not in client.get(f"{base}/hls/master.m3u8").text
    assert "image/jpeg" not in client.get(f"{base}/dash/manifest.mpd").text
