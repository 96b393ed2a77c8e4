"""Markup that somebody has stored stays text, wherever the pages show it: titles, file names, errors, keys, tracks."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Library, Site
from tests.e2e.test_admin_page import delete_row, sign_in
from tests.support.browser import complaints

ASSETS = "/api/v1/assets"
RAN = "document.title='it ran'"
PAYLOADS = [
    f'<img src=x onerror="{RAN}">',
    f'"><svg onload="{RAN}">',
    f"</p><script>{RAN}</script>",
    f"' autofocus onfocus={RAN} x='",
    f"javascript:{RAN}",
    "{{constructor.constructor('document.title=1')()}}${document.title=1}",
]
# What the pages themselves have; anything beside is markup that came through.
STRANGE = "script:not([src^='/ui/']), svg, iframe, object, embed, [onerror], [onload], [onfocus], [href^='javascript:' i], img[src='x']"


async def nothing_ran(page: Page, title: str) -> None:
    """No payload is markup in the page, and none was executed."""
    assert await page.locator(STRANGE).count() == 0
    assert await page.title() == title


async def rename(site: Site, asset_id: str, title: str) -> None:
    headers = {"Authorization": f"Bearer {site.token}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers) as client:
        answer = await client.patch(f"{ASSETS}/{asset_id}", json={"title": title})
        assert answer.status_code == 200, answer.text


async def test_a_title_is_text_in_the_library(page: Page, site: Site, film: bytes, library: Library) -> None:
    asset = await library.put(film, "plain.mp4")
    await sign_in(page, site)
    row = page.locator(f".asset[data-id='{asset['id']}']")
    for payload in PAYLOADS:
        await rename(site, asset["id"], payload)
        await expect(row.locator(".name")).to_have_text(payload)
        await delete_row(row)
        await expect(page.locator("#undo")).to_contain_text(payload)
        await page.get_by_role("button", name="Undo").click()
        await nothing_ran(page, "Media library")


async def test_a_title_is_text_on_the_page_of_its_asset(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "plain.mp4")
    await sign_in(page, site)
    await page.goto(f"{site.url}/admin/assets/{asset['id']}")
    for payload in PAYLOADS:
        await rename(site, asset["id"], payload)
        await expect(page.get_by_role("heading", level=1)).to_have_text(payload)
        await expect(page.locator(".history")).to_contain_text(payload)
        assert await page.locator(STRANGE.replace("iframe", "iframe:not(#player)")).count() == 0
        assert await page.title() == payload
    await page.get_by_role("button", name="Signed link").click()
    await expect(page.get_by_role("dialog")).to_contain_text(PAYLOADS[-1])
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.locator("#undo")).to_contain_text(PAYLOADS[-1])
    await page.get_by_role("button", name="Undo").click()


async def test_a_title_is_text_on_the_watch_page(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "plain.mp4")
    for payload in PAYLOADS:
        await rename(site, asset["id"], payload)
        await page.goto(f"{site.url}/watch/{asset['id']}")
        await expect(page.get_by_role("heading", level=1)).to_have_text(payload)
        assert await page.evaluate("(strange) => document.querySelectorAll(strange).length", STRANGE) == 0
        # Inside media-chrome's elements too, which draw their own icons.
        assert await page.locator(STRANGE.replace(" svg,", "")).count() == 0
        assert await page.title() not in {"it ran", "1"}


async def test_a_file_name_is_text_while_it_is_uploaded_and_when_it_is_refused(
    page: Page, site: Site
) -> None:
    complaints[page].expect("4(00|22)")
    await sign_in(page, site)
    for payload in PAYLOADS:
        name = f"{payload.replace('/', '_')}.mp4"
        await page.get_by_label("Files to upload").set_input_files(
            {"name": name, "mimeType": "video/mp4", "buffer": b"no film at all\n" * 100}
        )
        card = page.locator(".upload")
        await expect(card.locator(".problem")).to_be_visible()
        await expect(card.locator(".name")).to_have_text(name)
        await nothing_ran(page, "Media library")
        await card.get_by_role("button", name="Dismiss").click()


async def test_what_an_asset_tells_of_itself_is_text(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "plain.mp4")
    payload = ""

    async def poisoned(route: Route) -> None:
        answer = await route.fetch()
        [found] = [item for item in (await answer.json())["items"] if item["id"] == asset["id"]]
        told: dict[str, Any] = {
            "state": "failed",
            "error": {"code": payload, "detail": payload},
            "title": payload,
            "filename": payload,
            "renditions": [{**one, "name": payload, "label": payload} for one in found["renditions"]],
        }
        await route.fulfill(json={"items": [{**found, **told}], "next_cursor": None})

    await page.route("**/api/v1/assets?*", poisoned)
    await page.route("**/api/v1/events", lambda route: route.abort())  # else the truth would come in between
    complaints[page].expect("api/v1/events")
    payload = PAYLOADS[0]
    await sign_in(page, site)
    for payload in PAYLOADS:
        await page.reload()
        await expect(page.locator(".asset .problem span")).to_have_text(f"{payload} ({payload})")
        await nothing_ran(page, "Media library")


async def test_what_the_service_says_of_a_failure_is_text(page: Page, site: Site) -> None:
    complaints[page].expect("500")
    for payload in PAYLOADS:
        problem = {"title": payload, "detail": payload, "code": payload, "status": 500}
        for address in ("**/api/v1/assets?*", "**/api/v1/keys"):
            await page.route(address, partial(failing, problem=problem))
        if payload == PAYLOADS[0]:
            await sign_in(page, site)
        else:
            await page.reload()
        await expect(page.locator("#list-problem-text")).to_have_text(payload)
        await expect(page.locator("#key-problem")).to_have_text(payload)
        await nothing_ran(page, "Media library")


async def failing(route: Route, problem: dict[str, Any]) -> None:
    await route.fulfill(status=500, json=problem)


async def test_a_keys_name_is_text(page: Page, site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.token}"}
    names = [payload[:64] for payload in PAYLOADS]
    async with httpx.AsyncClient(base_url=site.url, headers=headers) as client:
        for name in names:
            made = await client.post("/api/v1/keys", json={"name": name, "scopes": ["read"]})
            assert made.status_code == 201, made.text
    await sign_in(page, site)
    await page.get_by_role("link", name="Keys").click()
    for name in names:
        row = page.locator("#access > li").filter(has_text=name)
        await expect(row.locator(".name")).to_have_text(name)
        await row.get_by_role("button").click()
        await expect(page.get_by_role("dialog")).to_contain_text(name)
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(row).to_have_count(0)
        await nothing_ran(page, "Media library")
