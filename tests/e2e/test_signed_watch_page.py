"""Signed films in Chromium, through nginx: the page with a token, and players of others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from media_service.server.token import SIGNING_KEY_FILE
from media_service.wire.signatures import PlaybackToken, read_keys, sign
from tests.e2e.conftest import FILM_SECONDS, Library, Site
from tests.e2e.test_watch_page import MUTE, PLAYABLE_MS, SEEK, reaches
from tests.support.assets import await_state
from tests.support.browser import complaints
from tests.support.nginx import Nginx, running_nginx
from tests.support.players import Kind, playing
from tests.support.server import Server, running_server

BEGIN, END = 5.0, 7.0  # of the preview


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service where films are played with tokens."""
    with running_server(tmp_path_factory.mktemp("signed"), playback="signed") as running:
        yield running


@pytest.fixture(scope="module")
def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), server.port) as running:
        yield running


@pytest.fixture
async def asset(library: Library, site: Site, film: bytes) -> str:
    """A film's id; it can be played."""
    identity: str = (await library.put(film, "Signed.mp4"))["id"]
    with httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {site.token}"}) as client:
        await_state(client, identity, "playable", "ready")
    return identity


def made(site: Site, asset: str, **wish: object) -> dict[str, Any]:
    """A token by the API."""
    answer = httpx.post(
        f"{site.url}/api/v1/assets/{asset}/playback-tokens",
        json={"expires_in": 600, **wish},
        headers={"Authorization": f"Bearer {site.token}"},
    )
    token: dict[str, Any] = answer.raise_for_status().json()
    return token


async def test_a_signed_film_plays_through_nginx_and_its_token_is_in_no_log(
    page: Page, site: Site, asset: str, nginx: Nginx, server: Server
) -> None:
    token = made(site, asset)
    await page.goto(f"{site.url}{token['playback']['watch']}")
    await expect(page.get_by_role("button", name="Copy link at this time")).to_be_visible(timeout=PLAYABLE_MS)
    await page.evaluate(MUTE)
    await page.evaluate(SEEK, 9.5)
    await page.evaluate(SEEK, 1.0)
    await page.keyboard.press("k")
    await reaches(page, 2.5)
    assert await page.evaluate("document.querySelector('video').duration") == pytest.approx(
        FILM_SECONDS, abs=0.1
    )
    fetched = await page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    films = [url for url in fetched if f"/media/{asset}/" in url]
    assert films
    assert all(f"/t/{token['token']}/media/" in url for url in films)
    text = (nginx.directory / "access.log").read_text() + nginx.error_log() + server.log.read_text()
    assert f"/t/-/media/{asset}/hls/" in text
    assert token["token"][-43:] not in text


async def test_the_page_says_why_a_film_may_not_be_played(
    page: Page, site: Site, asset: str, server: Server
) -> None:
    complaints[page].expect("status of (403|410)")
    [(key_id, key)] = read_keys((server.data_dir / SIGNING_KEY_FILE).read_text().strip()).items()
    over = sign(PlaybackToken(asset_id=asset, key_id=key_id, expires_at=1_000_000_000), key)
    later = made(site, asset, not_before="2100-01-01T00:00:00Z", expires_in=2_400_000_000)
    for address, words in (
        (f"/watch/{asset}", "This may not be played"),
        (f"/t/{over}/watch/{asset}", "This link has expired"),
        (later["playback"]["watch"], "This link is not valid yet"),
    ):
        await page.goto(f"{site.url}{address}")
        await expect(page.get_by_text(words)).to_be_visible()


async def test_a_preview_begins_and_ends_where_its_token_says(page: Page, site: Site, asset: str) -> None:
    complaints[page].expect("403")  # what hls.js asks for before the page has gone back to the beginning
    token = made(site, asset, window=[BEGIN, END])
    await page.goto(f"{site.url}{token['playback']['watch']}")
    await expect(page.get_by_role("button", name="Copy link at this time")).to_be_visible(timeout=PLAYABLE_MS)
    await reaches(page, BEGIN)
    await page.evaluate(MUTE)
    landed, _ = await page.evaluate(SEEK, 0.5)  # before it: nothing is to be had there
    assert landed <= BEGIN + 0.01
    await reaches(page, BEGIN, BEGIN + 0.1)
    await page.keyboard.press("k")
    await reaches(page, END)
    ended = """() => new Promise((done) => {
      const video = document.querySelector("video");
      if (video.ended) done(video.currentTime);
      video.addEventListener("ended", () => done(video.currentTime));
    })"""
    assert END <= await page.evaluate(ended) < FILM_SECONDS


@pytest.mark.parametrize(("kind", "way"), [("hls.js", "hls"), ("shaka", "hls"), ("shaka", "dash")])
async def test_players_play_a_preview_to_its_end_and_ask_for_nothing_else(
    browser: Browser, site: Site, asset: str, kind: Kind, way: str
) -> None:
    token = made(site, asset, window=[BEGIN, END])
    async with playing(browser, kind, site.url + token["playback"][way], at=BEGIN, exact=True) as player:
        assert END <= player.opened.duration < FILM_SECONDS
        await player.seek(BEGIN + 0.1)
        await player.play(1.5)
        report = await player.report()
    assert [error for error in report.errors if error.fatal] == []
    assert {each.status for each in report.requests if each.segment} <= {0, 200}


async def test_the_panel_shows_a_signed_films_still(page: Page, site: Site, asset: str) -> None:
    await page.goto(f"{site.url}/admin")
    await page.get_by_label("token").fill(site.token)
    await page.keyboard.press("Enter")
    still = page.locator(f"img[src^='/t/'][src*='{asset}']").first
    await expect(still).to_be_visible(timeout=PLAYABLE_MS)
    await expect(still).to_have_js_property("complete", True)
    assert await still.evaluate("(image) => image.naturalWidth") > 0
