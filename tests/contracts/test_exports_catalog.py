"""All of the list, as it was at one moment. PostgreSQL joins by one more parameter of `catalog`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from media_service.store import exports
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.listing import Order, Selection, Sort
from media_service.store.records import Asset, Rendition
from tests.support.processes import wait_until

ASSETS = 25


@pytest.fixture(params=["sqlite"])
async def catalog(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    monkeypatch.setattr(exports, "PART", 4)
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        for number in range(ASSETS):
            await opened.add_asset(film(number))
            await opened.put_renditions(f"a{number:02}", [rendition(number, name) for name in ("x", "y")])
        yield opened


def film(number: int) -> Asset:
    return Asset(
        id=f"a{number:02}",
        title=f"Film {number * 7 % 25}",
        filename="film.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=number // 3,
        sha256="ab" * 32,
        state="ready" if number % 4 else "failed",
        created_at=number // 2,
        updated_at=0,
        duration_seconds=number % 5 or None,
    )


def rendition(number: int, name: str) -> Rendition:
    return Rendition(
        asset_id=f"a{number:02}",
        name=name,
        position="yx".index(name),
        kind="video",
        codecs="avc1.64001f",
        bandwidth=2,
        average_bandwidth=1,
        segments=12,
        init=b"init",
    )


async def exported(catalog: Catalog, selection: Selection) -> list[str]:
    async with catalog.exported(selection) as parts:
        return [asset.id async for part in parts for asset, _ in part]


async def test_an_export_is_the_whole_list_in_each_order(catalog: Catalog) -> None:
    sorts: tuple[Sort, ...] = ("created", "title", "duration", "size")
    orders: tuple[Order, ...] = ("asc", "desc")
    for sort in sorts:
        for order in orders:
            selection = Selection(sort=sort, order=order)
            found, _ = await catalog.page(100, None, selection)
            assert await exported(catalog, selection) == [asset.id for asset in found]
            assert len(found) == ASSETS


async def test_an_export_takes_the_filters_of_the_list(catalog: Catalog) -> None:
    for selection in (Selection(state="failed"), Selection(search="ilm 2"), Selection(search="nothing")):
        found, _ = await catalog.page(100, None, selection)
        assert await exported(catalog, selection) == [asset.id for asset in found]


async def test_each_asset_comes_with_its_renditions_in_their_order(catalog: Catalog) -> None:
    async with catalog.exported() as parts:
        async for part in parts:
            assert len(part) <= exports.PART
            for asset, renditions in part:
                assert [(one.asset_id, one.name) for one in renditions] == [(asset.id, "y"), (asset.id, "x")]
                assert renditions[0].init is None


async def test_what_changes_meanwhile_is_not_in_it(catalog: Catalog) -> None:
    async with catalog.exported(Selection(order="asc")) as parts:
        seen = [asset async for asset in first_of(parts)]
        await catalog.delete_asset("a24")
        await catalog.update_asset("a23", title="Another")
        await catalog.add_asset(film(99))
        seen += [asset async for part in parts for asset, _ in part]
    assert [asset.id for asset in seen] == [f"a{number:02}" for number in range(ASSETS)]
    assert seen[23].title == film(23).title
    assert (await exported(catalog, Selection(order="asc")))[-2:] == ["a23", "a99"]


async def first_of(parts: AsyncIterator[list[exports.Told]]) -> AsyncIterator[Asset]:
    for asset, _ in await anext(parts):
        yield asset


async def test_any_number_of_slow_readers_keep_nobody_waiting(catalog: Catalog) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        for _ in range(10):  # twice the connections that everything else shares
            await anext(await stack.enter_async_context(catalog.exported()))
        await catalog.update_asset("a01", title="Changed")
        assert (await catalog.asset("a01")).title == "Changed"


async def test_an_export_that_is_left_gives_its_connection_back(catalog: Catalog) -> None:
    await catalog.count()
    before = threading.active_count()  # each connection has one
    async with catalog.exported() as parts:
        await anext(parts)
        assert threading.active_count() > before
    async with catalog.exported():
        pass  # nothing was asked of it
    for turns in range(8):
        leaving = asyncio.create_task(exported(catalog, Selection()))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    # The last one's is about to end when its closing has been awaited.
    wait_until(lambda: threading.active_count() == before, 5, "no connection is left")


async def test_a_closed_catalog_exports_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PART", 4)
    async with AsyncExitStack() as stack:
        async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
            for number in range(2 * exports.PART):
                await catalog.add_asset(film(number))
            parts = await stack.enter_async_context(catalog.exported())
            await anext(parts)
        with pytest.raises(RuntimeError, match="closed"):
            await anext(parts)
