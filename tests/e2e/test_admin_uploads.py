"""Uploads in the admin panel, through nginx: nothing that happens on the way costs more than time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import CDPSession, Locator, Page, Request, expect

from tests.support.axe import serious
from tests.support.browser import complaints
from tests.support.fault_proxy import running_fault_proxy
from tests.support.nginx import Nginx, running_nginx
from tests.support.restartable import Restartable, restartable_server
from tests.support.server import Server

SLOW, FAST = 200_000, 50_000_000  # bytes per second, in all that is under way
ARRIVES_MS = 40_000
PROMISED = 100_000  # bytes
# What Chromium writes to its console of a server or a line that is not there.
BREAKS = r"net::ERR_|status of 50\d"
# Nobody can click in the browser's dialogues here: a file of the browser's own file system is the one that was chosen there,
# and whether it may be read again is answered with yes.
DIALOGUE = """
  const chosen = [];
  window.putFile = async (name, content) => {
    const handle = await (await navigator.storage.getDirectory()).getFileHandle(name, { create: true });
    const writing = await handle.createWritable();
    await writing.write(Uint8Array.from(atob(content), (char) => char.charCodeAt(0)));
    await writing.close();
    chosen.push(handle);
  };
  window.showOpenFilePicker = async () => chosen;
  FileSystemFileHandle.prototype.queryPermission = async () => "prompt";
  FileSystemFileHandle.prototype.requestPermission = async () => "granted";
"""


@pytest.fixture(scope="module")
def front(service: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx before the service that other tests of uploads use as well."""
    with running_nginx(tmp_path_factory.mktemp("nginx"), service.port) as running:
        yield running


@pytest.fixture(scope="module")
def big_film(film: bytes) -> bytes:
    """So long on its way that something can happen: a free box behind the film is no part of it."""
    size = 5_000_000
    assert len(film) < size - 8
    return film + (size - len(film)).to_bytes(4) + b"free" + os.urandom(size - len(film) - 8)


@pytest.fixture
def films(big_film: bytes, tmp_path: Path) -> list[Path]:
    """Three that differ."""
    paths = [tmp_path / f"{name}.mp4" for name in ("Ebb", "Flood", "Slack water")]
    for nth, path in enumerate(paths):
        path.write_bytes(big_film[:-1] + bytes([nth]))
    return paths


class Panel:
    """The panel as somebody who is signed in has it, and what it asks the service meanwhile."""

    def __init__(self, page: Page, url: str, service: Server) -> None:
        self.page = page
        self.service = service
        self._devtools: CDPSession | None = None
        self.url = f"{url}/admin"
        self.requests: list[
            tuple[str, str | None]
        ] = []  # method and Upload-Offset of each that is about an upload
        self._addresses: set[str] = set()  # of uploads of which bytes were sent
        page.on("request", self._note)
        page.on("dialog", lambda dialog: dialog.accept())  # "Leave the page?"
        complaints[page].expect(BREAKS)

    def _note(self, request: Request) -> None:
        if "/api/v1/uploads" in request.url and request.method != "GET":
            self.requests.append((request.method, request.headers.get("upload-offset")))
            if request.method == "PATCH":
                self._addresses.add(urlsplit(request.url).path)

    async def sign_in(self) -> None:
        await self.page.goto(self.url)
        await self.page.get_by_label("Admin token").fill(self.service.token)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_text("Live", exact=True)).to_be_visible()

    async def line(self, throughput: int) -> None:
        """From now on; also for what is under way. 0: there is none."""
        line = {
            "offline": throughput == 0,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": throughput,
        }
        devtools = await self._session()
        await devtools.send("Network.emulateNetworkConditions", line)

    async def _session(self) -> CDPSession:
        self._devtools = self._devtools or await self.page.context.new_cdp_session(self.page)
        return self._devtools

    async def drop(self, *films: Path) -> None:
        """As from the desktop, onto the page's head: it takes them everywhere."""
        data = {"items": [], "files": [str(film) for film in films], "dragOperationsMask": 1}
        devtools = await self._session()
        for step in ("dragEnter", "dragOver", "drop"):
            await devtools.send("Input.dispatchDragEvent", {"type": step, "x": 600, "y": 30, "data": data})

    async def choose(self, *films: Path) -> None:
        await self.page.get_by_label("Files to upload").set_input_files(films)

    def card(self, film: Path) -> Locator:
        return self.page.locator(".upload", has_text=film.name)

    async def under_way(self, film: Path) -> None:
        """Returns when some of it has left."""
        await expect(self.card(film)).to_contain_text("B/s")

    async def promised(self) -> None:
        """Returns when the service has taken some of all that is on its way for good."""
        async with asyncio.timeout(20), httpx.AsyncClient(base_url=self.service.url) as client:
            client.headers["Authorization"] = f"Bearer {self.service.token}"
            for address in self._addresses:
                while (await client.get(address)).json()["offset"] < PROMISED:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.1)

    def appended_at(self) -> list[int]:
        return [int(offset or 0) for method, offset in self.requests if method == "PATCH"]

    async def arrives(self, *films: Path) -> None:
        """Each becomes an asset with every byte of the file, and its card goes."""
        for film in films:
            await expect(self.card(film)).to_have_count(0, timeout=ARRIVES_MS)
            await expect(self.page.locator(".asset", has_text=film.stem).first).to_be_visible()
        with self.service.client() as client:
            kept = {asset["sha256"] for asset in client.get("/api/v1/assets").json()["items"]}
            assert {hashlib.sha256(film.read_bytes()).hexdigest() for film in films} <= kept
        assert await self.page.evaluate("localStorage.length") == 0


