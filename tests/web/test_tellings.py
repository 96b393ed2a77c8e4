"""What events tell is read once for all listeners, and again when it has changed or could not be read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.errors import CatalogUnavailable, StorageFull
from media_service.playback import gate
from media_service.playback.gate import Gate
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import Asset
from media_service.web import tellings as module
from media_service.web.tellings import Tellings


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


@pytest.fixture
async def tellings(catalog: Catalog) -> Tellings:
    film = Asset(
        id="film",
        title="A film",
        filename="film.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=5,
        sha256="ab",
        state="probing",
        created_at=0,
        updated_at=0,
    )
    await catalog.add_asset(film)
    return Tellings(catalog, Gate({"key": bytes(32)}, "public"))


async def title(tellings: Tellings, number: int | None) -> str | None:
    told = await tellings.asset("film", number)
    return None if told is None else json.loads(told)["title"]


async def test_a_thousand_listeners_read_a_state_once(
    catalog: Catalog, tellings: Tellings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = catalog.asset

    async def counted(asset_id: str) -> Asset:
        nonlocal reads
        reads += 1
        return await read(asset_id)

    monkeypatch.setattr(catalog, "asset", counted)
    told = await asyncio.gather(*(tellings.asset("film", 7) for _ in range(1000)))
    assert reads == 1
    assert len(set(map(id, told))) == 1
    # One who leaves meanwhile takes nothing from the others.
    leaving, staying = (asyncio.create_task(tellings.asset("film", 8)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None
    assert reads == 2


async def test_each_event_tells_the_state_that_it_is_about_and_now_is_now(
    catalog: Catalog, tellings: Tellings
) -> None:
    assert await title(tellings, 1) == "A film"
    await catalog.update_asset("film", title="Another")
    assert await title(tellings, 1) == "A film"
    assert await title(tellings, 2) == await title(tellings, None) == "Another"
    await catalog.delete_asset("film")
    assert await title(tellings, 3) is None
    assert await title(tellings, None) is None


async def test_what_is_made_is_told_by_rendition(tellings: Tellings) -> None:
    assert json.loads(await tellings.made("film", 1)) == {"id": "film", "renditions": {}}


async def test_what_could_not_be_read_is_read_again(
    catalog: Catalog, tellings: Tellings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (CatalogUnavailable("locked"), StorageFull("no room for its shared memory")):
        with monkeypatch.context() as patch:

            async def refused(_: str, error: Exception = error) -> Asset:
                raise error

            patch.setattr(catalog, "asset", refused)
            with pytest.raises(type(error)):
                await tellings.asset("film", 1)
        assert await title(tellings, 1) == "A film"
        tellings._known.clear()


async def test_what_was_told_long_ago_is_read_again_since_its_token_may_be_over(
    catalog: Catalog, tellings: Tellings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(module, "time", lambda: now)
    assert await title(tellings, 1) == "A film"
    await catalog.update_asset("film", title="Another")
    assert await title(tellings, 1) == "A film"
    now += gate.OWN_SECONDS - gate.ROUNDED_SECONDS
    assert await title(tellings, 1) == "Another"


async def test_only_so_much_is_remembered(tellings: Tellings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in range(1, 9):
        await tellings.asset("film", number)
    assert len(tellings._known) == 3
