"""`frame.jpg` and `poster.jpg` over HTTP and in Chromium: the frame that was asked for, in the form that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Page

from tests.e2e.conftest import Library, Site
from tests.support.assets import assert_problem, await_state, upload
from tests.support.clock_film import FPS, READ_FRAME, make_clock_film
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.server import Server

FILM = Film(seconds=4, keyframe_seconds=2.0)
CHROMIUM = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
YEAR = "public, max-age=31536000, immutable"

# Loads a picture as <img> does, and gives the number of the frame that it shows.
SHOWN = f"""async (url) => {{
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  return [({READ_FRAME})(picture), picture.naturalWidth];
}}"""
# The same of a picture of one kind only, with its type.
FETCHED = f"""async ([url, accept]) => {{
  const answer = await fetch(url, {{ headers: {{ accept }} }});
  const picture = await createImageBitmap(await answer.blob());
  return [({READ_FRAME})(picture), answer.headers.get("content-type"), answer.headers.get("x-frame-time")];
}}"""


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def asset(client: httpx.Client, films: Films) -> dict[str, Any]:
    """A film that has its poster."""
    found = await_state(client, upload(client, films.film(FILM), "stills.mp4")["id"], "playable", "ready")
    wait_until(lambda: poster(client, found) is not None, 30, "the film has a poster")
    return found


def poster(client: httpx.Client, asset: dict[str, Any]) -> str | None:
    address: str | None = client.get(f"/api/v1/assets/{asset['id']}").json()["playback"]["poster"]
    return address


def frame(
    client: httpx.Client, asset: dict[str, Any], accept: str = "*/*", **query: object
) -> httpx.Response:
    headers = {"Accept": accept}
    return client.get(f"/media/{asset['id']}/frame.jpg", params=query, headers=headers)  # type: ignore[arg-type] # str, int, float


def test_a_still_says_when_its_frame_is_and_may_be_kept(client: httpx.Client, asset: dict[str, Any]) -> None:
    answer = frame(client, asset, t=3.21)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["x-frame-time"] == "3.200000"
    assert answer.headers["cache-control"] == YEAR
    assert answer.headers["vary"] == "Accept"
    assert "X-Frame-Time" in answer.headers["access-control-expose-headers"]
    assert frame(client, asset, t=3.21, mode="keyframe").headers["x-frame-time"] == "2.000000"


def test_without_a_time_it_is_the_first_frame(client: httpx.Client, asset: dict[str, Any]) -> None:
    assert frame(client, asset, width=64).headers["x-frame-time"] == "0.000000"


def test_stills_are_served_as_everything_else_is(client: httpx.Client, asset: dict[str, Any]) -> None:
    whole = frame(client, asset, t=1)
    address = str(whole.request.url)
    head = client.head(address)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))
    part = client.get(address, headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, whole.content[2:10])
    same = client.get(address, headers={"If-None-Match": whole.headers["etag"]})
    assert (same.status_code, same.headers["vary"]) == (304, "Accept")
    assert client.options(address).status_code == 204


@pytest.mark.parametrize(
    ("accept", "kind", "magic"),
    [
        ("*/*", "image/jpeg", b"\xff\xd8\xff"),
        ("image/webp,*/*;q=0.5", "image/webp", b"RIFF"),
        (CHROMIUM, "image/avif", b"\0\0\0\x1cftypavif"),
    ],
)
def test_the_client_chooses_the_kind_of_picture(
    accept: str, kind: str, magic: bytes, client: httpx.Client, asset: dict[str, Any]
) -> None:
    answer = frame(client, asset, accept, t=1)
    assert answer.headers["content-type"] == kind
    assert answer.content.startswith(magic)


def test_a_blurred_still_is_tiny(client: httpx.Client, asset: dict[str, Any]) -> None:
    assert len(frame(client, asset, "image/webp", t=1, width=32, blur=20).content) < 500


@pytest.mark.parametrize(
    "query",
    [
        {"t": ""},
        {"t": "soon"},
        {"t": "nan"},
        {"t": "1", "width": 15},
        {"t": "1", "width": 1921},
        {"t": "1", "blur": 101},
        {"t": "1", "blur": -1},
        {"t": "1", "mode": "fast"},
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(
    query: dict[str, Any], client: httpx.Client, asset: dict[str, Any]
) -> None:
    assert assert_problem(frame(client, asset, **query), 400, "invalid_request")["detail"]


def test_films_without_a_picture_have_no_stills(client: httpx.Client, films: Films) -> None:
    sound = upload(client, films.film(Film(size=None)), "sound.mp4")
    await_state(client, sound["id"], "playable", "ready")
    assert_problem(frame(client, sound, t=1), 404, "not_found")
    assert_problem(frame(client, {"id": "nobody"}, t=1), 404, "not_found")
    answer = client.patch(f"/api/v1/assets/{sound['id']}", json={"poster_time": 1})
    assert_problem(answer, 400, "invalid_request")


def test_a_poster_is_kept_by_its_version_and_asked_for_again_without(
    client: httpx.Client, asset: dict[str, Any]
) -> None:
    address = poster(client, asset)
    assert address is not None
    named, plain = client.get(address), client.get(f"/media/{asset['id']}/poster.jpg")
    assert named.headers["cache-control"] == YEAR
    assert plain.headers["cache-control"] == "no-cache"
    assert (named.content, named.headers["etag"]) == (plain.content, plain.headers["etag"])
    assert client.get(f"/media/{asset['id']}/poster.jpg?v=old").headers["cache-control"] == "no-cache"


def test_the_poster_can_be_chosen_and_is_seen_by_whoever_has_the_old_one(
    client: httpx.Client, asset: dict[str, Any]
) -> None:
    before = client.get(f"/media/{asset['id']}/poster.jpg")
    first = client.get(f"/api/v1/assets/{asset['id']}").json()
    assert first["poster_time"] is None
    assert first["playback"]["placeholder"].startswith("data:image/webp;base64,")
    changed = client.patch(f"/api/v1/assets/{asset['id']}", json={"poster_time": 3.5, "title": "Chosen"})
    assert changed.status_code == 200, changed.text
    said = changed.json()
    assert (said["poster_time"], said["title"]) == (3.5, "Chosen")
    assert said["playback"]["poster"] != first["playback"]["poster"]
    assert said["playback"]["placeholder"] != first["playback"]["placeholder"]
    after = client.get(f"/media/{asset['id']}/poster.jpg", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content
    assert after.content == client.get(said["playback"]["poster"]).content
    back = client.patch(f"/api/v1/assets/{asset['id']}", json={"poster_time": None}).json()
    assert back["poster_time"] is None
    watched = client.get(f"/watch/{asset['id']}/asset.json").json()["playback"]
    assert (watched["poster"], watched["placeholder"]) == (
        back["playback"]["poster"],
        back["playback"]["placeholder"],
    )


@pytest.mark.parametrize("time", [-1, 5, "soon", [1]])
def test_a_poster_at_no_time_of_the_film_is_refused(
    time: object, client: httpx.Client, asset: dict[str, Any]
) -> None:
    answer = client.patch(f"/api/v1/assets/{asset['id']}", json={"poster_time": time})
    assert "poster_time" in assert_problem(answer, 400, "invalid_request")["detail"]


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Twenty seconds that tell their own time, with B frames and keyframes four seconds apart."""
    return make_clock_film(tmp_path_factory.mktemp("clock") / "clock.mp4", seconds=20).read_bytes()


async def test_chromium_sees_the_very_frame_in_every_kind_of_picture(
    page: Page, site: Site, library: Library, clock: bytes
) -> None:
    asset = (await library.put(clock, "clock.mp4"))["id"]
    await library.drawn(asset)
    await page.goto(f"{site.url}/admin")
    still = f"/media/{asset}/frame.jpg"
    for seconds in (0.0, 0.04, 3.96, 7.999, 12.34, 19.96, 25.0):
        number, width = await page.evaluate(SHOWN, f"{still}?t={seconds}&width=320")
        assert (number, width) == (min(int(seconds * FPS + 0.001), 20 * FPS - 1), 320)
    for accept in ("image/jpeg", "image/webp", "image/avif"):
        seen = await page.evaluate(FETCHED, [f"{still}?t=12.34&width=640", accept])
        assert seen == [int(12.34 * FPS), accept, "12.320000"]
    number, _, time = await page.evaluate(FETCHED, [f"{still}?t=12.34&mode=keyframe&width=200", "image/jpeg"])
    assert number == round(float(time) * FPS)
    assert 12 <= float(time) <= 12.34