@pytest.fixture
async def panel(page_alone: Page, front: Nginx, service: Server) -> AsyncIterator[Panel]:
    panel = Panel(page_alone, front.url, service)
    await panel.sign_in()
    yield panel
    with service.client() as client:
        for asset in client.get("/api/v1/assets").json()["items"]:
            client.delete(f"/api/v1/assets/{asset['id']}")


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Restartable]:
    with restartable_server(tmp_path, transcode_workers=0) as running:
        yield running


async def test_three_at_once_arrive_although_the_server_is_killed(
    page_alone: Page, mortal: Restartable, films: list[Path], tmp_path: Path
) -> None:
    with running_nginx(tmp_path / "nginx", mortal.port) as front:
        await killed_in_the_middle(Panel(page_alone, front.url, mortal.server), mortal, films)


async def killed_in_the_middle(panel: Panel, mortal: Restartable, films: list[Path]) -> None:
    await panel.sign_in()
    await panel.line(SLOW)
    await panel.choose(*films)
    ebb, flood, slack = films
    await panel.under_way(ebb)
    await panel.under_way(flood)
    await expect(panel.card(slack)).to_contain_text("Waiting its turn")
    before = len(panel.requests)
    await panel.promised()
    mortal.kill()
    for film in (ebb, flood):
        await expect(panel.card(film)).to_contain_text("Waiting for the connection…")
    panel.service = await asyncio.to_thread(mortal.start)
    await panel.line(FAST)
    await panel.arrives(*films)
    after = panel.requests[before:]
    assert [method for method, _ in after].count("POST") == 1  # that of the third
    resumed = sorted(int(offset or 0) for method, offset in after if method == "PATCH")
    assert resumed[0] == 0
    assert all(offset >= PROMISED for offset in resumed[1:]), panel.requests


async def test_a_reload_asks_for_the_file_once_more_and_goes_on(panel: Panel, films: list[Path]) -> None:
    ebb, flood, _ = films
    await panel.line(SLOW)
    await panel.choose(ebb, flood)
    await panel.under_way(ebb)
    await panel.under_way(flood)
    await panel.promised()
    await panel.page.reload()
    for film in (ebb, flood):
        await expect(panel.card(film)).to_contain_text("choose the file again to go on")
    assert await serious(panel.page) == []
    panel.requests.clear()
    # One by its own button, where another file is told so; the other among the files that are chosen as always.
    await panel.page.evaluate("delete window.showOpenFilePicker")
    button = panel.card(ebb).get_by_role("button", name="Choose file: Ebb.mp4")
    for chosen in (flood, ebb):
        async with panel.page.expect_file_chooser() as chooser:
            await button.click()
        await (await chooser.value).set_files(chosen)
        if chosen == flood:
            await expect(panel.card(ebb).get_by_role("alert")).to_contain_text(
                "is not the file that was begun"
            )
    await panel.choose(flood)
    await panel.line(FAST)
    await panel.arrives(ebb, flood)
    assert "POST" not in [method for method, _ in panel.requests]
    assert all(offset >= PROMISED for offset in panel.appended_at())


