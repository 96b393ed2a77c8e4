"""The list of assets in each order, page by page. PostgreSQL joins by one more parameter of `catalog`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise, product
from pathlib import Path
from typing import get_args

import pytest

from media_service import errors
from media_service.store import listing
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.listing import Order, Position, Selection, Sort
from media_service.store.records import Asset, AssetState

SORTS: tuple[Sort, ...] = get_args(Sort)
ORDERS: tuple[Order, ...] = get_args(Order)
#      id, created, title, duration, size, state
FILMS: list[tuple[str, int, str, float | None, int, AssetState]] = [
    ("a", 5, "Episode 10", 60.5, 7, "ready"),
    ("b", 5, "episode 2", None, 7, "probing"),
    ("c", 3, "Übung", 0.1, 9 << 40, "ready"),
    ("d", 9, "Uber alle Berge", 60.5, 1, "playable"),
    ("e", 1, "", None, 3, "failed"),
    ("f", 2, "zebra \N{ZEBRA FACE}", 1e9 / 3, 2, "ready"),
    ("g", 8, "Zebra crossing", None, 8, "ready"),
]
EXPECTED: dict[tuple[Sort, Order], str] = {
    ("created", "desc"): "dgbacfe",
    ("created", "asc"): "efcabgd",
    ("title", "asc"): "ebadcgf",
    ("title", "desc"): "fgcdabe",
    ("size", "asc"): "dfeabgc",
    ("size", "desc"): "cgbaefd",
    ("duration", "asc"): "cadfbeg",
    ("duration", "desc"): "fdacgeb",
}


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        for told in FILMS:
            await opened.add_asset(film(told))
        yield opened


def film(
    told: tuple[str, int, str, float | None, int, AssetState],
) -> Asset:
    name, created_at, title, duration, size, state = told
    return Asset(
        id=name,
        title=title,
        filename=f"{name}.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=size,
        sha256="ab" * 32,
        state=state,
        created_at=created_at,
        updated_at=created_at,
        duration_seconds=duration,
    )


async def walked(catalog: Catalog, selection: Selection, limit: int) -> str:
    """The ids of all pages."""
    ids, cursor = "", None
    while True:
        found, cursor = await catalog.page(limit, cursor, selection)
        assert len(found) == limit or cursor is None
        ids += "".join(asset.id for asset in found)
        if cursor is None:
            return ids


async def test_pages_in_each_order_are_the_whole_list(catalog: Catalog) -> None:
    for (sort, order), expected in EXPECTED.items():
        for limit in (1, 2, 3, 7, 8):
            assert await walked(catalog, Selection(sort=sort, order=order), limit) == expected


async def test_filters_leave_the_order_as_it_is(catalog: Catalog) -> None:
    for sort, order in product(SORTS, ORDERS):
        everything = await walked(catalog, Selection(sort=sort, order=order), 10)
        ready = await walked(catalog, Selection(sort=sort, order=order, state="ready"), 2)
        assert ready == "".join(name for name in everything if name in "acfg")
        found = await walked(catalog, Selection(sort=sort, order=order, search="ZEBRA"), 1)
        assert found == "".join(name for name in everything if name in "fg")


async def test_pages_hold_still_while_the_asset_at_the_cursor_goes(catalog: Catalog) -> None:
    for sort, order in product(SORTS, ORDERS):
        selection = Selection(sort=sort, order=order)
        everything = await walked(catalog, selection, 10)
        for taken in range(1, len(everything)):
            first, cursor = await catalog.page(taken, None, selection)
            await catalog.delete_asset(first[-1].id)
            rest, _ = await catalog.page(10, cursor, selection)
            await catalog.add_asset(first[-1])
            assert "".join(asset.id for asset in first + rest) == everything


async def test_a_cursor_is_good_for_its_own_order_only(catalog: Catalog) -> None:
    orders = [Selection(sort=sort, order=order) for sort in SORTS for order in ORDERS]
    for one, other in pairwise([*orders, orders[0]]):
        _, cursor = await catalog.page(1, None, one)
        with pytest.raises(errors.InvalidRequest, match="another order"):
            await catalog.page(1, cursor, other)


async def test_a_cursor_that_is_none_is_refused(catalog: Catalog) -> None:
    for cursor in ["", "made up", "é", "AAAA", "e30", "WyJjcmVhdGVkIGRlc2MiLDFd", "=", "x" * 1000]:
        with pytest.raises(errors.InvalidRequest, match="gave out"):
            await catalog.page(1, cursor)


async def test_a_cursor_with_a_value_of_another_kind_is_refused(catalog: Catalog) -> None:
    for value in ("text", None, 1.5):
        with pytest.raises(errors.InvalidRequest):
            await catalog.page(1, Position(value, "a").encode("created desc"))


async def test_a_cursor_beyond_all_numbers_finds_nothing(catalog: Catalog) -> None:
    assert await catalog.page(1, Position(1 << 63, "a").encode("created desc")) == ([], None)


async def test_the_count_is_of_what_the_filters_find(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await catalog.count() == 7
    assert await catalog.count(Selection(state="ready", search="zebra", sort="title")) == 2
    monkeypatch.setattr(listing, "MOST_COUNTED", 6)
    assert await catalog.count() is None
    assert await catalog.count(Selection(state="ready")) == 4
