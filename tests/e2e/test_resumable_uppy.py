"""Uppy with its tus plugin in Chromium, through nginx: the line goes, the page is closed, and the film arrives in one piece."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.support.assets import await_state
from tests.support.fault_proxy import FaultProxy, running_fault_proxy
from tests.support.nginx import running_nginx
from tests.support.server import Server, running_server
from tests.support.shared import shared_file
from tests.support.uppy import begin, bundle, seen

SLOW = 600  # kB/s: the film takes seven seconds
DEADLINE_SECONDS = 60.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path, transcode_workers=0) as running:
        yield running


@pytest.fixture
def line(service: Server, tmp_path: Path) -> Iterator[FaultProxy]:
    """Between the browser and nginx."""
    with running_nginx(tmp_path / "nginx", service.port) as nginx, running_fault_proxy(nginx.port) as running:
        yield running


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page that may complain: its line is cut on purpose. It stands for another's, so our CSP is not its."""
    context = await browser.new_context(bypass_csp=True)
    yield await context.new_page()
    await context.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Poll for what tells nobody."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what is asked is another process
            await asyncio.sleep(0.02)


async def test_uppy_goes_on_after_a_lost_line_and_after_a_closed_page(
    page: Page, service: Server, line: FaultProxy, tmp_path: Path
) -> None:
    film = shared_file("corpus/bbb_480p_30s_51_moovend.mp4")
    script = bundle(tmp_path)

    blobs = service.data_dir / "blobs"

    async def has(size: int) -> bool:
        return sum(path.stat().st_size for path in blobs.glob("*/original")) >= size

    async def was_cut(before: int) -> bool:
        return line.stats()["cuts"] > before

    async def stands_still() -> bool:
        up = line.stats()["up"]
        await asyncio.sleep(0.3)  # three times what it needs for 64 KiB
        return line.stats()["up"] == up

    line.set({"up_kbps": SLOW})
    await begin(page, line.url, script, film, service.token)
    await until(lambda: has(800_000))

    # The browser knows that it is offline, and what is under way breaks.
    await page.context.set_offline(True)
    cuts = line.stats()["cuts"]
    line.set({"cut_up": 1})
    await until(lambda: was_cut(cuts))
    line.set({"up_kbps": SLOW})
    await page.context.set_offline(False)

    async def resumed() -> bool:
        return [method for method, _ in (await seen(page)).requests].count("PATCH") > 1

    await until(resumed)
    first = await seen(page)
    methods = [method for method, _ in first.requests]
    assert methods.count("POST") == 1
    assert "HEAD" in methods
    offset = int(first.requests[-1][1] or 0)
    assert offset > 0
    await until(lambda: has(offset + 800_000))

    # Of what is still under way nothing arrives, and nobody learns of its end.
    line.set({"stall_up": 1})
    await until(stands_still)
    await page.close()
    line.set({})
    again = await page.context.new_page()
    await begin(again, line.url, script, film, service.token)

    async def ended() -> bool:
        state = await seen(again)
        assert state.error is None
        return state.asset is not None

    await until(ended)
    second = await seen(again)
    assert [method for method, _ in second.requests] == ["HEAD", "PATCH"]
    assert offset < int(second.requests[1][1] or 0) < film.stat().st_size
    assert second.asset is not None
    await shows_its_middle(again, is_the_film(service, second.asset, film))


def is_the_film(service: Server, address: str, film: Path) -> str:
    """The asset at that address has the file's digest and name; where it plays from."""
    with service.client() as client:
        asset = client.get(address).raise_for_status().json()
        assert asset["sha256"] == hashlib.sha256(film.read_bytes()).hexdigest()
        assert asset["filename"] == film.name
        playable = await_state(client, asset["id"], "playable")
    url: str = playable["playback"]["original"]["url"]
    return url


async def shows_its_middle(page: Page, address: str) -> None:
    """The browser seeks into it and shows a picture."""
    shown = await page.evaluate(
        """async (url) => {
          const video = document.createElement("video");
          video.src = url;
          document.body.append(video);
          await new Promise((resolve) => video.addEventListener("loadedmetadata", resolve));
          video.currentTime = 15;
          await new Promise((resolve) => video.addEventListener("seeked", resolve));
          return [video.videoWidth, video.currentTime, video.error];
        }""",
        address,
    )
    assert shown == [854, 15, None]
