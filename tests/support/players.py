"""hls.js, Shaka and a bare <video> in Chromium, and an eye on all they do: what they fetch and how often, and which frame they show.

They play in an empty page of the service's own origin, so that PerformanceResourceTiming tells all. hls.js is the one that
our pages carry, set as they set it; Shaka comes from node_modules, for the tests only.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from playwright.async_api import Browser, Page

from tests.support.clock_film import READ_FRAME

Kind = Literal["hls.js", "shaka", "file"]

SHAKA = (
    Path(__file__).resolve().parents[2]
    / "node_modules"
    / "shaka-player"
    / "dist"
    / "shaka-player.compiled.js"
)
HARNESS = Path(__file__).with_suffix(".js")
EMPTY_PAGE = "/livez"  # any text of the origin does
SEEK_SECONDS = 120.0  # HEVC decoded and encoded again on two busy cores takes its time
PLAY_SECONDS = 120.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the page; status 0: broken off before it was answered. Times in ms from its start."""

    url: str
    status: int
    segment: bool  # of media, neither a playlist nor an init segment
    first_byte_ms: float | None
    complete_ms: float
    bytes: int


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What the player knows once it has its first metadata. `renditions` are those it could play."""

    duration: float
    width: int
    renditions: list[str | None]


class Seek(msgspec.Struct, frozen=True, kw_only=True):
    """One seek. `frame` is read from the picture, None when there is no bar code; `media_time` is the frame's own, in s.

    `shown_ms`: until a frame of about that time was on the screen, None if none came.
    """

    aim: float
    landed: float
    media_time: float | None
    frame: int | None
    seeked_ms: float
    shown_ms: float | None
    rendition: str | None
    requests: list[Request]

    @property
    def segment(self) -> Request | None:
        """The first segment of the shown rendition's picture that was fetched whole; None: all was there."""
        of_picture = (each for each in self.requests if each.segment and f"/{self.rendition}/" in each.url)
        return next((each for each in of_picture if each.status == 200), None)


class PlayerError(msgspec.Struct, frozen=True, kw_only=True):
    """What the player complained of."""

    type: str
    details: str
    fatal: bool
    words: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that happened. `loaded`: the addresses of the segments that the player got whole. `buffered` in seconds."""

    errors: list[PlayerError]
    requests: list[Request]
    loaded: list[str]
    buffered: list[tuple[float, float]]
    rendition: str | None
    frames: int
    dropped: int

    @property
    def reloaded(self) -> dict[str, int]:
        """Segments that the player got whole more than once, and how often."""
        return {url: count for url, count in Counter(self.loaded).items() if count > 1}


class Player:
    """One player with one film. Made by `playing`."""

    def __init__(self, page: Page, opened: Opened) -> None:
        self._page = page
        self.opened = opened

    async def seek(self, seconds: float) -> Seek:
        """Go there, wait for the picture. Raises TimeoutError."""
        async with asyncio.timeout(SEEK_SECONDS):
            return msgspec.convert(await self._page.evaluate("(at) => player.seek(at)", seconds), Seek)

    async def play(self, seconds: float) -> float:
        """Play that much of the film; where it then is, in seconds. Raises TimeoutError when it stands still."""
        async with asyncio.timeout(PLAY_SECONDS + seconds):
            return float(await self._page.evaluate("(seconds) => player.play(seconds)", seconds))

    async def report(self) -> Report:
        """What has happened so far."""
        return msgspec.convert(await self._page.evaluate("player.report()"), Report)


@asynccontextmanager
async def playing(
    browser: Browser,
    kind: Kind,
    url: str,
    *,
    rendition: str | None = None,
    at: float = 0.0,
    exact: bool = False,
) -> AsyncIterator[Player]:
    """A player in a browser context of its own, with an empty cache, that has the film's metadata; it does not play yet.

    `url` is of a master playlist, a manifest or a file. `rendition`: stick to this one. `exact`: ask for nothing that is shown
    before. Skips without Shaka.
    """
    origin = "/".join(url.split("/")[:3])
    # The page stands for anybody's: what ours may load is not what is tested with it.
    context = await browser.new_context(viewport={"width": 800, "height": 500}, bypass_csp=True)
    try:
        page = await context.new_page()
        await page.goto(f"{origin}{EMPTY_PAGE}")
        await page.add_script_tag(content=f"window.readFrame = {READ_FRAME}")
        if kind == "shaka":
            if not SHAKA.exists():
                pytest.skip(f"{SHAKA} is absent; `make install-dev` brings it")
            await page.add_script_tag(path=SHAKA)
        await page.add_script_tag(path=HARNESS)
        async with asyncio.timeout(SEEK_SECONDS):
            answer = await page.evaluate(
                "([kind, url, options]) => player.open(kind, url, options)",
                [kind, url, {"rendition": rendition, "at": at, "exact": exact}],
            )
        yield Player(page, msgspec.convert(answer, Opened))
        await page.evaluate("player.close()")
    finally:
        await context.close()
