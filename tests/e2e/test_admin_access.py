"""The admin page's keys and its sign-in: made, copied, revoked; tabs that sign out, sessions that end."""

from __future__ import annotations

import re

import httpx
from playwright.async_api import Page, expect

from tests.e2e.conftest import Library, Site
from tests.e2e.test_admin_page import fits_the_width, sign_in
from tests.support.browser import complaints

ASSETS = "/api/v1/assets"
KEYS = "/api/v1/keys"


async def status_with(site: Site, secret: str) -> int:
    async with httpx.AsyncClient(base_url=site.url) as client:
        return (await client.get(ASSETS, headers={"Authorization": f"Bearer {secret}"})).status_code


async def make_key(page: Page, name: str, *scopes: str) -> str:
    """Go to the keys and fill in the form; the key that is shown."""
    await page.get_by_role("link", name="Keys").click()
    await page.get_by_label("Name of a new key").fill(name)
    for scope in scopes:
        await page.get_by_role("checkbox", name=re.compile(f"^{scope}")).check()
    await page.get_by_role("button", name="Make key").click()
    await expect(page.get_by_role("button", name="Copy", exact=True)).to_be_focused()
    return await page.get_by_label("The new key").inner_text()


async def test_a_key_is_made_shown_once_and_revoked(page: Page, site: Site) -> None:
    await sign_in(page, site)
    secret = await make_key(page, "Camera in the hall", "read", "upload")
    assert re.fullmatch(r"msk_[0-9a-f]{12}_[\w-]{43}", secret)
    assert await status_with(site, secret) == 200
    row = page.get_by_role("list", name="Keys").get_by_role("listitem").filter(has_text="Camera in the hall")
    scopes = page.get_by_role("list", name="Scopes of Camera in the hall").get_by_role("listitem")
    await expect(scopes).to_have_text(["read", "upload"])
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy", exact=True).click()
    assert await page.evaluate("navigator.clipboard.readText()") == secret
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_label("Name of a new key")).to_be_focused()
    assert secret not in await page.content()
    await page.reload()
    await expect(row.first).to_contain_text("last used")
    assert secret not in await page.content()

    dialog = page.get_by_role("dialog", name="Revoke this key?")
    await page.get_by_role("button", name="Revoke Camera in the hall").click()
    await dialog.get_by_role("button", name="Keep it").click()
    await page.get_by_role("button", name="Revoke Camera in the hall").click()
    await expect(dialog).to_contain_text("Camera in the hall")
    await dialog.get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("button", name="Revoke Camera in the hall")).to_have_count(0)
    assert await status_with(site, secret) == 401


async def test_what_is_wrong_with_a_key_is_said(page: Page, site: Site) -> None:
    complaints[page].expect("409")
    await sign_in(page, site)
    await page.get_by_role("link", name="Keys").click()
    await page.get_by_label("Name of a new key").fill("Twice")
    await page.get_by_role("button", name="Make key").click()
    await expect(page.get_by_role("alert")).to_have_text("Choose what the key may do.")
    await make_key(page, "Twice", "read")
    await page.get_by_label("Name of a new key").fill("Twice")
    await page.get_by_role("checkbox", name=re.compile("^read")).check()
    await page.get_by_role("button", name="Make key").click()
    await expect(page.get_by_role("alert")).to_have_text("There is a key 'Twice' already.")
    await expect(page.get_by_label("The new key")).to_be_hidden()
    await page.get_by_role("button", name="Revoke Twice").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("button", name="Revoke Twice")).to_have_count(0)


async def test_who_signs_out_is_signed_out_in_every_tab(page: Page, site: Site) -> None:
    await sign_in(page, site)
    other = await page.context.new_page()
    await other.goto(f"{site.url}/admin")
    await expect(other.get_by_role("heading", name="Library")).to_be_visible()
    await other.get_by_role("button", name="Sign out").click()
    complaints[page].expect("401")
    await page.get_by_role("link", name="Keys").click()
    await page.get_by_label("Name of a new key").fill("Too late")
    await page.get_by_role("checkbox", name=re.compile("^read")).check()
    await page.get_by_role("button", name="Make key").click()
    await expect(page.get_by_role("alert").first).to_have_text(
        "You are no longer signed in. Please sign in again."
    )
    await expect(page.get_by_label("Admin token")).to_be_focused()
    await other.close()


async def test_a_tab_goes_on_when_another_has_signed_in_anew(page: Page, site: Site) -> None:
    complaints[page].expect("403")  # the first try, with the proof of the session before
    await sign_in(page, site)
    signed_in = """token => fetch("/admin/session", {
        method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({token})
    }).then(answer => answer.status)"""
    assert await page.evaluate(signed_in, site.token) == 200
    secret = await make_key(page, "After another sign-in", "read")
    assert await status_with(site, secret) == 200
    await page.get_by_role("button", name="Revoke After another sign-in").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("button", name="Revoke After another sign-in")).to_have_count(0)


async def test_a_page_of_another_site_can_do_nothing_with_the_cookie(
    page: Page, site: Site, film: bytes, library: Library
) -> None:
    complaints[page].expect("4(01|03|05)|CORS|Failed to load|violates")
    asset = await library.put(film, "Wanted elsewhere.mp4")
    await sign_in(page, site)
    # The same machine under another name is another site; the cookie is not sent, and nothing could be read.
    elsewhere = site.url.replace("127.0.0.1", "localhost") + "/theirs"
    foreign = await page.context.new_page()
    await foreign.route(
        elsewhere, lambda route: route.fulfill(content_type="text/html", body="<title>Theirs</title>")
    )
    await foreign.goto(elsewhere)
    attempt = """async ([url, method, headers]) => {
        const options = {method, headers, credentials: "include", mode: headers ? "cors" : "no-cors"};
        try { return (await fetch(url, options)).status } catch { return "refused" }
    }"""
    address = f"{site.url}{ASSETS}/{asset['id']}"
    for method, headers in (
        ("GET", None),
        ("POST", None),
        ("GET", {}),
        ("DELETE", {}),
        ("PATCH", {"X-CSRF-Token": "x", "Content-Type": "application/json"}),
    ):
        assert await foreign.evaluate(attempt, [address, method, headers]) in {0, "refused"}
    assert await foreign.evaluate(attempt, [f"{site.url}/admin/session", "GET", {}]) == "refused"
    await foreign.evaluate(
        """url => { const form = document.createElement("form");
            Object.assign(form, {method: "post", action: url, enctype: "text/plain"});
            document.body.append(form); form.submit(); }""",
        f"{site.url}{KEYS}",
    )
    await foreign.wait_for_url(f"{site.url}{KEYS}")
    assert '"code":"unauthorized"' in (await foreign.content()).replace("&quot;", '"')
    await foreign.close()
    await page.reload()
    await expect(page.locator(".asset", has_text="Wanted elsewhere")).to_be_visible()


async def test_the_keys_fit_on_a_phone(page: Page, site: Site) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await sign_in(page, site)
    name = "A" * 64
    await make_key(page, name, "read", "upload", "manage")
    assert await fits_the_width(page)
    words = await page.get_by_text(name, exact=True).bounding_box()
    button = await page.get_by_role("button", name=f"Revoke {name}").bounding_box()
    assert words
    assert button
    assert button["y"] < words["y"] + words["height"]  # beside the name, not on a line of its own
    for scope in await page.locator(".scopes label").all():
        box = await scope.bounding_box()
        assert box
        assert box["height"] >= 40  # room for a thumb
    await page.get_by_role("button", name=f"Revoke {name}").click()
    assert await fits_the_width(page)
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("button", name=f"Revoke {name}")).to_have_count(0)
