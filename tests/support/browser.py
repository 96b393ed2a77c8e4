"""Debian's Chromium, driven by Playwright: a fresh browser for each test, and no complaint goes unheard.

The asynchronous interface, because the synchronous one leaves a running event loop behind in the thread, in which
no asynchronous test can run any more. Import the fixtures into a conftest.py to use them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 20_000.0  # a two-core machine under load is slow, not broken
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # the tests may run as root in a container, where Chromium's sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=PATIENCE_MS)


class Complaints:
    """What a page complained about: console errors, uncaught exceptions and violations of the CSP."""

    def __init__(self, page: Page) -> None:
        self._heard: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._heard.append(f"uncaught: {error}"))

    def _hear(self, message: ConsoleMessage) -> None:
        # Chromium reports violations of the CSP as console errors; report-only ones as warnings or info.
        if message.type == "error" or "Content Security Policy" in message.text:
            self._heard.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def expect(self, pattern: str) -> None:
        """Complaints that match are part of the story (a 401 for a wrong token shows up in the console)."""
        self._expected.append(re.compile(pattern))

    @property
    def unexpected(self) -> list[str]:
        """All that was heard and no expectation covers."""
        return [text for text in self._heard if not any(each.search(text) for each in self._expected)]


@pytest.fixture
def chromium_path() -> Path:
    """Where Chromium is; skips without it."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is absent (Debian: apt-get install chromium)")
    return CHROMIUM


@pytest.fixture
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    """A browser of its own for each test, so that nothing is carried from one story into the next."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on a laptop's screen, without complaints of any kind."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints[page] = Complaints(page)
    yield page
    heard = complaints.pop(page).unexpected
    await context.close()
    assert not heard, heard


complaints: dict[Page, Complaints] = {}  # of the pages that are open
