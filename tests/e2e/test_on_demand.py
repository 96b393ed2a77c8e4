"""Segments that nobody has made, over HTTP: asked for, waited for, given up."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api import listed
from tests.support.assets import assert_problem, await_extras, await_state, upload
from tests.support.films import Film, Films
from tests.support.processes import ffmpegs, wait_until
from tests.support.raw_http import RawConnection
from tests.support.renditions import fetch, joined, playlist_of
from tests.support.server import Server, running_server

# Nothing of it can be packaged.
FILM = Film(seconds=40, codec="mpeg4", size=(640, 480), keyframe_seconds=2.0, container="mkv")
HEAVY = Film(seconds=32, codec="mpeg4", size=(1280, 720), keyframe_seconds=2.0)
PACKAGED = Film(seconds=13, size=(320, 240))
SETTLED_SECONDS = 60.0


@pytest.fixture(scope="module")
def lazy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that makes only what is asked for."""
    with running_server(tmp_path_factory.mktemp("lazy"), transcode_ahead=False) as running:
        yield running


@pytest.fixture
def client(lazy: Server) -> Iterator[httpx.Client]:
    with lazy.client() as opened:
        yield opened


def playable(client: httpx.Client, film: Path, name: str = "film.mp4") -> dict[str, Any]:
    return await_state(client, upload(client, film, name)["id"], "playable", "ready")


def addresses(client: httpx.Client, asset: dict[str, Any], name: str) -> list[str]:
    """Of the segments of a rendition."""
    base = f"/media/{asset['id']}/hls/{name}"
    return [f"{base}/{segment.uri}" for segment in playlist_of(client, asset["id"], name).segments]


def made(client: httpx.Client, asset: dict[str, Any], name: str) -> int:
    renditions = client.get(f"/api/v1/assets/{asset['id']}").json()["renditions"]
    count: int = next(one["made_segments"] for one in renditions if one["name"] == name)
    return count


def test_a_segment_is_made_when_it_is_asked_for_and_kept(client: httpx.Client, films: Films) -> None:
    asset = playable(client, films.film(FILM))
    assert asset["playback"]["hls"]
    assert {one["made_segments"] for one in asset["renditions"] if not one["packaged"]} == {0}
    last = addresses(client, asset, "480p")[-1]
    first = client.get(last)
    assert (first.status_code, first.headers["content-type"]) == (200, "video/mp4")
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert int(first.headers["content-length"]) == len(first.content)
    assert first.content[4:8] == b"moof"
    assert made(client, asset, "480p") >= 1
    again = client.get(last)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    part = client.get(last, headers={"Range": "bytes=100-199", "If-Range": first.headers["etag"]})
    assert (part.status_code, part.content) == (206, first.content[100:200])


def test_head_waits_too_and_tells_the_truth(client: httpx.Client, films: Films) -> None:
    asset = playable(client, films.film(FILM))
    address = addresses(client, asset, "480p")[5]
    head = client.head(address)
    get = client.get(address)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "accept-ranges", "cache-control"):
        assert head.headers[name] == get.headers[name]


def test_all_who_ask_for_the_same_get_the_same(client: httpx.Client, lazy: Server, films: Films) -> None:
    asset = playable(client, films.film(FILM))
    address = addresses(client, asset, "480p")[-2]

    def get(_: int) -> tuple[str, bytes]:
        with lazy.client(authorized=False) as viewer:
            answer = viewer.get(address).raise_for_status()
            return answer.headers["etag"], answer.content

    with ThreadPoolExecutor(8) as viewers:
        answers = set(viewers.map(get, range(8)))
    assert len(answers) == 1


def test_segments_made_in_any_order_join_to_the_whole_film(
    client: httpx.Client, films: Films, tmp_path: Path
) -> None:
    asset = playable(client, films.film(FILM))
    for name in ("240p", "audio"):
        for address in reversed(addresses(client, asset, name)):
            fetch(client, address)
        whole = joined(client, asset["id"], name, tmp_path / f"{name}.mp4").read_bytes()
        renditions = client.get(f"/api/v1/assets/{asset['id']}").json()["renditions"]
        (one,) = (one for one in renditions if one["name"] == name)
        assert one["made_segments"] == one["segments"]
        assert whole == joined(client, asset["id"], name, tmp_path / "again.mp4").read_bytes()


def test_a_viewer_who_leaves_while_he_waits_leaves_nothing_behind(
    client: httpx.Client, lazy: Server, films: Films
) -> None:
    asset = playable(client, films.film(HEAVY))
    wanted = addresses(client, asset, "720p")
    client.get("/livez")
    idle = lazy.open_descriptors()
    for address in wanted[2:6]:
        with RawConnection(lazy.port) as viewer:
            viewer.request("GET", address)
            wait_until(lambda: bool(ffmpegs(lazy.pid)), SETTLED_SECONDS, "an encoder runs")
    # Whoever stays is not kept waiting by those who left.
    answer = client.get(wanted[-1])
    assert answer.status_code == 200
    wait_until(lambda: not ffmpegs(lazy.pid), SETTLED_SECONDS, "all encoders have ended")
    wait_until(lambda: lazy.open_descriptors() <= idle + 1, SETTLED_SECONDS, "all descriptors are closed")
    assert "Traceback" not in lazy.log_text()


def test_a_packaged_film_plays_without_any_encoder(client: httpx.Client, lazy: Server, films: Films) -> None:
    asset = playable(client, films.film(PACKAGED), "packaged.mp4")
    assert asset["playback"]["packaged"]
    for one in listed(client):
        await_extras(client, one["id"])
    wait_until(lambda: not ffmpegs(lazy.pid), SETTLED_SECONDS, "nothing of other films is made")
    for name in ("source", "audio"):
        for address in addresses(client, asset, name):
            assert client.get(address).raise_for_status().content[4:8] == b"moof"
            assert not ffmpegs(lazy.pid)


def test_etags_and_bytes_outlive_the_service(tmp_path: Path, films: Films) -> None:
    seen = []
    asset: dict[str, Any] = {}
    for _ in range(2):
        with running_server(tmp_path, transcode_ahead=False) as service, service.client() as client:
            asset = asset or playable(client, films.film(FILM))
            wanted = [addresses(client, asset, "240p")[3], addresses(client, asset, "audio")[2]]
            answers = [client.get(address).raise_for_status() for address in wanted]
            seen.append([(answer.headers["etag"], answer.content) for answer in answers])
    assert seen[0] == seen[1]


def test_a_service_that_makes_nothing_says_when_to_come_back(tmp_path: Path, films: Films) -> None:
    with running_server(tmp_path, transcode_workers=0) as service, service.client() as client:
        asset = playable(client, films.film(FILM))
        answer = client.get(addresses(client, asset, "480p")[0])
        assert_problem(answer, 503, "not_ready")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["access-control-allow-origin"] == "*"
        assert client.get(asset["playback"]["dash"]).status_code == 200
