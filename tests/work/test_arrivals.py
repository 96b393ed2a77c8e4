"""Films that other processes add are taken up; nothing else that they tell of is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_service.errors import CatalogUnavailable
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.event_log import Event, News
from media_service.store.records import Asset, AssetState
from media_service.work import arrivals as module
from media_service.work.arrivals import Arrivals
from media_service.work.logged_events import LoggedEvents


def asset(asset_id: str, state: AssetState) -> Asset:
    return Asset(
        id=asset_id,
        title="",
        filename="",
        extension="mp4",
        media_type="video/mp4",
        size=5,
        sha256="ab",
        state=state,
        created_at=0,
        updated_at=0,
    )


async def test_what_another_process_has_added_is_taken_up_and_what_is_finished_is_left_alone(
    tmp_path: Path,
) -> None:
    url = sqlite_url(tmp_path / "catalog.sqlite3")
    submitted: asyncio.Queue[str] = asyncio.Queue()
    async with (
        open_catalog(url) as ours,
        open_catalog(url) as theirs,
        LoggedEvents(ours) as events,
        Arrivals(ours, submitted.put_nowait) as arrivals,
    ):
        events.on_foreign = arrivals.hear
        for one in (asset("ready", "ready"), asset("new", "probing"), asset("failed", "failed")):
            await theirs.add_asset(one)
        told = [News("asset", name) for name in ("ready", "unknown", "failed", "new")]
        await theirs.append_events([News("deleted", "new"), *told])
        async with asyncio.timeout(5):
            assert await submitted.get() == "new"
        assert submitted.empty()


async def test_an_arrival_waits_until_the_catalog_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    submitted: asyncio.Queue[str] = asyncio.Queue()
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as catalog:
        await catalog.add_asset(asset("film", "probing"))
        answer = catalog.asset

        async def locked(_: str) -> Asset:
            monkeypatch.setattr(catalog, "asset", answer)
            raise CatalogUnavailable("locked")

        monkeypatch.setattr(catalog, "asset", locked)
        async with Arrivals(catalog, submitted.put_nowait) as arrivals, asyncio.timeout(5):
            arrivals.hear(Event(1, "asset", "film", b""))
            assert await submitted.get() == "film"
