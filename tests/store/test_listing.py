from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import ClauseElement, Executable, RowMapping

from media_service.errors import InvalidRequest
from media_service.ingest.pipeline import MAX_TITLE_CHARACTERS
from media_service.store.catalog import open_catalog
from media_service.store.engine import open_engine, sqlite_url
from media_service.store.listing import Order, Position, Selection, Sort, part, title_key
from media_service.store.records import AssetState

LONGEST_CURSOR = 1000  # that the list takes


def in_order(*titles: str) -> bool:
    return sorted(titles, key=title_key) == list(titles)


def test_numbers_in_titles_count_as_numbers() -> None:
    assert in_order("Episode 2", "episode 10", "Episode 010 b", "Episode 100")
    assert in_order("2", "10", "1234567890", "a")
    assert in_order("S1E9", "s01e10", "S2E1")


def test_case_and_accents_make_no_difference_to_the_order() -> None:
    assert title_key("ÜBUNG") == title_key("ubung") == title_key("U\u0308bung")
    assert title_key("Straße") == title_key("STRASSE")
    assert title_key("\N{LATIN SMALL LIGATURE FI}lm \N{FULLWIDTH DIGIT ONE}2") == title_key("film 12")
    assert in_order("Äpfel", "Apfelkuchen", "Zebra")


@given(st.text(max_size=MAX_TITLE_CHARACTERS))
def test_every_title_fits_into_a_cursor(title: str) -> None:
    key = title_key(title)
    if key.isprintable():  # as titles are
        assert len(Position(key, "f" * 32).encode("title desc")) <= LONGEST_CURSOR


def test_the_widest_title_fits_into_a_cursor() -> None:
    key = title_key("\N{ZEBRA FACE}" * MAX_TITLE_CHARACTERS)
    assert len(Position(key, "f" * 32).encode("title desc")) <= LONGEST_CURSOR


@given(
    st.one_of(st.integers(0, (1 << 63) - 1), st.floats(allow_nan=False, allow_infinity=False), st.none()),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_a_cursor_gives_back_its_very_position(value: float | None, key: str) -> None:
    position = Position(value, key)
    assert Position.decode(position.encode("any"), "any", int, float, type(None)) == position


@given(st.text())
def test_made_up_cursors_are_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        Position.decode(cursor, "created desc", int)


async def test_every_order_of_the_list_is_that_of_an_index(tmp_path: Path) -> None:
    orders: tuple[Order, ...] = ("asc", "desc")
    states: tuple[AssetState | None, ...] = (None, "ready")
    behind: dict[Sort, Position] = {
        "created": Position(5, "a"),
        "title": Position("b", "a"),
        "duration": Position(0.5, "a"),
        "size": Position(7, "a"),
    }
    async with open_engine(sqlite_url(tmp_path / "c.sqlite3")) as engine, engine.connect() as connection:

        async def plan(selection: Selection, after: Position | None) -> str:
            lines: list[str] = []

            async def explain(query: Executable) -> Sequence[RowMapping]:
                assert isinstance(query, ClauseElement)
                written = str(query.compile(engine.sync_engine, compile_kwargs={"literal_binds": True}))
                found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {written}")
                lines.extend(row.detail for row in found)
                return []

            await part(explain, selection, 50, after)
            return "; ".join(lines)

        for sort, order, state in product(behind, orders, states):
            selection = Selection(sort=sort, order=order, state=state)
            for after in (None, behind[sort], Position(None, "a") if sort == "duration" else None):
                said = await plan(selection, after)
                assert "USING INDEX" in said, (selection, after)
                assert "B-TREE" not in said, (selection, after, said)


async def test_what_is_all_on_one_page_is_not_counted_by_looking_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as catalog:
        monkeypatch.setattr(catalog, "count", None)
        assert await catalog.counted_page(50, None, Selection(search="x")) == ([], None, 0)