async def test_paused_resumed_without_a_line_and_cancelled(panel: Panel, films: list[Path]) -> None:
    ebb, flood, slack = films
    page = panel.page
    await panel.line(SLOW)
    await panel.choose(ebb, flood, slack)
    await panel.under_way(ebb)
    await panel.card(ebb).get_by_role("button", name="Pause: Ebb.mp4").click()
    await expect(panel.card(ebb)).to_contain_text("Paused · ")
    await expect(panel.card(ebb).get_by_role("button", name="Resume: Ebb.mp4")).to_be_focused()
    await panel.under_way(slack)  # whose turn it is now
    await page.get_by_role("button", name="Pause all").click()
    await expect(page.locator(".upload")).to_contain_text(["Paused · ", "Paused · ", "Paused · "])
    await page.get_by_role("button", name="Resume all").click()
    await expect(panel.card(slack)).to_contain_text("Waiting its turn")
    await expect(page.get_by_text(re.compile(r"^3 uploads · \d+ % of 15.0 MB"))).to_be_visible()
    await panel.card(ebb).get_by_role("button", name="Pause: Ebb.mp4").click()

    # The same file is not sent twice.
    await panel.choose(slack)
    await expect(page.get_by_text("Slack water.mp4 is being uploaded already.")).to_be_visible()

    # What is cancelled is deleted at once, and its place is taken.
    async with page.expect_response(lambda answer: answer.request.method == "DELETE") as deletion:
        await panel.card(flood).get_by_role("button", name="Cancel: Flood.mp4").click()
    assert (await deletion.value).status == 204
    await expect(panel.card(flood)).to_have_count(0)
    await panel.card(ebb).get_by_role("button", name="Resume: Ebb.mp4").click()
    await panel.under_way(ebb)
    await panel.line(0)
    for film in (ebb, slack):
        await expect(panel.card(film)).to_contain_text("Waiting for the connection…", timeout=15_000)
        await expect(panel.card(film).get_by_role("button")).to_have_text(["Try now", "Cancel"])
    await panel.line(FAST)
    await panel.arrives(ebb, slack)
    assert [method for method, _ in panel.requests].count("POST") == 3
    await expect(page.locator(".asset", has_text="Flood")).to_have_count(0)


