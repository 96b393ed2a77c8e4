"""`/api/v1/assets/{id}/seek` and the seekability verdict, as clients use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.assets import assert_problem, await_state, upload
from tests.support.films import Film, Films
from tests.support.server import Server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def asset(client: httpx.Client, films: Films) -> dict[str, Any]:
    film = films.film(Film(seconds=4, keyframe_seconds=2.0))
    return await_state(client, upload(client, film, "seek.mp4")["id"], "ready")


def test_a_client_can_fetch_just_what_a_seek_needs(client: httpx.Client, asset: dict[str, Any]) -> None:
    answer = client.get(f"/api/v1/assets/{asset['id']}/seek", params={"t": 3.21})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert (found["t"], found["mode"]) == (3.21, "exact")
    assert (found["keyframe_time"], found["frame_time"], found["time"]) == (2.0, 3.2, 3.2)
    assert [segment["rendition"] for segment in found["segments"]] == [
        one["name"] for one in asset["renditions"]
    ]
    for segment in found["segments"]:
        assert segment["start"] <= 3.21 < segment["stop"]
        assert client.get(segment["url"]).status_code == 200
    span = found["bytes"]
    part = client.get(found["original"], headers={"Range": f"bytes={span['start']}-{span['stop'] - 1}"})
    assert (part.status_code, len(part.content)) == (206, span["stop"] - span["start"])
    assert len(part.content) < asset["size"]


def test_keyframe_mode_begins_at_the_keyframe(client: httpx.Client, asset: dict[str, Any]) -> None:
    found = client.get(f"/api/v1/assets/{asset['id']}/seek", params={"t": 3.21, "mode": "keyframe"}).json()
    assert (found["time"], found["frame_time"]) == (2.0, 3.2)


def test_the_timeline_has_the_keyframes_and_what_is_made(client: httpx.Client, asset: dict[str, Any]) -> None:
    answer = client.get(f"/api/v1/assets/{asset['id']}/timeline")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = answer.json()
    assert (found["duration"], found["keyframes"], found["keyframe_count"]) == (4.0, [0.0, 2.0], 2)
    assert [(one["name"], one["made"]) for one in found["renditions"]] == [
        (one["name"], [[0, one["segments"]]]) for one in asset["renditions"]
    ]
    for one in found["renditions"]:
        assert len(found["grids"][one["grid"]]) == one["made"][0][1] + 1
    head = client.head(f"/api/v1/assets/{asset['id']}/timeline")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


def test_an_asset_says_how_well_it_seeks(asset: dict[str, Any]) -> None:
    verdict = asset["seekability"]
    assert (verdict["keyframe_longest_seconds"], verdict["moov"]) == (2.0, "end")
    assert verdict["verdict"] == "excellent"
    assert 0 < verdict["seek_median_bytes"] <= verdict["seek_worst_bytes"] <= asset["size"]
    assert verdict["advice"]


@pytest.mark.parametrize(
    "query", ["", "?t=", "?t=abc", "?t=nan", "?t=inf", "?t=1&mode=fast"], ids=lambda query: query or "none"
)
def test_a_time_that_is_none_is_refused_in_words(
    client: httpx.Client, asset: dict[str, Any], query: str
) -> None:
    answer = client.get(f"/api/v1/assets/{asset['id']}/seek{query}")
    assert "t" in assert_problem(answer, 400, "invalid_request")["detail"]


def test_nobody_seeks_without_a_key_or_in_what_is_not_there(server: Server, client: httpx.Client) -> None:
    assert_problem(client.get("/api/v1/assets/unknown/seek?t=1"), 404, "not_found")
    with server.client(authorized=False) as stranger:
        assert_problem(stranger.get("/api/v1/assets/unknown/seek?t=1"), 401, "unauthorized")
