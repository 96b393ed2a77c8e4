"""The admin page: the stories of somebody who signs in, uploads, looks and deletes."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.e2e.conftest import Library, Site
from tests.support.browser import complaints

CONVERTED_MS = 60_000  # a film of 12 s is converted in 2 s; a two-core machine full of tests takes its time
HOSTILE = '<img src=x onerror="document.title=1">'


async def sign_in(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/admin")
    await page.get_by_label("Admin token").fill(site.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Choose files")).to_be_focused()


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


async def test_deleting_asks_first(page: Page, site: Site, film: bytes, library: Library) -> None:
    await library.put(film, "Old rushes.mp4")
    await sign_in(page, site)
    row = page.locator(".asset", has_text="Old rushes")
    await row.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this video?")
    await expect(dialog).to_contain_text("Old rushes")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)
    await page.reload()
    await expect(page.locator("#loading")).to_be_hidden()
    await expect(row).to_have_count(0)


async def test_tab_walks_through_a_row_and_escape_closes_its_menu(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    await library.put(film, "Walk.mp4")
    await sign_in(page, site)
    row = page.locator(".asset", has_text="Walk")
    # Once it is ready the row does not change any more under the fingers.
    await expect(row.locator(".badge")).to_have_text("Ready", timeout=CONVERTED_MS)
    await row.get_by_role("link", name="Walk", exact=True).focus()
    for name in ("Open Walk in a new tab", "Copy a link to Walk"):
        await page.keyboard.press("Tab")
        await expect(row.locator(":focus")).to_have_attribute("aria-label", name)
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(row.get_by_role("button", name="Watch page")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(row.get_by_role("button", name="Watch page")).to_be_hidden()
    await page.keyboard.press("Tab")
    await expect(row.get_by_role("button", name="Delete Walk")).to_be_focused()


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
    await row.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_contain_text("<img src=x onerror=")
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
    await row.get_by_text("Copy link").click()
    assert await fits_the_width(page)
