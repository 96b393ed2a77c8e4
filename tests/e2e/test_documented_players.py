"""The examples of docs/players.md do what the page says: run as they stand there, on a page of another origin."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.async_api import Browser, Page

from tests.support.api import put_in
from tests.support.browser import Complaints
from tests.support.clock_film import FPS, READ_FRAME, make_clock_film
from tests.support.documented import code_blocks
from tests.support.file_server import serving
from tests.support.nginx import running_nginx
from tests.support.processes import wait_until
from tests.support.scrubbing import MODULES, NEEDED, READ_PICTURE
from tests.support.server import CHECKOUT, running_server
from tests.support.uppy import ESBUILD

TEXT = (CHECKOUT / "docs" / "players.md").read_text()
SERVICE, ASSET = "https://media.example", "ID"
SECONDS = 60
START, PLACE = 42.5, 7.3  # seconds: where the page's examples begin, and where a viewer goes then
MADE_SECONDS = 60.0
SHOWN_SECONDS = 40.0  # two cores, and a size that has to be encoded first
SCRIPT = re.compile(r'<script type="module">\n(.*?)</script>\n', re.DOTALL)
NEEDED_HERE = (*NEEDED, MODULES / "dashjs", MODULES / "video.js")
# Waits until the video shows a frame; [its number, the time, the error]. Looks for as long as any machine needs.
SHOWN = f"""async ([wanted, deadline]) => {{
  const end = performance.now() + deadline;
  const read = {READ_FRAME};
  for (;;) {{
    const video = document.querySelector("video");
    const frame = video && video.readyState > 1 && !video.seeking ? read(video) : null;
    if (frame === wanted || performance.now() > end)
      return [frame, video?.currentTime ?? null, video?.error?.message ?? null];
    await new Promise((done) => setTimeout(done, 20));
  }}
}}"""
SEEK = "(seconds) => { document.querySelector('video').currentTime = seconds; }"
MOVE = """(seconds) => {
  const bar = document.querySelector("#bar");
  bar.value = seconds;
  bar.dispatchEvent(new Event("input"));
  return Number(bar.max);
}"""


class Shown(NamedTuple):
    """A film with all its previews, through nginx. `playback`: its addresses."""

    url: str
    asset: str
    client: httpx.Client
    cues: list[dict[str, Any]]

    def written_for(self, text: str) -> str:
        """What the page says, of this service and this film."""
        return re.sub(rf"\b{ASSET}\b", self.asset, text.replace(SERVICE, self.url))

    def token(self, seconds: int) -> str:
        """A playback token that lasts so long."""
        asked = self.client.post(f"/api/v1/assets/{self.asset}/playback-tokens", json={"expires_in": seconds})
        return str(asked.raise_for_status().json()["token"])

    def previewed(self, seconds: float) -> int:
        """The number of the frame that is the preview of that time."""
        begins: list[float] = [cue["startTime"] for cue in self.cues if cue["startTime"] <= seconds]
        return round(begins[-1] * FPS)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    directory = tmp_path_factory.mktemp("players")
    film = make_clock_film(directory / "clock.mp4", SECONDS)
    with (
        running_server(directory, transcode_ahead=False) as server,
        running_nginx(directory / "nginx", server.port) as proxy,
        server.client(url=proxy.url, timeout=60) as client,
    ):
        asset = put_in(client, film)["id"]

        def whole() -> bool:
            known = client.get(f"/api/v1/assets/{asset}").raise_for_status().json()
            return bool(known["previews"] and known["previews"]["complete"] and known["playback"]["poster"])

        wait_until(whole, MADE_SECONDS, "poster and previews are made")
        cues = client.get(f"/media/{asset}/storyboard.json").raise_for_status().json()
        yield Shown(proxy.url.rstrip("/"), asset, client, cues)


def example(heading: str) -> str:
    [found] = code_blocks(TEXT, heading, "html")
    return found


def bundler() -> Path:
    """esbuild; skips where something is not installed that the page's examples need."""
    for needed in NEEDED_HERE:
        if not needed.exists():
            pytest.skip(f"{needed} is absent; `make install-dev` brings it")
    return ESBUILD


def build(markup: str, directory: Path) -> None:
    """Write the page that somebody makes of the example with a bundler, index.html, and what it loads."""
    script = SCRIPT.search(markup)
    head = "<meta charset=utf-8><title>Somebody's page</title><link rel=icon href='data:,'>"
    if script:
        (directory / "page.mjs").write_text(script[1])
        argv = [str(bundler()), "page.mjs", "--bundle", "--format=esm", "--outfile=bundle.js"]
        subprocess.run(
            [*argv, "--log-level=warning", "--loader:.woff=dataurl"],
            cwd=directory,
            env={"NODE_PATH": str(MODULES)},
            check=True,
        )
        markup = SCRIPT.sub('<script type="module" src="bundle.js"></script>\n', markup)
        if (directory / "bundle.css").exists():
            head += '<link rel="stylesheet" href="bundle.css">'
    (directory / "index.html").write_text(f"<!doctype html><html lang=en>{head}<body>{markup}")


