"""The watch page: it plays, it seeks by mouse, key and link, and it says why when it cannot."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.e2e.conftest import FILM_SECONDS, Library, Site
from tests.support.browser import complaints
from tests.support.shared import shared_file

PLAYABLE_MS = 30_000

# Seeks to `seconds`, waits for `seeked`, and gives what is then on the screen: [time, a sum over the pixels].
SEEK = """async (seconds) => {
  const video = document.querySelector("video");
  const seeked = new Promise((done) => video.addEventListener("seeked", done, { once: true }));
  // "seeked" may come before the frame is there to be drawn.
  const shown = new Promise((done) => {
    const look = (_, { mediaTime }) =>
      Math.abs(mediaTime - seconds) < 0.1 ? done() : video.requestVideoFrameCallback(look);
    video.requestVideoFrameCallback(look);
  });
  video.currentTime = seconds;
  await seeked;
  // A frame that is there already is not presented once more.
  await Promise.race([shown, new Promise((done) => setTimeout(done, 1000))]);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [160, 90];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 160, 90);
  const pixels = context.getImageData(0, 0, 160, 90).data;
  return [video.currentTime, pixels.reduce((sum, value, at) => (sum * 31 + value * (at % 7)) % 1000003, 0)];
}"""
# Watches the clock from within: Playwright's wait_for_function evaluates text, which the page's policy forbids.
REACHES = """([from, to]) => new Promise((done) => {
  const video = document.querySelector("video");
  const look = () => (video.currentTime >= from && video.currentTime <= to ? done() : setTimeout(look, 20));
  look();
})"""
# An asset's `playback` while there is nothing to play.
NOTHING: dict[str, object] = {
    "original": None,
    "hls": None,
    "dash": None,
    "packaged": False,
    "mp4": None,
    "subtitles": [],
    "poster": None,
}
MUTE = "document.querySelector('video').muted = true"


async def watch(page: Page, site: Site, asset: str, query: str = "") -> None:
    await page.goto(f"{site.url}/watch/{asset}{query}")
    await expect(page.get_by_role("button", name="Copy link at this time")).to_be_visible(timeout=PLAYABLE_MS)


async def leave(page: Page) -> None:
    """Ends the page before its routes: a request that is just being answered would outlive the test."""
    await page.goto("about:blank")
    await page.unroute_all(behavior="wait")


async def reaches(page: Page, start: float, stop: float = FILM_SECONDS) -> None:
    async with asyncio.timeout(PLAYABLE_MS / 1000):
        await page.evaluate(REACHES, [start, stop])


async def open_menu(page: Page, name: str) -> Locator:
    """The choices of one of the player's menus, which is open then."""
    await page.get_by_role("button", name="Settings").click()
    await page.get_by_role("menuitem", name=name).click()
    return page.get_by_role("menuitemradio")


async def choose(page: Page, name: str, words: str) -> None:
    await (await open_menu(page, name)).filter(has_text=re.compile(f"^{re.escape(words)}$")).click()


async def time_is(page: Page, seconds: float, within: float = 0.01) -> None:
    await reaches(page, seconds - within, seconds + within)


@pytest.fixture
async def asset(library: Library, film: bytes) -> str:
    """A film's id, right after its upload."""
    identity: str = (await library.put(film, "Bay & <b>harbour.mp4"))["id"]
    return identity


async def test_a_film_plays_and_seeks(page: Page, site: Site, asset: str) -> None:
    await watch(page, site, asset)
    frames = {}
    for seconds in (9.5, 1.0, 6.25, 11.4, 3.0):
        landed, frames[seconds] = await page.evaluate(SEEK, seconds)
        assert landed == pytest.approx(seconds, abs=0.001)
    assert len(set(frames.values())) == len(frames), "two places of the film look the same"
    assert (await page.evaluate(SEEK, 6.25))[1] == frames[6.25], "the same place looks different"
    await page.evaluate(MUTE)
    await page.keyboard.press("k")
    await reaches(page, 6.8)
    assert await page.evaluate("document.querySelector('video').duration") == pytest.approx(
        FILM_SECONDS, abs=0.1
    )


async def test_the_title_is_only_text(page: Page, site: Site, asset: str) -> None:
    await watch(page, site, asset)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Bay & <b>harbour")


