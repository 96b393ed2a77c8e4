"""All assets of a list, however many, as they are at one moment and with little of them in memory at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from sqlalchemy import select

from media_service.store.database import OnDatabase, Read
from media_service.store.listing import ALL, Position, Selection, part, position_of
from media_service.store.models import renditions
from media_service.store.records import Asset, Rendition

PART = 200  # assets that are in memory at a time: half a megabyte, and few enough round trips to the database's thread
# Nothing that is told of a rendition is in its init segment, and that is longer than all the rest.
_RENDITION = [renditions.c[name] for name in Rendition.__struct_fields__ if name != "init"]

Told = tuple[Asset, Sequence[Rendition]]


class Exports(OnDatabase):
    """The method of `store.catalog.Catalog` that reads all of it."""

    @asynccontextmanager
    async def exported(self, selection: Selection = ALL) -> AsyncIterator[AsyncIterator[list[Told]]]:
        """The whole list in parts, each asset with its renditions but not with their init segments.

        All parts are of the catalog as it is when the first is asked for. They may be left at any time; whoever is slow to
        ask for the next keeps nobody waiting, and has one connection of his own meanwhile.
        """
        async with self._snapshot() as read, aclosing(_parts(read, selection)) as parts:
            yield parts


async def _parts(read: Read, selection: Selection) -> AsyncGenerator[list[Told]]:
    # Each part is found like a page of the list, by an index: sorting all of them once would need room for all of them.
    after: Position | None = None
    while found := await part(read, selection, PART, after):
        of: dict[str, list[Rendition]] = {asset.id: [] for asset in found}
        query = select(*_RENDITION).where(renditions.c.asset_id.in_(of)).order_by(renditions.c.position)
        for row in await read(query):
            of[row["asset_id"]].append(Rendition(**row))
        yield [(asset, of[asset.id]) for asset in found]
        if len(found) < PART:
            return
        after = position_of(found[-1], selection)
