"""The page of one asset in the admin panel: the film, its timeline as it fills, its links, its poster, its end."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Library, Site
from tests.e2e.test_admin_page import CONVERTED_MS, OWN, OWN_BYTES, fits_the_width, sign_in
from tests.e2e.test_watch_page import leave
from tests.support.axe import serious
from tests.support.browser import complaints
from tests.support.media import ffmpeg

ASSETS = "/api/v1/assets"
SECONDS = 60
# The colours of a strip's canvas along its middle: how many there are beside the separators is what is told apart.
STRIP = """([name, at]) => {
    const label = [...document.querySelectorAll(".strip-name")].find(({ textContent }) => textContent === name);
    const canvas = label.nextSibling;
    const x = Math.round(at * canvas.width), y = Math.round(canvas.height / 2);
    return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].join();
}"""
LISTEN = """() => {
    window.told = new Set();
    const words = document.querySelector("#timeline-words");
    const hear = () => {
        window.told.add(words.textContent);
        window.line ??= words.firstChild;
    };
    new MutationObserver(hear).observe(words, { childList: true, subtree: true });
}"""
# Looks from within, as the page's policy forbids what Playwright's wait_for_function does.
LOADED = """() => new Promise((done) => {
    const frame = document.querySelector("#player");
    const look = () => (frame.contentDocument?.querySelector("video")?.readyState ? done() : setTimeout(look, 20));
    look();
})"""
PLAY = """() => {
    const video = document.querySelector("#player").contentDocument.querySelector("video");
    video.muted = true;
    return video.play();
}"""
GOES_ON = """() => new Promise((done) => {
    const video = document.querySelector("#player").contentDocument.querySelector("video");
    const then = video.currentTime + 0.2;
    const look = () => (video.currentTime > then ? done() : setTimeout(look, 20));
    look();
})"""
STANDS_AT = """(seconds) => new Promise((done) => {
    const frame = document.querySelector("#player");
    const at = () => frame.contentDocument?.querySelector("video")?.currentTime;
    const look = () => (Math.abs(at() - seconds) < 0.1 ? done() : setTimeout(look, 20));
    look();
})"""


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """With keyframes too far apart for HLS to be cut out of it: every rendition has to be made."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    picture = f"testsrc2=size=640x360:rate=25:duration={SECONDS}"
    sound = f"sine=frequency=440:duration={SECONDS}"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "300", "-c:a", "aac"]
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *coding, path)
    return path.read_bytes()


async def open_page(page: Page, site: Site, asset: dict[str, Any]) -> None:
    await sign_in(page, site)
    await page.goto(f"{site.url}/admin/assets/{asset['id']}")
    await expect(page.get_by_role("heading", level=1)).to_have_text(asset["title"])


async def stands_at(page: Page, seconds: float) -> None:
    async with asyncio.timeout(30):
        await page.evaluate(STANDS_AT, seconds)


async def test_a_film_is_watched_pointed_into_and_made_known(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Crossing the bay.mp4")
    await open_page(page, site, asset)
    await expect(page.locator("#badge")).to_have_text("Ready", timeout=CONVERTED_MS)
    own = await page.evaluate(OWN)
    assert 10_000 < sum(own.values()) < OWN_BYTES, own

    # The timeline shows it all, in words as well, and points into the film.
    timeline = page.get_by_role("slider", name="Place in the film")
    await expect(page.locator(".strip-name:visible")).to_have_text(
        ["Previews", "Keyframes", "Original", "360p", "240p", "Sound", "Loudness"], timeout=CONVERTED_MS
    )
    await page.get_by_text("The timeline in words").click()
    words = page.locator("#timeline-words li")
    await expect(words.first).to_contain_text("keyframes, one in 2.0 s on average")
    await expect(words.filter(has_text="240p")).to_have_text("240p: all 3 segments are stored.")
    box = await timeline.bounding_box()
    assert box
    await page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    await expect(page.locator(".hover-words")).to_contain_text("0:09.0")
    await expect(page.locator(".hover-picture")).to_be_visible()
    await page.mouse.down()
    await page.mouse.up()
    await stands_at(page, 9)
    await expect(timeline).to_have_attribute("aria-valuetext", "0:09 of 0:12")
    await timeline.press("ArrowLeft")
    await stands_at(page, 8)
    await timeline.press("Home")
    await stands_at(page, 0)

    # The poster is the frame that was chosen.
    poster = page.get_by_alt_text("The poster as it is now")
    before = await poster.get_attribute("src")
    await page.get_by_label("Poster: the frame at so many seconds").fill("7.5")
    await page.get_by_role("button", name="Use this frame").click()
    await expect(page.locator("#toast")).to_have_text("The poster is now the frame at 0:07.500")
    await expect(poster).not_to_have_attribute("src", before or "")
    await page.get_by_role("button", name="Choose for me").click()
    await expect(page.get_by_role("button", name="Choose for me")).to_be_hidden()

    # Its links, its name, who may play it.
    links = page.get_by_role("list", name="Links")
    await expect(links.get_by_label("MP4 file", exact=True)).to_have_value(re.compile(r"^http.*\.mp4$"))
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await links.get_by_role("button", name="Copy: Embed code").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f'<iframe src="{site.url}/embed/{asset["id"]}" title="Crossing the bay"')
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_label("Title of Crossing the bay").fill("The bay, crossed")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("The bay, crossed")
    await expect(page.locator(".history")).to_contain_text("Title: The bay, crossed")
    await page.get_by_label("Who may play it").select_option("Who has a signed link")
    await expect(page.get_by_text("These hold a token and expire.")).to_be_visible()
    await expect(links.get_by_label("HLS playlist", exact=True)).to_have_value(re.compile(r"/t/.*m3u8$"))
    assert await serious(page) == []
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await fits_the_width(page)
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert await serious(page) == []


