"""How the list of assets is walked and searched: its orders, the opaque cursor, and text folded for searching.

A page begins behind the last asset of the page before, wherever that stands now or stood when it was deleted (a "keyset"):
assets that come or go between two pages neither repeat nor hide others, and the last page costs no more than the first.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Self

import msgspec
from sqlalchemy import Select, func, select, tuple_

from media_service import errors
from media_service.store.database import OnDatabase, Read
from media_service.store.models import assets
from media_service.store.records import Asset, AssetState

Sort = Literal["created", "title", "duration", "size"]
Order = Literal["asc", "desc"]

MOST_COUNTED = 10_000  # of a million it would take longer than the page itself
_MAX_FOLDED = 1000  # characters; SQLite refuses patterns above 50,000 bytes, and nobody types as much
_MAX_KEY = 100  # characters of a title that decide about its place; they are in each index and each cursor
_DIGITS = 10  # numbers up to here are sorted by their value
_SORTED_BY = {
    "created": assets.c.created_at,
    "title": assets.c.title_key,
    "duration": assets.c.duration_seconds,
    "size": assets.c.size,
}
_ASSET = [assets.c[name] for name in Asset.__struct_fields__]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which assets a list shows, and in which order; those without the sorted value (a duration) always come last.

    `search` finds a part of the title or the file name, whatever its case.
    """

    state: AssetState | None = None
    search: str | None = None
    sort: Sort = "created"
    order: Order = "desc"


ALL = Selection()


class Position(NamedTuple):
    """Where a page ended: the last one's place in the order of its list."""

    value: int | float | str | None  # that the list is sorted by; None where there is none
    id: str

    def encode(self, order: str) -> str:
        """The cursor of a list in that order: URL-safe, and opaque so that clients do not build their own."""
        return urlsafe_b64encode(msgspec.json.encode((order, *self))).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str, order: str, *kinds: type) -> Self:
        """The position in a cursor; `kinds` its value may be of. Raises InvalidRequest for what this list never gave out."""
        try:
            told = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            made_in, value, key = msgspec.json.decode(told, type=tuple[str, int | float | str | None, str])
        except (NotBase64, UnicodeEncodeError, msgspec.DecodeError):
            raise errors.InvalidRequest("The cursor is not one that this service gave out.") from None
        if made_in != order or not isinstance(value, kinds):
            raise errors.InvalidRequest("The cursor is of a list in another order; begin this one anew.")
        return cls(value, key)


class Listing(OnDatabase):
    """The methods of `store.catalog.Catalog` on the list of assets."""

    async def page(
        self, limit: int, cursor: str | None = None, selection: Selection = ALL
    ) -> tuple[list[Asset], str | None]:
        """Up to `limit` assets, and the cursor of the next page (None on the last).

        Raises InvalidRequest for a cursor that is none of ours, or of another order.
        """
        after = None if cursor is None else _read_cursor(cursor, selection)
        found = await part(self._read, selection, limit + 1, after)
        if len(found) <= limit:
            return found, None
        return found[:limit], position_of(found[limit - 1], selection).encode(_name(selection))

    async def counted_page(
        self, limit: int, cursor: str | None = None, selection: Selection = ALL
    ) -> tuple[list[Asset], str | None, int | None]:
        """As `page`, and how many assets there are on all pages: see `count`."""
        found, next_cursor = await self.page(limit, cursor, selection)
        # A search that finds little looks at every asset: once is enough when all that it found is on this page.
        if cursor is None and next_cursor is None:
            return found, None, len(found)
        return found, next_cursor, await self.count(selection)

    async def count(self, selection: Selection = ALL) -> int | None:
        """How many assets there are; None when there are more than MOST_COUNTED."""
        some = _filtered(select(assets.c.id), selection).limit(MOST_COUNTED + 1).subquery()
        [row] = await self._rows(select(func.count()).select_from(some))
        return row[0] if row[0] <= MOST_COUNTED else None


async def part(read: Read, selection: Selection, limit: int, after: Position | None) -> list[Asset]:
    """Up to `limit` assets of the list, from its beginning or behind a position."""
    found: list[Asset] = []
    for query in _stretches(selection, after):
        found += [Asset(**row) for row in await read(query.limit(limit - len(found)))]
        if len(found) == limit:
            break
    return found


def position_of(asset: Asset, selection: Selection) -> Position:
    """Where it stands in the list."""
    match selection.sort:
        case "created":
            return Position(asset.created_at, asset.id)
        case "title":
            return Position(title_key(asset.title), asset.id)
        case "duration":
            return Position(asset.duration_seconds, asset.id)
        case "size":
            return Position(asset.size, asset.id)


def names_of(title: str, filename: str) -> dict[str, str]:
    """What the catalog keeps of an asset's names for looking it up, by the column."""
    return {"search_text": folded(title, filename), "title_key": title_key(title)}


def folded(*texts: str) -> str:
    """The texts as they are compared when searching: case and compatibility forms made equal (Unicode TR 15, TR 21)."""
    return "\n".join(unicodedata.normalize("NFKC", text).casefold()[:_MAX_FOLDED] for text in texts)


def title_key(title: str) -> str:
    """What titles are sorted by: case and accents make no difference, and numbers count as numbers (2 before 10)."""
    plain = unicodedata.normalize("NFKD", title[:_MAX_FOLDED]).casefold()
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return re.sub(r"[0-9]+", lambda number: number[0].zfill(_DIGITS), letters)[:_MAX_KEY]


def _stretches(selection: Selection, after: Position | None) -> Iterator[Select[Any]]:
    """The list in the order asked for, one statement behind the other, each of which an index gives in its order.

    Those without a value are a stretch of their own: one statement over both would have to sort all of them.
    """
    column, down = _SORTED_BY[selection.sort], selection.order == "desc"
    key = assets.c.id.desc() if down else assets.c.id
    query = _filtered(select(*_ASSET), selection)
    known, unknown = query.order_by(column.desc() if down else column, key), query.order_by(key)
    if column.nullable:
        known, unknown = known.where(column.is_not(None)), unknown.where(column.is_(None))
    if after is not None and after.value is None:
        yield unknown.where(assets.c.id < after.id if down else assets.c.id > after.id)
        return
    if after is not None:
        place, behind = tuple_(column, assets.c.id), tuple_(after.value, after.id)
        known = known.where(place < behind if down else place > behind)
    yield known
    if column.nullable:
        yield unknown


def _filtered(query: Select[Any], selection: Selection) -> Select[Any]:
    if selection.state is not None:
        query = query.where(assets.c.state == selection.state)
    if selection.search:
        query = query.where(assets.c.search_text.contains(folded(selection.search), autoescape=True))
    return query


def _read_cursor(cursor: str, selection: Selection) -> Position:
    column = _SORTED_BY[selection.sort]
    kinds = {"created": (int,), "size": (int,), "title": (str,), "duration": (float, type(None))}
    assert column.nullable == (type(None) in kinds[selection.sort])
    return Position.decode(cursor, _name(selection), *kinds[selection.sort])


def _name(selection: Selection) -> str:
    return f"{selection.sort} {selection.order}"