@asynccontextmanager
async def visiting(browser: Browser, markup: str, directory: Path) -> AsyncIterator[Page]:
    """The example on a page of its own; it must hear no complaint."""
    build(markup, directory)
    with serving(directory) as origin:
        context = await browser.new_context(viewport={"width": 1000, "height": 800})
        page = await context.new_page()
        complaints = Complaints(page)
        # Shaka's style sheet names a font there, as the page says; nothing here goes out to the internet.
        await context.route(re.compile(r"^https:"), lambda route: route.abort())
        complaints.expect(r"https://fonts\.gstatic\.com/")
        await page.goto(origin.replace("127.0.0.1", "localhost"))
        yield page
        await context.close()
    assert complaints.unexpected == []


async def shows(page: Page, seconds: float) -> None:
    """The video shows the frame of that time, and nothing else will do."""
    wanted = int(seconds * FPS)
    frame, time, error = await page.evaluate(SHOWN, [wanted, SHOWN_SECONDS * 1000])
    assert (frame, error) == (wanted, None), f"at {time} s"


async def previews(page: Page, shown: Shown, seconds: float) -> None:
    """The example's own bar, moved to that time, shows the frame that the storyboard tells of."""
    async with asyncio.timeout(SHOWN_SECONDS):
        while await page.evaluate(MOVE, seconds) < seconds:  # noqa: ASYNC110 - the bar tells nobody
            await asyncio.sleep(0.05)
        while await _pictured(page) != shown.previewed(seconds):  # noqa: ASYNC110 - no screen tells
            await asyncio.sleep(0.1)


async def _pictured(page: Page) -> int | None:
    preview = page.locator("#preview")
    if not await preview.is_visible():
        return None
    found: int | None = await page.evaluate(READ_PICTURE, b64encode(await preview.screenshot()).decode())
    return found


@pytest.mark.parametrize(
    "heading", ["`<video>`", "hls.js", "Shaka", "dash.js", "Vidstack", "media-chrome", "video.js"]
)
async def test_a_player_starts_and_seeks_exactly(
    browser: Browser, shown: Shown, tmp_path: Path, heading: str
) -> None:
    markup = shown.written_for(example(heading))
    async with visiting(browser, markup, tmp_path) as page:
        await shows(page, START)
        await page.evaluate(SEEK, PLACE)
        await shows(page, PLACE)
        if 'id="bar"' in markup:
            await previews(page, shown, 31.7)


async def test_a_bar_of_ones_own_shows_previews(browser: Browser, shown: Shown, tmp_path: Path) -> None:
    markup = shown.written_for(example("Previews for a bar of one's own"))
    async with visiting(browser, markup, tmp_path) as page:
        for seconds in (31.7, 0.0, 58.4):
            await previews(page, shown, seconds)


async def test_a_film_goes_on_with_a_new_token(browser: Browser, shown: Shown, tmp_path: Path) -> None:
    markup = shown.written_for(example("A new token while the film plays"))
    markup, renewals = re.subn("RENEW_MS = 60_000", "RENEW_MS = 100", markup)
    assert renewals == 1
    old, new = shown.token(3600), shown.token(7200)
    told = tmp_path / "film-token"
    told.write_text(json.dumps({"token": old}))
    async with visiting(browser, markup, tmp_path) as page:
        await shows(page, START)
        told.with_suffix(".new").write_text(json.dumps({"token": new}))
        told.with_suffix(".new").rename(told)
        heard = ""
        while new not in heard:
            async with page.expect_response(re.compile("/film-token$")) as answer:
                pass
            heard = await (await answer.value).text()
        async with page.expect_request(re.compile("/film-token$")):
            pass  # what was heard before has arrived in the script
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.evaluate(SEEK, PLACE)
        await shows(page, PLACE)
        segments = [url for url in asked if ".m4s" in url]
        assert segments
        assert all(f"/t/{new}/" in url for url in segments), segments


def test_signed_films_need_nothing_but_another_address(shown: Shown) -> None:
    """All that the page names is there with a token before it, for who has no key."""
    token = shown.token(3600)
    named = sorted(set(re.findall(rf"{SERVICE}/media/{ASSET}/([\w./]+)", TEXT)))
    assert {"hls/master.m3u8", "dash/manifest.mpd", "storyboard.vtt", "poster.jpg"} <= set(named)
    for path in named:
        for prefix in ("", f"/t/{token}"):
            answer = httpx.get(
                f"{shown.url}{prefix}/media/{shown.asset}/{path}", headers={"Range": "bytes=0-1"}
            )
            assert answer.is_success, (path, answer.text)


def test_the_example_for_react_native_is_a_program() -> None:
    [found] = code_blocks(TEXT, "React Native", "tsx")
    subprocess.run([str(bundler()), "--loader=tsx"], input=found.encode(), check=True, capture_output=True)


def test_the_versions_that_the_page_names_are_those_that_are_tried() -> None:
    for heading, package in (
        ("hls.js", "hls.js"),
        ("Shaka", "shaka-player"),
        ("dash.js", "dashjs"),
        ("Vidstack", "vidstack"),
        ("media-chrome", "media-chrome"),
        ("video.js", "video.js"),
    ):
        found = re.search(rf"^## {re.escape(heading)}\n\n(\d+\.\d+)\b", TEXT, re.MULTILINE)
        assert found is not None, heading
        lock = (CHECKOUT / "package-lock.json").read_text()
        assert f'"node_modules/{package}": {{\n      "version": "{found[1]}.' in lock, heading