async def test_a_lid_is_closed_and_the_line_is_dead_when_it_is_opened(
    page_alone: Page, front: Nginx, service: Server, films: list[Path]
) -> None:
    ebb, _, _ = films
    with running_fault_proxy(front.port) as proxy:
        panel = Panel(page_alone, proxy.url, service)
        await page_alone.clock.install()
        await panel.sign_in()
        proxy.set({"up_kbps": SLOW // 1000})
        await panel.choose(ebb)
        await panel.under_way(ebb)
        await panel.promised()
        proxy.set({"stall_up": 1})
        await asyncio.sleep(0.5)
        proxy.set({})  # for new connections: nobody tells the old ones
        await page_alone.clock.fast_forward("01:00:00")
        await panel.arrives(ebb)
    assert [method for method, _ in panel.requests] == ["POST", "PATCH", "HEAD", "PATCH"]
    assert panel.appended_at()[-1] >= PROMISED


async def test_what_is_no_film_is_refused_in_words_and_an_empty_file_too(
    panel: Panel, tmp_path: Path
) -> None:
    shopping, nothing = tmp_path / "shopping.mp4", tmp_path / "nothing.mp4"
    shopping.write_bytes(b"milk, bread, candles\n" * 200)
    nothing.write_bytes(b"")
    await panel.choose(shopping, nothing)
    for file in (shopping, nothing):
        card = panel.card(file)
        await expect(card).to_contain_text("Not uploaded")
        await expect(card.get_by_role("alert")).to_have_text(re.compile(r"^[A-Z].+\. .+\.$"))
        await expect(card.get_by_role("button")).to_have_text(["Dismiss"])
    assert await serious(panel.page) == []
    await panel.page.reload()  # the answer was final: nothing is left to do
    await expect(panel.page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(panel.page.locator(".upload")).to_have_count(0)


async def test_a_sign_in_that_runs_out_stops_nothing_for_good(panel: Panel, films: list[Path]) -> None:
    complaints[panel.page].expect("401")
    ebb, _, _ = films
    await panel.line(SLOW)
    await panel.choose(ebb)
    await panel.under_way(ebb)
    await panel.card(ebb).get_by_role("button", name="Pause").click()
    await panel.page.context.clear_cookies()
    await panel.card(ebb).get_by_role("button", name="Resume").click()
    await expect(panel.page.get_by_role("alert")).to_contain_text("sign in again")
    await panel.page.get_by_label("Admin token").fill(panel.service.token)
    await panel.page.get_by_label("Admin token").press("Enter")
    await panel.under_way(ebb)
    await panel.line(FAST)
    await panel.arrives(ebb)
    assert [method for method, _ in panel.requests].count("POST") == 1


async def test_a_dropped_file_goes_on_by_itself_after_a_reload(panel: Panel, films: list[Path]) -> None:
    ebb, _, _ = films
    await panel.line(SLOW)
    await panel.drop(ebb)
    await panel.under_way(ebb)
    await panel.promised()
    await panel.page.reload()
    await panel.under_way(ebb)
    await panel.line(FAST)
    await panel.arrives(ebb)
    assert [method for method, _ in panel.requests].count("POST") == 1
    assert panel.appended_at()[-1] >= PROMISED


async def test_a_file_of_the_dialogue_goes_on_after_a_reload_by_one_click(
    panel: Panel, films: list[Path]
) -> None:
    ebb, _, _ = films
    await panel.page.add_init_script(DIALOGUE)
    await panel.page.reload()
    content = base64.b64encode(ebb.read_bytes()).decode()
    await panel.page.evaluate("([name, content]) => window.putFile(name, content)", [ebb.name, content])
    await panel.line(SLOW)
    await panel.page.get_by_role("button", name="Choose files").click()
    await panel.under_way(ebb)
    await panel.promised()
    await panel.page.reload()
    await expect(panel.card(ebb)).to_contain_text(re.compile(r"Not finished · \d+ % of 5.0 MB sent"))
    await panel.card(ebb).get_by_role("button", name="Go on: Ebb.mp4").click()
    await panel.under_way(ebb)
    await panel.line(FAST)
    await panel.arrives(ebb)
    assert panel.appended_at()[-1] >= PROMISED


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
async def test_a_file_that_has_changed_is_not_mixed_with_what_was_sent_and_one_window_has_it(
    panel: Panel, films: list[Path], secure: bool
) -> None:
    if not secure:  # 127.0.0.1 counts as secure; plain http elsewhere has no locks
        await panel.page.context.add_init_script("delete Navigator.prototype.locks")
        await panel.page.reload()
    complaints[panel.page].expect("ERR_UPLOAD_FILE_CHANGED")
    ebb, _, _ = films
    await panel.line(SLOW)
    await panel.choose(ebb)
    await panel.under_way(ebb)
    await panel.card(ebb).get_by_role("button", name="Pause").click()

    other = await panel.page.context.new_page()
    await other.goto(panel.url)
    await expect(other.get_by_text("Live", exact=True)).to_be_visible()
    await expect(other.locator(".upload")).to_have_count(0)

    ebb.write_bytes(ebb.read_bytes()[::-1])
    os.utime(ebb, (1, 1))
    await panel.card(ebb).get_by_role("button", name="Resume").click()
    await expect(panel.card(ebb).get_by_role("alert")).to_contain_text("The file cannot be read any more")

    # The window that had it is closed: another one takes care of what it has left.
    await panel.page.goto("about:blank")
    left = other.locator(".upload", has_text=ebb.name)
    await expect(left).to_contain_text("choose the file again to go on", timeout=15_000)
    async with other.expect_response(lambda answer: answer.request.method == "DELETE") as deletion:
        await left.get_by_role("button", name="Discard: Ebb.mp4").click()
    assert (await deletion.value).status == 204
    await expect(left).to_have_count(0)
