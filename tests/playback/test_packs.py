"""Packs in memory: the newest one is always the catalog's, older ones are remembered within bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from media_service.playback import packs as module
from media_service.playback.packs import Packs
from media_service.store.catalog import Catalog
from media_service.store.records import Asset
from tests.support.films import Film, Films
from tests.support.workshop import Workshop
from tests.timeline.packs import pack_of

FILM = Film(seconds=1)
TILES = 30
PACK = pack_of([number * 1_000_000 for number in range(TILES)])


@pytest.fixture
async def asset(workshop: Workshop, films: Films) -> Asset:
    """A film that has no pack."""
    return await workshop.admitted(films.film(FILM))


@pytest.fixture
def catalog(workshop: Workshop) -> Catalog:
    return workshop.catalog


async def test_there_is_none_before_one_is_made_nor_of_an_asset_unknown(
    catalog: Catalog, asset: Asset
) -> None:
    packs = Packs(catalog)
    assert await packs.newest(asset.id) is None
    assert await packs.newest("nobody") is None


async def test_the_newest_is_unpacked_once(catalog: Catalog, asset: Asset) -> None:
    packs = Packs(catalog)
    await catalog.keep_pack(asset.id, PACK)
    found = await packs.newest(asset.id)
    assert found == PACK
    assert await packs.newest(asset.id) is found
    assert packs.known(asset.id, PACK.version) is found


async def test_one_that_took_its_place_is_seen_at_once_and_the_old_one_remembered(
    catalog: Catalog, asset: Asset
) -> None:
    packs = Packs(catalog)
    coarse, dense = replace(PACK, version="coarse", complete=False), replace(PACK, version="dense")
    await catalog.keep_pack(asset.id, coarse)
    assert await packs.newest(asset.id) == coarse
    await catalog.keep_pack(asset.id, dense)
    assert await packs.newest(asset.id) == dense
    assert packs.known(asset.id, "coarse") == coarse
    assert packs.known("another", "coarse") is None


async def test_that_no_more_will_come_is_seen_too(catalog: Catalog, asset: Asset) -> None:
    packs = Packs(catalog)
    for pack in (replace(PACK, complete=False), PACK):
        await catalog.keep_pack(asset.id, pack)
        assert await packs.newest(asset.id) == pack


async def test_what_is_remembered_is_bounded_and_goes_when_it_was_not_used_for_longest(
    catalog: Catalog, asset: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN_TILES", 2 * TILES)
    packs = Packs(catalog)
    for version in ("first", "second", "third"):
        await catalog.keep_pack(asset.id, replace(PACK, version=version))
        await packs.newest(asset.id)
        packs.known(asset.id, "first")
    assert [packs.known(asset.id, version) is not None for version in ("first", "second", "third")] == [
        True,
        False,
        True,
    ]
