"""Previews where they are meant for: each player, moved along its scrub bar, shows the very frame that the storyboard tells of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.async_api import Browser

from tests.support.api import put_in
from tests.support.clock_film import FPS, make_clock_film
from tests.support.nginx import running_nginx
from tests.support.processes import wait_until
from tests.support.scrubbing import Kind, bundle, scrubbing
from tests.support.server import running_server

SECONDS = 60
MADE_SECONDS = 60.0
PLACES = (0.3, 31.7, 58.4, 7.3, 44.6)  # seconds; not in order, so that nothing is right by chance
APART_SECONDS = 2.0  # at most from the pointer's time to the preview's, for films of up to ten minutes
# Each player, and where its pictures lie below the film's address.
KINDS: dict[Kind, str] = {
    "hls.js": "hls/images",
    "Shaka, HLS": "storyboard/tiles",
    "Shaka, HLS I-frames": "hls/images",
    "Shaka, DASH": "storyboard/tiles",
    "media-chrome": "storyboard",
    "Vidstack, WebVTT": "storyboard",
    "Vidstack, JSON": "storyboard",
}


class Shown(NamedTuple):
    """A film with all its previews. `base`: its address; `signed`: the same with a token before it."""

    base: str
    signed: str
    cues: list[dict[str, Any]]  # of the storyboard

    def frame(self, seconds: float) -> int:
        """The number of the frame that is the preview of that time. Its time is that of its cue; here of the first one too."""
        begin: float = next(
            cue["startTime"] for cue in self.cues if cue["startTime"] <= seconds < cue["endTime"]
        )
        return round(begin * FPS)


def addresses(base: str) -> dict[str, str]:
    """What players are given of the film at `base`."""
    return {
        "hls": f"{base}/hls/master.m3u8",
        "dash": f"{base}/dash/manifest.mpd",
        "file": f"{base}/original.mp4",
        "vtt": f"{base}/storyboard.vtt",
        "json": f"{base}/storyboard.json",
    }


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(tmp_path_factory.mktemp("script"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A film with all its previews, through nginx."""
    directory = tmp_path_factory.mktemp("previews")
    film = make_clock_film(directory / "clock.mp4", SECONDS)
    with (
        running_server(directory, transcode_ahead=False) as server,
        running_nginx(directory / "nginx", server.port) as proxy,
        server.client(url=proxy.url, timeout=60) as client,
    ):
        asset = put_in(client, film)
        address = f"/media/{asset['id']}"

        def whole() -> bool:
            previews = client.get(f"/api/v1/assets/{asset['id']}").raise_for_status().json()["previews"]
            return previews is not None and bool(previews["complete"])

        wait_until(whole, MADE_SECONDS, "all previews are made")
        asked = client.post(f"/api/v1/assets/{asset['id']}/playback-tokens", json={"expires_in": 3600})
        url = proxy.url.rstrip("/")
        yield Shown(
            base=url + address,
            signed=f"{url}/t/{asked.raise_for_status().json()['token']}{address}",
            cues=client.get(f"{address}/storyboard.json").raise_for_status().json(),
        )


def test_there_is_a_preview_for_every_second(shown: Shown) -> None:
    assert shown.cues[0]["startTime"] == 0
    assert shown.cues[-1]["endTime"] == SECONDS
    assert SECONDS - 1 <= len(shown.cues) <= SECONDS + 1


@pytest.mark.parametrize("kind", KINDS)
async def test_the_preview_under_the_pointer_is_the_frame_of_that_time(
    browser: Browser, shown: Shown, script: Path, kind: Kind
) -> None:
    async with scrubbing(browser, kind, script, addresses(shown.base), SECONDS) as bar:
        for seconds in PLACES:
            await bar.go_to(seconds)
            # Shaka's scrub bar knows whole seconds only.
            wanted = shown.frame(round(seconds) if kind.startswith("Shaka") else seconds)
            assert await bar.frame(wanted) == wanted, f"at {seconds} s"
            assert abs(wanted / FPS - seconds) <= APART_SECONDS
        assert await bar.errors() == []
        pictures = re.compile(re.escape(f"{shown.base}/{KINDS[kind]}/") + r"\d+\.(jpg|m4s)\?v=\w+(#.*)?")
        assert [url for url in await bar.fetched() if pictures.fullmatch(url)]


@pytest.mark.parametrize(
    "kind", ["hls.js", "Shaka, DASH", "media-chrome", "Vidstack, WebVTT", "Vidstack, JSON"]
)
async def test_pages_of_other_origins_show_them_too(
    browser: Browser, shown: Shown, script: Path, kind: Kind
) -> None:
    elsewhere = "/".join(shown.base.replace("127.0.0.1", "localhost").split("/")[:3])
    async with scrubbing(browser, kind, script, addresses(shown.base), SECONDS, origin=elsewhere) as bar:
        await bar.go_to(31.2)
        wanted = shown.frame(31.0 if kind.startswith("Shaka") else 31.2)
        assert await bar.frame(wanted) == wanted
        assert await bar.errors() == []


@pytest.mark.parametrize("kind", ["hls.js", "Shaka, DASH", "media-chrome", "Vidstack, JSON"])
async def test_a_token_opens_the_previews_too(
    browser: Browser, shown: Shown, script: Path, kind: Kind
) -> None:
    async with scrubbing(browser, kind, script, addresses(shown.signed), SECONDS) as bar:
        await bar.go_to(31.2)
        wanted = shown.frame(31.0 if kind.startswith("Shaka") else 31.2)
        assert await bar.frame(wanted) == wanted
        assert await bar.errors() == []
