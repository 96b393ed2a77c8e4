"""The player's controls: pictures above the scrub bar, menus by keyboard, the remembered place, the same in frames."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import FILM_SECONDS, Library, Site
from tests.e2e.test_watch_page import MUTE, PLAYABLE_MS, REACHES, open_menu, reaches, time_is, watch
from tests.support.axe import serious

# A sum over the pixels of the preview, as soon as it shows something, and none of what was `seen` before.
PREVIEW = """(seen) => new Promise((done) => {
  const canvas = document.querySelector(".preview canvas");
  const look = () => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const sum = data.reduce((sum, value, at) => (sum * 31 + value * (at % 7)) % 1000003, 0);
    if (canvas.hidden || sum === 0 || seen.includes(sum)) setTimeout(look, 20);
    else done(sum);
  };
  look();
})"""
# What media-chrome asks for when the scrub bar is dragged faster than anybody can seek; gives the places that are sought.
DRAG = """async (places) => {
  const [video, sought] = [document.querySelector("video"), []];
  video.addEventListener("seeking", () => sought.push(video.currentTime));
  for (const detail of places) {
    const request = new CustomEvent("mediaseekrequest", { detail, bubbles: true, composed: true });
    document.querySelector("media-time-range").dispatchEvent(request);
  }
  const last = places.at(-1);
  while (video.seeking || video.currentTime !== last) await new Promise((done) => setTimeout(done, 10));
  return sought;
}"""
PLACES = "localStorage.getItem('media-service:places')"


@pytest.fixture
async def asset(library: Library, film: bytes) -> str:
    """A film's id; its previews are there."""
    identity: str = (await library.put(film, "Harbour.mp4"))["id"]
    await library.drawn(identity)
    return identity


async def scrub_to(page: Page, fraction: float, above: float = 0) -> None:
    """The pointer, to that part of the scrub bar, or so many pixels above it."""
    box = await page.locator("media-time-range").bounding_box()
    assert box is not None
    # The bar keeps 8 pixels free at both ends.
    left, width = box["x"] + 8, box["width"] - 16
    await page.mouse.move(left + width * fraction, box["y"] + box["height"] / 2 - above)


async def preview(page: Page, seen: list[int]) -> int:
    async with asyncio.timeout(PLAYABLE_MS / 1000):
        shown: int = await page.evaluate(PREVIEW, seen)
    return shown


