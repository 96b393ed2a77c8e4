"""The story of packs of previews that every catalog must tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from media_service.errors import NotFound
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import Asset, AssetChanges, PreviewsSummary
from media_service.timeline.previews import Pack, Tile

TILES = tuple(Tile(40_000 + second * 1_000_000, second * 5_000, 4_999) for second in range(20))
PACK = Pack(
    version="ab12", width=256, height=144, header_size=607, complete=False, film_us=5 << 32, tiles=TILES[::5]
)


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        for name in ("one", "two"):
            await opened.add_asset(
                Asset(
                    id=name,
                    title="",
                    filename="",
                    extension="mp4",
                    media_type="video/mp4",
                    size=1,
                    sha256=name,
                    state="playable",
                    created_at=1 if name == "one" else 2,
                    updated_at=1,
                    width=640,
                )
            )
        yield opened


async def test_a_pack_is_found_as_it_was_kept(catalog: Catalog) -> None:
    assert await catalog.pack_of("one") is None
    await catalog.keep_pack("one", PACK)
    assert await catalog.pack_of("one") == PACK
    assert await catalog.pack_of("two") is None


async def test_a_denser_pack_takes_its_place(catalog: Catalog) -> None:
    denser = replace(PACK, version="cd34", complete=True, tiles=TILES)
    await catalog.keep_pack("one", PACK)
    await catalog.keep_pack("one", denser)
    assert await catalog.pack_of("one") == denser


async def test_an_asset_tells_of_its_pack_and_has_changed_by_it(catalog: Catalog) -> None:
    before = await catalog.asset("one")
    assert before.previews is None
    await catalog.keep_pack("one", PACK)
    after = await catalog.asset("one")
    assert after.version == before.version + 1
    summary = msgspec.json.decode(after.previews or b"", type=PreviewsSummary)
    last = PACK.film_us - PACK.tiles[-1].time_us
    assert summary == PreviewsSummary(count=4, width=256, height=144, longest_us=last, complete=False)


async def test_which_pack_an_asset_has_is_told_without_its_tiles(catalog: Catalog) -> None:
    await catalog.keep_pack("two", PACK)
    assert await catalog.pack_state("two") == ("ab12", False)
    await catalog.keep_pack("two", replace(PACK, complete=True))
    assert await catalog.pack_state("two") == ("ab12", True)
    assert [await catalog.pack_state(name) for name in ("one", "three")] == [None, None]


async def test_an_asset_takes_its_pack_along(catalog: Catalog) -> None:
    await catalog.keep_pack("one", PACK)
    await catalog.delete_asset("one")
    assert await catalog.pack_of("one") is None
    with pytest.raises(NotFound):
        await catalog.keep_pack("one", PACK)


COMPLETE = replace(PACK, version="cd34", complete=True, tiles=TILES)


async def test_films_with_a_picture_that_lack_something_are_found_until_their_pack_is_complete_and_swept(
    catalog: Catalog,
) -> None:
    assert await catalog.lacking_packs(3) == ["one", "two"]
    await catalog.keep_pack("one", replace(COMPLETE, version="ab12"))
    assert await catalog.lacking_packs(3) == ["two"]
    await catalog.keep_pack("two", PACK)
    assert await catalog.lacking_packs(3) == ["two"]
    await catalog.keep_pack("two", COMPLETE)
    assert await catalog.lacking_packs(3) == ["two"]
    await catalog.set_swept("two", PACK.version)
    assert await catalog.lacking_packs(3) == ["two"]
    await catalog.set_swept("two", COMPLETE.version)
    assert await catalog.lacking_packs(3) == []


async def test_blobs_that_are_left_are_remembered_over_several_packs(catalog: Catalog) -> None:
    await catalog.keep_pack("one", PACK)
    await catalog.keep_pack("one", COMPLETE)
    await catalog.keep_pack("one", COMPLETE)
    assert "one" in await catalog.lacking_packs(3)


@pytest.mark.parametrize("changes", [{"state": "failed"}, {"state": "probing"}, {"width": None}])
async def test_what_has_no_picture_or_cannot_be_played_lacks_nothing(
    catalog: Catalog, changes: AssetChanges
) -> None:
    await catalog.update_asset("one", **changes)
    assert await catalog.lacking_packs(3) == ["two"]


async def test_attempts_are_counted_until_the_pack_grows(catalog: Catalog) -> None:
    assert [await catalog.begin_pack("one") for _ in range(3)] == [0, 1, 2]
    assert await catalog.pack_of("one") is None
    assert await catalog.pack_state("one") is None
    assert await catalog.lacking_packs(3) == ["two"]
    await catalog.keep_pack("one", PACK)
    assert await catalog.lacking_packs(3) == ["one", "two"]
    assert await catalog.begin_pack("one") == 0
    assert await catalog.pack_of("one") == PACK


async def test_nothing_begins_for_an_asset_that_is_deleted(catalog: Catalog) -> None:
    await catalog.delete_asset("one")
    with pytest.raises(NotFound):
        await catalog.begin_pack("one")
    await catalog.set_swept("one", "ab12")
