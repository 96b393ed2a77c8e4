"""The pages in Chromium, through nginx, as people get them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple, Protocol

import httpx
import pytest
from playwright.async_api import Page

from tests.support.browser import browser, chromium_path
from tests.support.browser import page as page_alone
from tests.support.media import ffmpeg
from tests.support.server import Server, running_server

__all__ = ["browser", "chromium_path", "page_alone"]

FILM_SECONDS = 12
DRAWN_SECONDS = 30.0


class Served(Protocol):
    """What the fixture `server` is here."""

    url: str
    token: str


class Proxied(Protocol):
    """What the fixture `nginx` is here."""

    url: str


class Site(NamedTuple):
    """The service as the world sees it."""

    url: str
    token: str


@pytest.fixture
def site(server: Served, nginx: Proxied) -> Site:
    return Site(nginx.url.rstrip("/"), server.token)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service without a transcoder, for tests of uploads; modules that need another one have their own."""
    directory = tmp_path_factory.mktemp("service")
    with running_server(directory, transcode_workers=0) as running:
        yield running


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """H.264 and AAC, no two frames alike, the moov at the end as phones and cameras write it."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    picture = f"testsrc2=size=640x360:rate=25:duration={FILM_SECONDS}"
    sound = f"sine=frequency=440:duration={FILM_SECONDS}"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac"]
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *coding, path)
    return path.read_bytes()


class Library:
    """Puts films into the service without the page, and takes them out again: the next test's need not wait for theirs."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._put: list[str] = []

    async def put(self, content: bytes, filename: str) -> dict[str, Any]:
        """Upload; the asset's JSON."""
        answer = await self._client.put("/api/v1/assets", params={"filename": filename}, content=content)
        assert answer.status_code == 201, answer.text
        asset: dict[str, Any] = answer.json()
        self._put.append(asset["id"])
        return asset

    async def edit(self, asset_id: str, **changes: Any) -> None:
        """Change it as somebody elsewhere does."""
        answer = await self._client.patch(f"/api/v1/assets/{asset_id}", json=changes)
        assert answer.status_code == 200, answer.text

    async def drawn(self, asset_id: str) -> None:
        """Returns when the film has its poster."""
        async with (
            asyncio.timeout(DRAWN_SECONDS),
            self._client.stream("GET", f"/api/v1/assets/{asset_id}/events") as events,
        ):
            async for line in events.aiter_lines():
                if line.startswith("data:") and json.loads(line[5:]).get("playback", {}).get("poster"):
                    return

    async def clear(self) -> None:
        """Delete what was put, with what is just being made of it."""
        for asset_id in self._put:
            await self._client.delete(f"/api/v1/assets/{asset_id}")


@pytest.fixture
async def library(site: Site) -> AsyncIterator[Library]:
    headers = {"Authorization": f"Bearer {site.token}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers, timeout=60) as client:
        library = Library(client)
        yield library
        await library.clear()


@pytest.fixture
def page(library: Library, page_alone: Page) -> Page:
    """Closed before the library is cleared: no player is left to complain that its film is gone."""
    return page_alone