async def test_the_scrub_bar_shows_each_times_picture_and_seeks_where_it_is_let_go(
    page: Page, site: Site, asset: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await watch(page, site, asset)
    await scrub_to(page, 0.02)
    await scrub_to(page, 0.03)
    time = page.locator(".preview-time")
    await expect(time).to_be_visible()
    await expect(time).to_have_text("0:00")
    seen = [await preview(page, [])]
    for fraction, words in ((0.5, "0:06"), (0.98, "0:11")):
        await scrub_to(page, fraction)
        await expect(time).to_have_text(words)
        seen.append(await preview(page, seen))
    shown = await page.locator(".preview").bounding_box()
    stage = await page.locator("#stage").bounding_box()
    assert shown is not None
    assert stage is not None
    assert shown["x"] + shown["width"] <= stage["x"] + stage["width"], "the picture is cut off"
    await time_is(page, 0)  # looking is not seeking
    await page.mouse.down()
    for fraction in (0.8, 0.4, 0.25):
        await scrub_to(page, fraction, above=80)
    await page.mouse.up()
    await time_is(page, 0.25 * FILM_SECONDS, within=0.15)
    assert await page.evaluate(DRAG, [place / 8 for place in range(80)]) == [0, 79 / 8]
    # Nobody is told who watches what: all there is to ask is the film's own site, and nothing is sent there.
    assert {urlsplit(url).netloc for url in asked if not url.startswith("blob:")} == {
        urlsplit(site.url).netloc
    }
    assert not [url for url in asked if "/api/" in url]


def checked(page: Page) -> Locator:
    return page.get_by_role("menuitemradio", checked=True)


async def test_menus_work_by_keyboard_and_nothing_shuts_anybody_out(
    page: Page, site: Site, asset: str
) -> None:
    await watch(page, site, asset)
    assert await serious(page) == []
    settings = page.get_by_role("button", name="Settings")
    await settings.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Quality")).to_be_focused()
    assert await serious(page) == []
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Speed")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(checked(page)).to_have_text("Normal")
    await expect(checked(page)).to_be_focused()
    assert await serious(page) == []
    await page.emulate_media(color_scheme="dark")
    assert await serious(page) == []
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("menuitem", name="Speed")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("End")
    await page.keyboard.press("Enter")
    await expect(settings).to_be_focused()
    assert await page.evaluate("document.querySelector('video').playbackRate") == 2
    await open_menu(page, "Speed")
    await expect(checked(page)).to_have_text("2\u00d7")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_be_hidden()
    await time_is(page, 0)  # none of these keys was the player's
    # One frame by the buttons for those without keys.
    await page.get_by_role("button", name="One frame on").click()
    await time_is(page, 0.06, within=0.021)
    await page.get_by_role("button", name="enter fullscreen mode").click()
    assert await page.evaluate("document.fullscreenElement.localName") == "media-controller"
    await page.keyboard.press("f")
    await expect(page.locator("media-controller:fullscreen")).to_have_count(0)


async def test_a_film_goes_on_where_it_was_left(page: Page, site: Site, asset: str) -> None:
    await watch(page, site, asset, "?t=5.6")
    await page.evaluate(MUTE)
    await page.keyboard.press("k")
    await reaches(page, 6)
    await page.keyboard.press("k")
    left: float = await page.evaluate("document.querySelector('video').currentTime")
    await watch(page, site, asset)
    await time_is(page, left, within=0.05)
    await page.get_by_role("button", name="Start over").click()
    await time_is(page, 0)
    await watch(page, site, asset, "?t=2")
    await time_is(page, 2)
    await expect(page.get_by_role("button", name="Start over")).to_have_count(0)
    await watch(page, site, asset, "?t=900")  # behind its end: the last half second is what there is
    await time_is(page, FILM_SECONDS - 0.5, within=0.1)
    # At the end there is nothing to go on with.
    await page.keyboard.press("9")
    await page.evaluate(MUTE)
    await page.keyboard.press("k")
    await reaches(page, FILM_SECONDS - 0.5)
    await page.keyboard.press("k")
    assert await page.evaluate(PLACES) == "{}"


async def test_a_small_frame_has_the_same_player_and_remembers_nothing(
    page: Page, site: Site, asset: str
) -> None:
    body = f"<!doctype html><html lang=en><title>Blog</title><iframe title=Film width=360 height=203 src='/embed/{asset}?t=5.6'></iframe>"
    await page.route(f"{site.url}/blog", lambda route: route.fulfill(content_type="text/html", body=body))
    await page.goto(f"{site.url}/blog")
    framed = page.frame_locator("iframe")
    settings = framed.get_by_role("button", name="Settings")
    await expect(settings).to_be_visible(timeout=PLAYABLE_MS)
    assert await serious(page) == []
    await settings.click()
    await framed.get_by_role("menuitem", name="Speed").click()
    menu = framed.get_by_role("menu")
    above, height = await menu.evaluate("(node) => [node.getBoundingClientRect().top, innerHeight]")
    assert 0 <= above < height
    await page.keyboard.press("Escape")
    [frame] = page.frames[1:]
    async with asyncio.timeout(PLAYABLE_MS / 1000):
        await framed.get_by_role("button", name="mute").click()
        await page.keyboard.press("k")
        await frame.evaluate(REACHES, [6, FILM_SECONDS])
        await page.keyboard.press("k")
    assert await frame.evaluate("Object.keys(localStorage)") == []
    assert not await frame.evaluate("document.documentElement.scrollWidth > innerWidth")


async def test_a_browser_that_cannot_style_the_controls_shows_its_own(
    page: Page, site: Site, asset: str
) -> None:
    await page.add_init_script("delete Document.prototype.adoptedStyleSheets")
    await watch(page, site, asset, "?t=3")
    await time_is(page, 3)
    assert await page.evaluate("document.querySelector('video').controls")
    await expect(page.get_by_role("button", name="Settings")).to_have_count(0)
    await page.keyboard.press("ArrowRight")
    await time_is(page, 8)