async def test_what_somebody_is_about_to_do_is_not_taken_from_him(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Rough cut.mp4")
    await library.drawn(asset["id"])
    await open_page(page, site, asset)

    # Half a title stays while he looks into another window, and while others change it.
    await page.get_by_role("button", name="Rename").click()
    field = page.get_by_label("Title of Rough cut")
    await field.fill("Half a ti")
    await field.dispatch_event("blur")
    await library.edit(asset["id"], title="Renamed elsewhere")
    await expect(page.locator("#title")).to_have_text("Renamed elsewhere")
    await expect(page.locator("#title")).to_be_hidden()
    await expect(field).to_have_value("Half a ti")
    await field.press("Escape")
    await expect(page.locator("#title")).to_be_visible()

    # A time that was typed is the poster's, although the film goes on.
    await page.evaluate(LOADED)
    await page.evaluate(PLAY)
    number = page.get_by_label("Poster: the frame at so many seconds")
    await number.fill("9.5")
    await number.press("Tab")
    await page.evaluate(GOES_ON)
    await page.get_by_role("button", name="Use this frame").press("Enter")
    await expect(page.locator("#toast")).to_have_text("The poster is now the frame at 0:09.500")
    await expect(number).not_to_have_value("9.5")

    # The links of who asked before are not shown to who asks now.
    late = asyncio.Event()

    async def slowly(route: Route) -> None:
        await late.wait()
        await route.continue_()

    await page.route("**/playback-tokens", slowly, times=1)
    dialog = page.get_by_role("dialog", name="Make a signed link")
    await page.get_by_role("button", name="Signed link").click()
    async with page.expect_response("**/playback-tokens"):
        await dialog.get_by_role("button", name="Make it").click()
        await dialog.get_by_role("button", name="Close").click()
        await page.get_by_role("button", name="Signed link").click()
        await expect(dialog.get_by_role("button", name="Make it")).to_be_enabled()
        late.set()
    await page.evaluate("fetch(location.href).then((answer) => answer.text())")
    await expect(dialog.get_by_role("list", name="Signed links")).to_be_hidden()
    await dialog.get_by_role("button", name="Close").click()
    await page.goto("about:blank")  # a request that is just being answered would outlive the test
    await page.unroute_all(behavior="wait")


async def test_what_is_made_while_the_timeline_is_read_is_shown(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Slow line.mp4")
    await library.drawn(asset["id"])
    asked = asyncio.Event()
    told = [b'event: made\ndata: {"renditions": {"240p": [[0, 2]]}}\n\n']

    async def older(route: Route) -> None:
        answer = await (await route.fetch()).json()
        asked.set()
        await expect(page.locator("#live")).to_have_text("Reconnecting…")  # after what the first stream told
        for rendition in answer["renditions"]:
            rendition["made"] = []
        await route.fulfill(json=answer)

    async def events(route: Route) -> None:
        await asked.wait()
        body = told.pop() if told else b":\n\n"
        await route.fulfill(content_type="text/event-stream", body=body)

    async def framed(route: Route) -> None:
        policy = {"Content-Security-Policy": "frame-ancestors 'self' https://blog.example"}
        await (route.fulfill(headers=policy) if route.request.method == "HEAD" else route.continue_())

    await sign_in(page, site)
    await page.route(f"**{ASSETS}/{asset['id']}/timeline", older)
    await page.route(f"**{ASSETS}/{asset['id']}/events", events)
    await page.route(f"**/embed/{asset['id']}", framed)
    await page.goto(f"{site.url}/admin/assets/{asset['id']}")
    await expect(page.locator("#timeline-words")).to_contain_text("240p: 2 of 3 segments are stored")
    await expect(
        page.get_by_text("The embed code works on pages of https://blog.example only.")
    ).to_be_visible()
    await leave(page)


@pytest.mark.torture
async def test_the_timeline_fills_while_the_film_is_made(
    page: Page, site: Site, long_film: bytes, library: Library
) -> None:
    await page.emulate_media(reduced_motion="reduce")  # what has just come would flash
    await sign_in(page, site)
    asset = await library.put(long_film, "Slow to be made.mp4")
    await page.goto(f"{site.url}/admin/assets/{asset['id']}")
    await page.evaluate(LISTEN)
    await expect(page.locator("#badge")).to_have_text("Ready", timeout=CONVERTED_MS)
    await expect(page.locator("#timeline-words")).to_contain_text("240p: all 15 segments are stored.")
    assert len(await page.evaluate("[...window.told]")) > 2
    assert await page.evaluate("window.line.isConnected"), "a line that somebody reads is another one"
    await expect(page.locator(".strip-count:visible").filter(has_text="all")).to_have_count(3)
    assert await page.evaluate(STRIP, ["240p", 0.05]) == await page.evaluate(STRIP, ["240p", 0.95])


async def test_deleting_can_be_undone_and_leads_to_the_library(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Old rushes.mp4")
    await page.clock.install()
    await open_page(page, site, asset)
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("button", name="Delete")).to_be_enabled()
    await page.get_by_role("button", name="Delete").press("Enter")
    await expect(page.get_by_role("button", name="Undo")).to_be_focused()
    await page.clock.fast_forward(8_000)
    await page.wait_for_url(f"{site.url}/admin")


async def test_why_it_failed_is_said_and_it_can_be_tried_again(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Went wrong.mp4")
    error = {"code": "segment_failed", "detail": "The converter stopped."}
    asked: list[str] = []

    async def failed(route: Route) -> None:
        answer = await (await route.fetch()).json()
        await route.fulfill(json={**answer, "state": "failed", "error": error, "updated_at": "2999"})

    async def retried(route: Route) -> None:
        asked.append(route.request.method)
        answer = await route.fetch(url=f"{site.url}{ASSETS}/{asset['id']}", method="GET")
        await route.fulfill(status=202, json={**await answer.json(), "updated_at": "3000"})

    await sign_in(page, site)
    await page.route(f"**{ASSETS}/{asset['id']}", failed)
    await page.route(f"**{ASSETS}/{asset['id']}/retry", retried)
    await page.goto(f"{site.url}/admin/assets/{asset['id']}")
    problem = page.locator("#problem")
    await expect(problem).to_contain_text("The converter stopped. (segment_failed)")
    await problem.get_by_role("button", name="Try again").click()
    await expect(problem).to_be_hidden()
    assert asked == ["POST"]

    # What was refused is not shown as if it were so. (What the service tells is older: it changes nothing here.)
    complaints[page].expect("500")
    await page.route(f"**{ASSETS}/{asset['id']}", lambda route: route.fulfill(status=500))
    await page.get_by_label("Who may play it").select_option("Who has a signed link")
    await expect(page.locator("#toast")).to_contain_text("Not changed.")
    await expect(page.get_by_label("Who may play it")).to_have_value("")
    await page.goto("about:blank")  # a request that is just being answered would outlive the test
    await page.unroute_all(behavior="wait")


async def test_who_is_not_signed_in_comes_back_after_signing_in(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Shared address.mp4")
    await page.goto(f"{site.url}/admin/assets/{asset['id']}")
    await page.get_by_label("Admin token").fill(site.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Shared address")
    assert await page.evaluate("history.length") == 2  # the empty page and this one
    complaints[page].expect("404")
    await page.goto(f"{site.url}/admin/assets/no-such-asset")
    await expect(page.get_by_role("alert")).to_contain_text("There is no such video")
