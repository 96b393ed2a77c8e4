"""The judge of accessibility is judged: it finds what is wrong, wherever it is, and leaves a good page alone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, Route

from tests.support.axe import serious
from tests.support.browser import Complaints, browser, chromium_path

__all__ = ["browser", "chromium_path"]

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; frame-src 'self'; img-src data:"
GOOD = "<!doctype html><html lang=en><title>Good</title><main><h1>Films</h1><button>Play</button></main>"
BAD = """<!doctype html><html lang=en><title>Bad</title><main><h1>Films</h1><button id=nameless></button>
<iframe title="Inner" src="/inner"></iframe><script src="/script.js"></script></main>"""
INNER = "<!doctype html><html lang=en><title>Inner</title><main><h1>Inner</h1><input id=unlabelled></main>"
SCRIPT = """const host = document.body.appendChild(document.createElement("div"));
host.id = "host"; host.attachShadow({ mode: "open" }).innerHTML = '<img id="untold" src="data:,">';"""


async def _answer(route: Route) -> None:
    name = route.request.url.rpartition("/")[2]
    body, kind = {
        "good": (GOOD, "text/html"),
        "bad": (BAD, "text/html"),
        "inner": (INNER, "text/html"),
        "script.js": (SCRIPT, "text/javascript"),
    }[name]
    await route.fulfill(body=body, content_type=kind, headers={"Content-Security-Policy": POLICY})


@pytest.fixture
async def page(browser: Browser) -> Page:
    """A page whose policy forbids all that is inline."""
    page = await browser.new_page()
    await page.route("**/*", _answer)
    return page


async def test_a_good_page_has_no_serious_finding_and_hears_no_complaint(page: Page) -> None:
    complaints = Complaints(page)
    await page.goto("http://films.test/good")

    assert await serious(page) == []
    assert await serious(page) == [], "a second look differs"
    assert complaints.unexpected == []


async def test_findings_name_rule_and_element_in_the_page_its_frames_and_its_shadow_roots(page: Page) -> None:
    await page.goto("http://films.test/bad")

    found = await serious(page)

    assert sorted(each.partition(":")[0] for each in found) == ["button-name", "image-alt", "label"]
    for selector in ("(#nameless)", "(iframe >>> #unlabelled)", "(#host >> #untold)"):
        assert any(each.endswith(selector) for each in found), (selector, found)
