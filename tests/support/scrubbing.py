"""Players whose scrub bars show previews, in Chromium; what they show is read from a picture of the screen.

They run in an empty page, which stands for anybody's: hls.js and its player of image I-frames,
Shaka with its own user interface, media-chrome and Vidstack.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from playwright.async_api import Browser, Page

from tests.support.clock_film import READ_FRAME
from tests.support.players import EMPTY_PAGE
from tests.support.uppy import ESBUILD

Kind = Literal[
    "hls.js",
    "Shaka, HLS",
    "Shaka, HLS I-frames",
    "Shaka, DASH",
    "media-chrome",
    "Vidstack, WebVTT",
    "Vidstack, JSON",
]

SOURCE = Path(__file__).with_suffix(".mjs")
MODULES = Path(__file__).resolve().parents[2] / "node_modules"
SHAKA = MODULES / "shaka-player" / "dist"
NEEDED = (ESBUILD, SHAKA, MODULES / "media-chrome", MODULES / "vidstack")
SHOWN_SECONDS = 20.0  # a machine with two cores that encodes as well
READ_PICTURE = f"""async (data) => {{
  const picture = new Image();
  picture.src = `data:image/png;base64,${{data}}`;
  await picture.decode();
  return ({READ_FRAME})(picture);
}}"""


def bundle(directory: Path) -> Path:
    """The players and our page's script in one file; skips where they are not installed."""
    for needed in NEEDED:
        if not needed.exists():
            pytest.skip(f"{needed} is absent; `make install-dev` brings it")
    path = directory / "scrubbing.js"
    options = ["--bundle", "--format=iife", "--log-level=warning", f"--outfile={path}"]
    subprocess.run([str(ESBUILD), str(SOURCE), *options], check=True)
    return path


class _Opened(msgspec.Struct, frozen=True):
    """Selectors, and how far (px) from the bar's ends the film begins and ends on it."""

    preview: str
    bar: str | None
    inset: float


class ScrubBar:
    """One player with one film. Made by `scrubbing`."""

    def __init__(self, page: Page, opened: _Opened, seconds: float) -> None:
        self._page = page
        self._preview = page.locator(opened.preview)
        self._bar = None if opened.bar is None else page.locator(opened.bar)
        self._inset = opened.inset
        self._seconds = seconds

    async def go_to(self, seconds: float) -> None:
        """Have the preview of that time shown."""
        if self._bar is None:
            await self._page.evaluate("(seconds) => scrubbing.show(seconds)", seconds)
            return
        box = await self._bar.bounding_box()
        assert box is not None, "the bar is on the screen"
        x = box["x"] + self._inset + (box["width"] - 2 * self._inset) * seconds / self._seconds
        # From its side: some bars look at where the pointer came from.
        await self._page.mouse.move(x - 2, box["y"] + box["height"] / 2)
        await self._page.mouse.move(x, box["y"] + box["height"] / 2)

    async def frame(self, wanted: int) -> int | None:
        """The number of the frame that is shown, once it is the one that is wanted, or as late as any machine shows it."""
        deadline = time.monotonic() + SHOWN_SECONDS
        while (found := await self._read()) != wanted and time.monotonic() < deadline:  # noqa: ASYNC110 - no screen tells
            await asyncio.sleep(0.1)
        return found

    async def fetched(self) -> set[str]:
        """The addresses of all that the page has fetched."""
        names = await self._page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
        return set(names)

    async def errors(self) -> list[str]:
        """What the player complained of."""
        found: list[str] = await self._page.evaluate("scrubbing.errors()")
        return found

    async def _read(self) -> int | None:
        if not await self._preview.is_visible():
            return None
        picture = await self._preview.screenshot()
        found: int | None = await self._page.evaluate(READ_PICTURE, b64encode(picture).decode())
        return found


@asynccontextmanager
async def scrubbing(
    browser: Browser, kind: Kind, script: Path, at: Mapping[str, str], seconds: float, *, origin: str = ""
) -> AsyncIterator[ScrubBar]:
    """A player that has loaded a film of so many seconds. `at`: its addresses, `hls`, `dash`, `file`, `vtt` and `json`.

    `origin` is the page's; the film's own if it is not given.
    """
    origin = origin or "/".join(at["hls"].split("/")[:3])
    context = await browser.new_context(viewport={"width": 1000, "height": 700}, bypass_csp=True)
    try:
        page = await context.new_page()
        await page.goto(f"{origin}{EMPTY_PAGE}")
        if kind.startswith("Shaka"):
            await page.add_script_tag(path=SHAKA / "shaka-player.ui.js")
            await page.add_style_tag(path=SHAKA / "controls.css")
        await page.add_script_tag(path=script)
        async with asyncio.timeout(SHOWN_SECONDS):
            found = await page.evaluate("([kind, at]) => scrubbing.open(kind, at)", [kind, dict(at)])
        yield ScrubBar(page, msgspec.convert(found, _Opened), seconds)
    finally:
        await context.close()