async def test_a_link_starts_at_its_time_and_can_be_made_there(page: Page, site: Site, asset: str) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await watch(page, site, asset, "?t=7.25")
    await time_is(page, 7.25)
    await expect(page.get_by_text("0:07.250")).to_be_visible()
    await page.keyboard.press("ArrowLeft")
    await page.get_by_role("button", name="Copy link at this time").click()
    await expect(page.get_by_text("copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == f"{site.url}/watch/{asset}?t=2.25"


async def test_keys_seek_wherever_the_focus_is(page: Page, site: Site, asset: str) -> None:
    await watch(page, site, asset)
    for focus in (
        "document.activeElement.blur()",
        "document.querySelector('video').focus()",
        "document.querySelector('media-time-range').range.focus()",
        "document.querySelector('.control-row media-play-button').focus()",
    ):
        await page.evaluate(focus)
        for key, seconds in (("5", 6), ("ArrowRight", 11), ("j", 1), ("l", 11), ("ArrowLeft", 6), ("0", 0)):
            await page.keyboard.press(key)
            await time_is(page, seconds, within=0.06)  # a tenth of the duration the service measured
    await page.keyboard.press("ArrowLeft")
    await time_is(page, 0)


async def test_keys_step_by_single_frames(page: Page, site: Site, asset: str) -> None:
    await watch(page, site, asset)
    await page.evaluate(MUTE)
    # Played a little, the page knows how long a frame is: 40 ms here.
    await page.keyboard.press("k")
    await reaches(page, 0.6)
    await page.keyboard.press("k")
    _, shown = await page.evaluate(SEEK, 4.02)
    seen = [shown]
    for key, seconds in ((".", 4.06), (".", 4.1), (",", 4.06)):
        await page.keyboard.press(key)
        await time_is(page, seconds, within=0.021)
        seen.append((await page.evaluate(SEEK, seconds))[1])
    assert len(set(seen[:3])) == 3, "a step forward shows the same frame"
    assert seen[3] == seen[1], "a step back does not show the frame before"


async def test_what_does_not_exist_is_said(page: Page, site: Site) -> None:
    complaints[page].expect("404")
    await page.goto(f"{site.url}/watch/00000000-0000-0000-0000-000000000000")
    await expect(page.get_by_text("There is no such video")).to_be_visible()


async def test_a_film_that_is_not_made_yet_starts_when_it_is(page: Page, site: Site, asset: str) -> None:
    nothing = NOTHING | {"watch": f"/watch/{asset}"}
    early = {
        "id": asset,
        "title": "Early",
        "state": "probing",
        "duration": None,
        "width": None,
        "height": None,
    }
    await page.route(
        "**/asset.json", lambda route: route.fulfill(json={**early, "playback": nothing}), times=1
    )
    await page.goto(f"{site.url}/watch/{asset}")
    await expect(page.get_by_text("This video is being prepared")).to_be_visible()
    await expect(page.get_by_role("button", name="Copy link at this time")).to_be_visible(timeout=PLAYABLE_MS)


async def test_a_failed_one_says_why(page: Page, site: Site, asset: str) -> None:
    nothing = NOTHING | {"watch": f"/watch/{asset}"}
    error = {"code": "not_media", "detail": "This is a shopping list."}
    known = {"id": asset, "title": "List", "state": "failed", "duration": None, "width": None, "height": None}
    await page.route(
        "**/asset.json", lambda route: route.fulfill(json={**known, "error": error, "playback": nothing})
    )
    await page.goto(f"{site.url}/watch/{asset}")
    await expect(page.get_by_text("This is a shopping list. (not_media)")).to_be_visible()


async def test_what_the_browser_decodes_comes_by_hls_out_of_the_original(
    page: Page, site: Site, asset: str
) -> None:
    async with page.expect_request("**/hls/source/*.m4s*"):
        await watch(page, site, asset, "?t=7.5")
    assert str(await page.evaluate("document.querySelector('video').currentSrc")).startswith("blob:")
    await time_is(page, 7.5)


async def test_without_scripted_media_the_original_plays_by_ranges(
    page: Page, site: Site, asset: str
) -> None:
    await page.add_init_script("delete globalThis.MediaSource; delete globalThis.ManagedMediaSource")
    # Chromium would play HLS by itself; a browser that cannot is left with the file.
    await page.add_init_script(
        """const canPlayType = HTMLMediaElement.prototype.canPlayType;
        HTMLMediaElement.prototype.canPlayType = function (type) {
          return type.includes("mpegurl") ? "" : canPlayType.call(this, type);
        };"""
    )
    await watch(page, site, asset, "?t=2.5")
    assert "/original.mp4" in str(await page.evaluate("document.querySelector('video').currentSrc"))
    await time_is(page, 2.5)
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_role("menuitem")).to_have_text(["SpeedNormal"])


async def test_the_quality_can_be_chosen_and_changes_at_the_same_place(
    page: Page, site: Site, asset: str
) -> None:
    await watch(page, site, asset, "?t=6.25")
    await time_is(page, 6.25)
    qualities = await open_menu(page, "Quality")
    await expect(qualities.first).to_have_text("Automatic, now Original (360p)")
    await expect(qualities.first).to_be_checked()
    async with page.expect_request("**/hls/240p/*.m4s*"):
        await qualities.get_by_text("240p", exact=True).click()
    await open_menu(page, "Quality")
    await expect(page.get_by_role("menuitemradio", checked=True)).to_have_text("240p")
    await time_is(page, 6.25)
    await page.keyboard.press("Escape")
    # The keys are the player's again, although the menu was the last thing touched.
    await page.keyboard.press("ArrowLeft")
    await time_is(page, 1.25)


async def test_sounds_and_subtitles_can_be_chosen(page: Page, site: Site, library: Library) -> None:
    film = shared_file("corpus/h264_ac3_srt.mkv").read_bytes()
    asset = await library.put(film, "subtitled.mkv")
    await watch(page, site, asset["id"])
    subtitles = await open_menu(page, "Subtitles")
    await expect(page.get_by_role("menuitemradio", checked=True)).to_have_text("Off")
    async with page.expect_request("**/*.vtt*"):
        await subtitles.nth(1).click()
    shown = "[...document.querySelector('video').textTracks].some((track) => track.mode === 'showing')"
    assert await page.evaluate(shown)
    await page.keyboard.press("c")
    assert not await page.evaluate(shown)
    await page.keyboard.press("c")
    assert await page.evaluate(shown)


async def test_waiting_for_a_segment_is_said_in_words(page: Page, site: Site, asset: str) -> None:
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route(
        "**/hls/240p/*.m4s*", hold
    )  # from the start: else a quick machine has loaded all of it by then
    await watch(page, site, asset)
    await choose(page, "Quality", "240p")
    # Whatever was loaded before: only 240p is now, and a seek waits for it.
    await page.evaluate("document.querySelector('video').currentTime = 6")
    await expect(page.get_by_text("This part is being made…")).to_be_visible()
    go_on.set()
    await expect(page.get_by_text("This part is being made…")).to_be_hidden()
    await leave(page)


async def test_a_part_that_cannot_be_made_is_skipped_and_said(page: Page, site: Site, asset: str) -> None:
    complaints[page].expect("404")
    await page.route("**/hls/*/1.m4s*", lambda route: route.fulfill(status=404))
    await watch(page, site, asset, "?t=2.5")
    await time_is(page, 2.5)
    await page.evaluate(MUTE)
    await page.keyboard.press("k")
    await reaches(page, 3.5, 4.1)
    await expect(page.get_by_text("could not be made")).to_be_visible(timeout=PLAYABLE_MS)
    await reaches(page, 8.5)
    await page.keyboard.press("k")
    await page.evaluate("document.querySelector('video').currentTime = 5")
    await reaches(page, 8.0, 8.1)
    await page.evaluate(SEEK, 1.0)
    await leave(page)


async def test_a_blurred_likeness_is_shown_until_there_is_a_picture(
    page: Page, site: Site, asset: str, library: Library
) -> None:
    await library.drawn(asset)
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route("**/media/**", hold)
    await page.goto(f"{site.url}/watch/{asset}")
    for seen in ("#message", "#video"):
        await expect(page.locator(seen)).to_have_css(
            "background-image", re.compile("data:image/webp;base64,")
        )
    go_on.set()
    await expect(page.locator("#video")).to_have_css("background-image", "none", timeout=PLAYABLE_MS)
    await leave(page)


async def test_a_phone_shows_everything_without_scrolling_sideways(
    page: Page, site: Site, asset: str
) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await watch(page, site, asset)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
