"""Pages of other origins in Chromium: what their scripts may read, and what they may show in frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Library, Site
from tests.support.browser import complaints
from tests.support.nginx import running_nginx
from tests.support.server import running_server

# What a script reads of the address: status, exposed headers and the size; or that it may not.
READ = """async ([address, init]) => {
  try {
    const answer = await fetch(address, init);
    const size = (await answer.arrayBuffer()).byteLength;
    const seen = ["content-range", "etag", "retry-after", "x-content-type-options"].map((name) => answer.headers.get(name));
    return [answer.status, size, ...seen];
  } catch (error) {
    return error.name;
  }
}"""
FRAME = "(address) => { const frame = document.createElement('iframe'); frame.src = address; document.body.append(frame); }"
SHOWN = """() => new Promise((done) => {
  const look = () => {
    const video = document.querySelector("video");
    video && video.readyState > 1 ? done([innerWidth, Math.round(video.getBoundingClientRect().width)]) : setTimeout(look, 50);
  };
  look();
})"""
RANGE: dict[str, Any] = {"headers": {"Range": "bytes=0-9", "If-Range": '"other"'}}


class Blank(BaseHTTPRequestHandler):
    """A page with nothing in it."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>Elsewhere</title><link rel=icon href='data:,'><body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """An origin that is not ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def playable(site: Site, library: Library, film: bytes) -> dict[str, Any]:
    """A film that can be played."""
    asset = await library.put(film, "film.mp4")
    async with httpx.AsyncClient(base_url=site.url) as client, asyncio.timeout(30):
        while asset["playback"]["hls"] is None or asset["playback"]["original"] is None:
            asset = (await client.get(f"/watch/{asset['id']}/asset.json")).json()
    return asset


@pytest.fixture
async def asset(site: Site, library: Library, film: bytes) -> dict[str, Any]:
    return await playable(site, library, film)


async def test_scripts_of_others_read_films_by_ranges_and_what_went_wrong(
    page: Page, site: Site, asset: dict[str, Any], elsewhere: str
) -> None:
    complaints[page].expect("404")
    await page.goto(elsewhere)
    playback = asset["playback"]
    part = {"headers": {"Range": "bytes=0-9"}}
    status, size, content_range, etag, *_ = await page.evaluate(
        READ, [site.url + playback["original"]["url"], part]
    )
    assert (status, size) == (206, 10)
    assert content_range.startswith("bytes 0-9/")
    assert etag
    # Conditions need a preflight.
    status, size, *_ = await page.evaluate(READ, [site.url + playback["original"]["url"], RANGE])
    assert status == 200
    assert size > 10
    assert (await page.evaluate(READ, [site.url + playback["hls"], {}]))[0] == 200
    assert (await page.evaluate(READ, [f"{site.url}/media/unknown/hls/master.m3u8", {}]))[0] == 404


@pytest.mark.parametrize(
    "path", ["/api/v1/assets", "/admin/session", "/watch/{id}/asset.json", "/admin", "/schema/openapi.json"]
)
async def test_scripts_of_others_read_nothing_else(
    page: Page, site: Site, asset: dict[str, Any], elsewhere: str, path: str
) -> None:
    complaints[page].expect("CORS policy|ERR_FAILED|401")
    await page.goto(elsewhere)
    for init in ({}, {"headers": {"Authorization": f"Bearer {site.token}"}}, {"credentials": "include"}):
        assert await page.evaluate(READ, [site.url + path.format(id=asset["id"]), init]) == "TypeError"


@pytest.mark.parametrize("signed", [False, True])
async def test_the_player_alone_plays_in_frames_of_others(
    page: Page, site: Site, asset: dict[str, Any], elsewhere: str, signed: bool
) -> None:
    prefix = ""
    if signed:
        headers = {"Authorization": f"Bearer {site.token}"}
        async with httpx.AsyncClient(base_url=site.url, headers=headers) as client:
            answer = await client.post(
                f"/api/v1/assets/{asset['id']}/playback-tokens", json={"expires_in": 600}
            )
        prefix = f"/t/{answer.json()['token']}"
    await page.goto(elsewhere)
    await page.evaluate(FRAME, f"{site.url}{prefix}/embed/{asset['id']}?t=3")
    frame = page.frame_locator("iframe")
    await expect(frame.locator("video")).to_be_visible(timeout=30_000)
    await expect(frame.locator("h1")).to_be_hidden()
    [embedded] = [one for one in page.frames if "/embed/" in one.url]
    width, shown = await asyncio.wait_for(embedded.evaluate(SHOWN), 30)
    assert shown == width
    assert await embedded.evaluate("document.querySelector('video').currentTime") == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("path", ["/watch/{id}", "/admin", "/schema", "/media/{id}/poster.jpg"])
async def test_nothing_else_is_shown_in_frames(
    page: Page, site: Site, asset: dict[str, Any], elsewhere: str, path: str
) -> None:
    complaints[page].expect("frame-ancestors|ERR_BLOCKED_BY_RESPONSE|404|503")
    await page.goto(elsewhere)
    async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        await page.evaluate(FRAME, site.url + path.format(id=asset["id"]))


async def test_a_film_opened_as_a_page_is_played_by_the_browser(
    page: Page, site: Site, asset: dict[str, Any]
) -> None:
    await page.goto(site.url + asset["playback"]["original"]["url"])
    await asyncio.wait_for(page.evaluate(SHOWN), 30)


async def test_the_schemas_page_works_under_its_policy(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/schema")
    await expect(page.get_by_text("/api/v1/assets/{asset_id}/seek").first).to_be_visible()


@pytest.fixture
async def strict(elsewhere: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A service for one other origin alone; a third one is `localhost` in place of 127.0.0.1."""
    with (
        running_server(tmp_path, cors_origins=elsewhere) as server,
        running_nginx(tmp_path / "nginx", server.port) as nginx,
    ):
        yield Site(nginx.url, server.token)


async def test_only_the_origins_that_are_listed_read_and_frame(
    page: Page, strict: Site, elsewhere: str
) -> None:
    complaints[page].expect("404|CORS policy|ERR_FAILED|frame-ancestors|ERR_BLOCKED_BY_RESPONSE")
    address = f"{strict.url}/media/unknown/hls/master.m3u8"
    await page.goto(elsewhere)
    assert (await page.evaluate(READ, [address, RANGE]))[0] == 404
    await page.evaluate(FRAME, f"{strict.url}/embed/unknown")
    await expect(page.frame_locator("iframe").get_by_text("There is no such video")).to_be_visible()
    await page.goto(elsewhere.replace("127.0.0.1", "localhost"))
    assert await page.evaluate(READ, [address, RANGE]) == "TypeError"
    async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        await page.evaluate(FRAME, f"{strict.url}/embed/unknown")
