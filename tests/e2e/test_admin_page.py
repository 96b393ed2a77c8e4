"""The admin page: the stories of somebody who signs in, uploads, looks and deletes."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.async_api import Locator, Page, Route, expect

from tests.e2e.conftest import Library, Site
from tests.support.axe import serious
from tests.support.browser import complaints

CONVERTED_MS = 60_000  # a film of 12 s is converted in 2 s; a two-core machine full of tests takes its time
ASSETS = "/api/v1/assets"
OWN_BYTES = 100_000  # that a page may load of our own code
OWN = """Object.fromEntries([...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ name, entryType }) => entryType === "navigation" || /[/]ui[/](js|css)[/]/.test(name))
    .map(({ name, decodedBodySize }) => [name, decodedBodySize]))"""
HOSTILE = '<img src=x onerror="document.title=1">'


async def sign_in(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/admin")
    await page.get_by_label("Admin token").fill(site.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Choose files")).to_be_focused()


async def open_menu(row: Locator) -> None:
    await row.locator(".menu summary").click()


async def status_of(site: Site, asset_id: str) -> int:
    headers = {"Authorization": f"Bearer {site.token}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers) as client:
        return (await client.get(f"{ASSETS}/{asset_id}")).status_code


async def fits_the_width(page: Page) -> bool:
    fits: bool = await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return fits


async def test_a_wrong_token_is_told_so_and_the_right_one_enters(page: Page, site: Site) -> None:
    complaints[page].expect("401")
    await page.goto(f"{site.url}/admin")
    await page.get_by_label("Admin token").fill("not the token")
    await page.get_by_label("Admin token").press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This token is not the right one.")
    await page.get_by_label("Admin token").fill(f"{site.token}x")
    await page.get_by_label("Admin token").press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This token is not the right one.")
    await sign_in(page, site)
    await page.reload()
    await expect(page.get_by_role("heading", name="Library")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await page.reload()
    await expect(page.get_by_label("Admin token")).to_be_focused()


async def test_no_script_can_read_what_opens(page: Page, site: Site) -> None:
    await sign_in(page, site)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    [cookie] = await page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate("sessionStorage.length + localStorage.length") == 0
    kept = await page.evaluate("document.documentElement.outerHTML")
    assert site.token not in kept
    assert cookie["value"] not in kept
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Admin token")).to_be_focused()
    assert await page.context.cookies() == []
    assert await page.get_by_label("Admin token").input_value() == ""


async def test_an_empty_library_says_so(page: Page, site: Site) -> None:
    await page.route(
        "**/api/v1/assets?*", lambda route: route.fulfill(json={"items": [], "next_cursor": None})
    )
    await sign_in(page, site)
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await page.unroute_all(behavior="wait")  # the list is read again when the line opens


async def test_an_uploaded_film_becomes_ready_without_a_reload(page: Page, site: Site, film: bytes) -> None:
    await sign_in(page, site)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await page.evaluate("window.sameDocument = true")
    name = "Crossing the bay.mp4"
    await page.get_by_label("Files to upload").set_input_files(
        {"name": name, "mimeType": "video/mp4", "buffer": film}
    )
    row = page.get_by_role("listitem").filter(has_text="Crossing the bay").locator(".badge")
    await expect(row).to_have_text("Ready", timeout=CONVERTED_MS)
    asset = page.locator(".asset", has_text="Crossing the bay")
    await expect(asset).to_contain_text("0:12")
    await expect(asset).to_contain_text("640 \N{MULTIPLICATION SIGN} 360")
    await expect(asset.get_by_role("progressbar")).to_be_hidden()
    renditions = asset.get_by_role("list", name="Renditions of Crossing the bay").get_by_role("listitem")
    await expect(renditions).to_have_text(["360p as uploaded", "360p made", "240p made", "Sound as uploaded"])
    await expect(page.locator(".upload")).to_have_count(0)
    assert await page.evaluate("window.sameDocument") is True


async def test_an_upload_shows_how_far_it_is_and_can_be_cancelled(page: Page, site: Site) -> None:
    await sign_in(page, site)
    devtools = await page.context.new_cdp_session(page)
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}  # bytes/s
    await devtools.send("Network.emulateNetworkConditions", line)
    await page.get_by_label("Files to upload").set_input_files(
        {"name": "slow.mp4", "mimeType": "video/mp4", "buffer": bytes(8_000_000)}
    )
    card = page.locator(".upload", has_text="slow.mp4")
    await expect(card).to_contain_text("MB of 8.0 MB")
    await expect(card.get_by_role("progressbar", name="Upload of slow.mp4")).to_be_visible()
    async with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        await card.get_by_role("button", name="Cancel").click()
    await expect(card).to_have_count(0)
    await page.reload()
    await expect(page.locator("#loading")).to_be_hidden()
    await expect(page.locator(".asset", has_text="slow")).to_have_count(0)


async def test_what_cannot_be_used_is_said_in_words(page: Page, site: Site) -> None:
    complaints[page].expect("4(00|22)")
    await sign_in(page, site)
    await page.get_by_label("Files to upload").set_input_files(
        {"name": "shopping.mp4", "mimeType": "video/mp4", "buffer": b"milk, bread, candles\n" * 200}
    )
    # Refused at once, or accepted and failed: either is the service's to choose, silence is not.
    said = page.locator(".upload .problem, .asset[data-state=failed] .problem").filter(visible=True)
    await expect(said.first).to_contain_text(" ", timeout=CONVERTED_MS)
    where = page.locator(".upload, .asset[data-state=failed]").filter(has_text="shopping")
    await expect(where.first).to_be_visible()


async def delete_row(row: Locator) -> None:
    await open_menu(row)
    await row.get_by_role("button", name="Delete").click()


async def test_what_is_deleted_can_be_had_back_for_a_while(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Old rushes.mp4")
    await page.clock.install()
    await sign_in(page, site)
    row = page.locator(".asset", has_text="Old rushes")
    undo = page.get_by_role("button", name="Undo")
    await delete_row(row)
    await expect(row).to_have_count(0)
    await expect(page.locator("#undo")).to_contain_text("Deleted: Old rushes")
    await undo.click()
    await expect(row).to_be_visible()
    await expect(row.get_by_role("link", name="Old rushes", exact=True)).to_be_focused()
    await page.clock.fast_forward(20_000)
    assert await status_of(site, asset["id"]) == 200
    # By keyboard the way back has the focus; after a while it is gone, and the film with it.
    await row.get_by_label("More for Old rushes").press("Enter")
    await row.get_by_role("button", name="Delete").press("Enter")
    await expect(undo).to_be_focused()
    await expect(row).to_have_count(0)
    assert await status_of(site, asset["id"]) == 200
    async with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        await page.clock.fast_forward(8_000)
    assert (await deleted.value).status == 204
    await expect(undo).to_have_count(0)
    assert await status_of(site, asset["id"]) == 404


async def test_who_leaves_after_deleting_has_deleted(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Not wanted.mp4")
    await sign_in(page, site)
    headers = {"Authorization": f"Bearer {site.token}"}
    address = f"{ASSETS}/{asset['id']}/events"
    async with (
        asyncio.timeout(15),
        httpx.AsyncClient(base_url=site.url, headers=headers, timeout=15) as client,
        client.stream("GET", address) as events,
    ):
        await delete_row(page.locator(".asset", has_text="Not wanted"))
        await expect(page.get_by_role("button", name="Undo")).to_be_visible()
        await page.goto("about:blank")
        assert "event: deleted" in [line async for line in events.aiter_lines()]


async def test_tab_walks_through_a_row_and_escape_closes_its_menu(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    await library.put(film, "Walk.mp4")
    await sign_in(page, site)
    row = page.locator(".asset", has_text="Walk")
    # Once it is ready the row does not change any more under the fingers.
    await expect(row.locator(".badge")).to_have_text("Ready", timeout=CONVERTED_MS)
    await row.get_by_role("link", name="Walk", exact=True).focus()
    for name in ("Watch Walk in a new tab", "More for Walk"):
        await page.keyboard.press("Tab")
        await expect(row.locator(":focus")).to_have_attribute("aria-label", name)
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowDown")
    await expect(row.get_by_role("button", name="Watch page")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(row.get_by_role("button", name="Delete")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(row.get_by_role("button", name="Watch page")).to_be_hidden()
    await expect(row.get_by_label("More for Walk")).to_be_focused()


async def test_a_title_is_changed_where_it_stands(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    asset = await library.put(film, "Draft.mp4")
    await sign_in(page, site)
    row = page.locator(f".asset[data-id='{asset['id']}']")
    await open_menu(row)
    await row.get_by_role("button", name="Rename").click()
    field = row.get_by_role("textbox", name="Title of Draft")
    await expect(field).to_be_focused()
    await field.fill("Never")
    await field.press("Escape")
    await expect(row.locator(".name")).to_have_text("Draft")
    await open_menu(row)
    await row.get_by_role("button", name="Rename").click()
    await field.fill("Final cut")
    await field.press("Enter")
    await expect(row.locator(".name")).to_have_text("Final cut")
    await expect(row.locator(".name")).to_be_focused()


async def test_the_library_is_searched_filtered_and_sorted_and_the_address_says_so(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    for number in (10, 9, 2):
        await library.put(film, f"Kelp {number}.mp4")
    await sign_in(page, site)
    titles = page.locator(".asset .name")
    await page.get_by_role("searchbox", name="Search").press_sequentially("KELP")
    await expect(titles).to_have_text(["Kelp 2", "Kelp 9", "Kelp 10"])
    await page.get_by_label("Order").select_option("Title, Z to A")
    await expect(titles).to_have_text(["Kelp 10", "Kelp 9", "Kelp 2"])
    assert page.url.endswith("/admin?q=KELP&sort=title")
    # What comes now finds its place, if it belongs here.
    await library.put(film, "Another one.mp4")
    await library.put(film, "Kelp 5.mp4")
    await expect(titles).to_have_text(["Kelp 10", "Kelp 9", "Kelp 5", "Kelp 2"])
    await page.reload()
    await expect(titles).to_have_text(["Kelp 10", "Kelp 9", "Kelp 5", "Kelp 2"])
    await expect(page.get_by_role("searchbox", name="Search")).to_have_value("KELP")
    await page.get_by_label("State").select_option("Failed")
    await expect(page.get_by_text("Nothing matches")).to_be_visible()
    await page.get_by_role("button", name="Show all videos").click()
    await expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    # However many there are by now: the newest are on the first page.
    await page.get_by_label("Order").select_option("Newest first")
    await expect(titles.filter(has_text="Another one")).to_be_visible()


async def test_many_films_come_in_pages(page: Page, site: Site, film: bytes, library: Library) -> None:
    template = await library.put(film, "Take.mp4")
    asked: list[str] = []

    async def pages(route: Route) -> None:
        asked.append(route.request.url.partition("?")[2])
        if "kelp" in asked[-1]:
            return await route.fulfill(status=500)
        numbers = range(30, 45) if "cursor" in asked[-1] else range(45 if "limit=45" in asked[-1] else 30)
        items = [{**template, "id": f"{99 - at}", "title": f"Take {at}"} for at in numbers]
        told = {"items": items, "next_cursor": None if 44 in numbers else "next", "total": 45}
        return await route.fulfill(json=told)

    await page.route("**/api/v1/assets?*", pages)
    await page.route("**/api/v1/events", lambda route: route.abort())  # else the truth would come in between
    complaints[page].expect("api/v1/events")
    await sign_in(page, site)
    await expect(page.locator("#count")).to_have_text("30 of 45 videos")
    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator(".asset .name")).to_have_text([f"Take {at}" for at in range(45)])
    await expect(page.locator("#count")).to_have_text("45 videos")
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    assert asked == ["limit=30", "limit=30&cursor=next"]
    await page.reload()  # as somebody who is signed in; what uploads comes when it is wanted
    await expect(page.locator(".asset")).to_have_count(30)
    own = await page.evaluate(OWN)
    assert 10_000 < sum(own.values()) < OWN_BYTES, own
    # Who comes back from a film finds what there was, and the place.
    complaints[page].expect("404")
    await page.get_by_role("button", name="Show more").click()
    await page.get_by_role("link", name="Take 40", exact=True).click()
    await expect(page.get_by_text("There is no such video")).to_be_visible()
    await page.go_back()
    await expect(page.locator(".asset")).to_have_count(45)
    await expect(page.get_by_role("link", name="Take 40", exact=True)).to_be_in_viewport()
    # More is never asked of a view that is not there yet.
    complaints[page].expect("500")
    await page.reload()
    await expect(page.locator("#count")).to_have_text("30 of 45 videos")
    await page.get_by_role("searchbox", name="Search").fill("kelp")
    await expect(page.locator("#list-problem")).to_be_visible()
    async with page.expect_response("**/api/v1/assets?*"):
        await page.get_by_role("button", name="Show more").click()
    await expect(page.get_by_role("button", name="Show more")).to_be_enabled()
    assert asked[-2:] == ["limit=30&q=kelp"] * 2
    await page.goto("about:blank")  # a request that is just being answered would outlive the test
    await page.unroute_all(behavior="wait")


class Scripted:
    """A library and its events as a test tells them: the service's order of things, at the test's time."""

    def __init__(self, template: dict[str, Any]) -> None:
        self._template = {**template, "state": "ready"}
        self.films: list[dict[str, Any]] = []
        self.refuses = False
        self._streams: asyncio.Queue[str] = asyncio.Queue()
        self._waiting = 0

    def film(self, number: int, **told: Any) -> dict[str, Any]:
        """The higher the number the newer."""
        when = f"2026-01-01T00:00:00.{number:06}Z"
        known = {"id": f"film{number}", "title": f"Take {number}", "created_at": when, "updated_at": when}
        return {**self._template, **known, **told}

    async def attach(self, page: Page) -> None:
        await page.route("**/api/v1/assets?*", self._list)
        await page.route("**/api/v1/events", self._stream)

    def tell(self, *events: tuple[str, object]) -> None:
        """The line opens, these are told, and it breaks."""
        told = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events]
        self._streams.put_nowait("".join(["retry: 20\n\n", *told]))

    async def _list(self, route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        [state] = asked.get("state", [""])
        found = sorted(self.films, key=lambda film: str(film["created_at"]), reverse=True)
        found = [film for film in found if state in ("", film["state"])]
        page = {"items": found[:30], "next_cursor": "next" if found[30:] else None, "total": len(found)}
        await route.fulfill(status=401 if self.refuses else 200, json=page)

    async def _stream(self, route: Route) -> None:
        self._waiting += 1
        body = await self._streams.get()
        self._waiting -= 1
        await route.fulfill(body=body, content_type="text/event-stream")

    async def leave(self, page: Page) -> None:
        """Nobody waits for a word any more."""
        await page.goto("about:blank")
        for _ in range(self._waiting):
            self._streams.put_nowait("")
        await page.unroute_all(behavior="wait")


async def test_what_happens_while_there_is_no_line_is_seen_when_there_is_one(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    told = Scripted(await library.put(film, "Take.mp4"))
    told.films = [told.film(number) for number in range(3)]
    titles = page.locator(".asset .name")
    await told.attach(page)
    await sign_in(page, site)
    await expect(titles).to_have_text(["Take 2", "Take 1", "Take 0"])
    # The list is older than the line: what has gone in between is gone.
    del told.films[2]
    told.tell()
    await expect(titles).to_have_text(["Take 1", "Take 0"])
    # What has only left a view is there in another one.
    await page.get_by_label("State").select_option("Ready")
    await expect(page.locator("#count")).to_have_text("2 videos")
    told.films[1] = told.film(1, state="failed", updated_at="2027")
    told.tell()
    await expect(titles).to_have_text(["Take 0"])
    await page.get_by_label("State").select_option("All states")
    await expect(titles).to_have_text(["Take 1", "Take 0"])
    # Nothing of a film has changed, but its addresses are fresh.
    told.films[0]["playback"] = {**told.films[0]["playback"], "watch": "/t/fresh/watch/film0"}
    told.tell()
    await expect(page.locator(".asset a.button").last).to_have_attribute("href", "/t/fresh/watch/film0")
    # The sign-in runs out while a deletion could still be undone.
    complaints[page].expect("401")
    await delete_row(page.locator(".asset").first)
    await expect(page.get_by_role("button", name="Undo")).to_be_visible()
    told.refuses = True
    told.tell()
    await expect(page.get_by_label("Admin token")).to_be_focused()
    await expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    await told.leave(page)


async def test_the_library_stays_calm_while_others_work_in_it(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    template = await library.put(film, "Take.mp4")
    told = Scripted(template)
    told.films = [told.film(number) for number in range(33)]
    await told.attach(page)
    await sign_in(page, site)
    await expect(page.locator("#count")).to_have_text("30 of 33 videos")
    # One goes, three come; one event is not what it should be, and those behind it are heard.
    await page.evaluate("document.activeElement.blur()")
    complaints[page].expect("uncaught")
    told.films += [told.film(number) for number in (33, 34, 35)]
    del told.films[32]
    newer = [("asset", told.films[at]) for at in (32, 33, 34)]
    async with page.expect_response("**/api/v1/assets?*"):
        told.tell(("deleted", {"id": "film32"}), ("asset", None), *newer)
    await expect(page.locator("#count")).to_have_text("32 of 35 videos")
    assert await page.evaluate("document.activeElement === document.body")
    # However many come, the page does not grow without end.
    many = [told.film(number) for number in range(100, 500)]
    told.tell(*(("asset", one) for one in many))
    await expect(page.get_by_role("link", name="Take 499", exact=True)).to_be_visible()
    assert 300 <= await page.locator(".asset").count() <= 330
    await expect(page.locator("#count")).to_contain_text(re.compile("^3.. of "))
    await expect(page.get_by_role("button", name="Show more")).to_be_visible()
    # What has been deleted elsewhere meanwhile cannot be had back.
    complaints[page].expect("404")
    told.films.append(told.film(999, id=template["id"], title="Gone"))
    told.tell(("asset", told.films[-1]))
    row = page.locator(".asset", has_text="Gone")
    await delete_row(row)
    await library.clear()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator("#toast")).to_have_text("It has been deleted elsewhere.")
    await expect(row).to_have_count(0)
    await told.leave(page)


async def test_a_signed_link_opens_the_film_for_who_has_it(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    await library.put(film, "Shown to a few.mp4")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sign_in(page, site)
    row = page.locator(".asset", has_text="Shown to a few")
    await expect(row.get_by_role("link", name="Watch")).to_be_visible(timeout=CONVERTED_MS)
    await open_menu(row)
    await row.get_by_role("button", name="Signed link").click()
    dialog = page.get_by_role("dialog", name="Make a signed link")
    await dialog.get_by_label("It opens for").select_option("1 hour")
    await dialog.get_by_role("button", name="Make it").click()
    await expect(dialog.get_by_role("button", name="Copy: Watch page")).to_be_focused()
    await dialog.get_by_role("button", name="Copy: HLS playlist").click()
    await expect(dialog.get_by_role("button", name="Copy: HLS playlist")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{site.url}/t/")
    async with httpx.AsyncClient() as client:
        assert (await client.get(copied)).text.startswith("#EXTM3U")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def test_a_change_made_elsewhere_shows_up(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    await sign_in(page, site)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await library.put(film, "From a script.mp4")
    await expect(page.locator(".asset", has_text="From a script")).to_be_visible()


async def test_a_hostile_name_is_only_text(page: Page, site: Site, film: bytes, library: Library) -> None:
    await library.put(film, f"{HOSTILE}.mp4")
    await sign_in(page, site)
    row = page.locator(".asset", has_text="<img src=x onerror=").first
    await expect(row).to_be_visible()
    await delete_row(row)
    await expect(page.locator("#undo")).to_contain_text("<img src=x onerror=")
    await page.get_by_role("button", name="Undo").click()
    assert await page.locator("img[src=x]").count() == 0
    assert await page.title() == "Media library"


async def test_a_phone_shows_everything_without_scrolling_sideways(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    await library.put(film, f"{'Averyveryverylongname' * 8}.mp4")
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(f"{site.url}/admin")
    assert await fits_the_width(page)
    await sign_in(page, site)
    row = page.locator(".asset", has_text="Averyveryverylongname").first
    await expect(row).to_be_visible()
    await open_menu(row)
    await expect(row.get_by_role("button", name="Delete")).to_be_visible()
    assert await fits_the_width(page)
    assert await serious(page) == []
    await page.emulate_media(color_scheme="dark")
    assert await serious(page) == []
