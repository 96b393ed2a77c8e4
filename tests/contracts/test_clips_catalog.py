"""The contract of the catalog on clips and waveforms: of which assets they are still to be made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import Asset, AssetState

MOST = 3


def asset(name: str, created_at: int, state: AssetState) -> Asset:
    return Asset(
        id=name,
        title="",
        filename="",
        extension="mp4",
        media_type="video/mp4",
        size=1,
        sha256=name,
        state=state,
        created_at=created_at,
        updated_at=1,
    )


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        await opened.add_asset(asset("old", 1, "ready"))
        await opened.add_asset(asset("new", 2, "playable"))
        await opened.add_asset(asset("raw", 3, "probing"))
        await opened.add_asset(asset("bad", 4, "failed"))
        yield opened


async def test_those_that_play_and_lack_something_are_found_the_newest_first(catalog: Catalog) -> None:
    assert await catalog.without_clips(MOST) == ["new", "old"]
    await catalog.update_asset("new", clip="c", animation="a")
    assert await catalog.without_clips(MOST) == ["new", "old"]
    changed = await catalog.update_asset("new", waveform="")
    assert (changed.clip, changed.animation, changed.waveform) == ("c", "a", "")
    assert await catalog.without_clips(MOST) == ["old"]


async def test_attempts_that_never_came_to_an_end_are_counted(catalog: Catalog) -> None:
    for _ in range(MOST):
        assert "old" in await catalog.without_clips(MOST)
        await catalog.begin_clips("old")
    assert await catalog.without_clips(MOST) == ["new"]
    await catalog.end_clips("old")
    assert await catalog.without_clips(MOST) == ["new", "old"]


async def test_an_asset_that_was_deleted_is_no_trouble(catalog: Catalog) -> None:
    await catalog.delete_asset("old")
    await catalog.begin_clips("old")
    await catalog.end_clips("old")
    assert await catalog.without_clips(MOST) == ["new"]
