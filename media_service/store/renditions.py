"""The part of the catalog that is about what was made of assets: renditions and their segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from msgspec.structs import asdict
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from media_service.store.database import Database, only
from media_service.store.models import assets, renditions, segments
from media_service.store.records import Rendition, RenditionChanges, Segment, SegmentPlace

# A layout has a hundred kilobytes for a film of three hours, and one reader.
_RENDITION = [column for column in renditions.c if column.name != "layout"]


class Renditions:
    """The methods of `store.catalog.Catalog` on renditions and segments."""

    def __init__(self, database: Database) -> None:
        self._check = database.check
        self._read = database.read
        self._rows = database.rows
        self._write = database.write

    async def put_rendition(self, rendition: Rendition) -> None:
        """Add a rendition, or replace the one of this name; its segments stay. Raises NotFound without its asset."""
        key = (renditions.c.asset_id == rendition.asset_id) & (renditions.c.name == rendition.name)

        async def change(connection: AsyncConnection) -> None:
            owner = select(assets.c.id).where(assets.c.id == rendition.asset_id)
            # The share lock (PostgreSQL) keeps the asset from being deleted before the rendition is in.
            found = await connection.execute(owner.with_for_update(read=True, key_share=True))
            only(found.mappings().all(), "asset")
            values = asdict(rendition)
            replaced = await connection.execute(
                update(renditions).where(key).values(**values, layout=None).returning(renditions.c.name)
            )
            if replaced.first() is None:
                await connection.execute(insert(renditions).values(**values))

        await self._write(change)

    async def update_rendition(
        self, asset_id: str, name: str, **changes: Unpack[RenditionChanges]
    ) -> Rendition:
        """Change fields of a rendition. Raises NotFound."""
        return await self._write(lambda connection: _change_rendition(connection, asset_id, name, changes))

    async def renditions(self, asset_id: str) -> list[Rendition]:
        """The renditions of an asset: pictures first, the larger before the smaller. None for an asset unknown."""
        return (await self.renditions_of([asset_id]))[asset_id]

    async def renditions_of(self, asset_ids: Sequence[str]) -> dict[str, list[Rendition]]:
        """The renditions of several assets by asset id, in one query; a page of the list needs them."""
        found: dict[str, list[Rendition]] = {asset_id: [] for asset_id in asset_ids}
        query = select(*_RENDITION).where(renditions.c.asset_id.in_(asset_ids))
        order = (renditions.c.kind.desc(), renditions.c.height.desc(), renditions.c.name)
        for row in await self._read(query.order_by(*order)):
            found[row["asset_id"]].append(Rendition(**row))
        return found

    async def rendition_layout(self, asset_id: str, name: str) -> bytes:
        """The packed layout of a ready rendition's classic file. Raises NotFound for one that is not ready, too."""
        query = select(renditions.c.layout).where(
            renditions.c.asset_id == asset_id, renditions.c.name == name, renditions.c.layout.is_not(None)
        )
        layout: bytes = only(await self._read(query), "finished rendition")["layout"]
        return layout

    async def clear_renditions(self, asset_id: str) -> None:
        """Delete the renditions of an asset with their segments."""
        await self._write(
            lambda connection: connection.execute(delete(renditions).where(renditions.c.asset_id == asset_id))
        )

    async def add_segments(self, added: Sequence[Segment], **changes: Unpack[RenditionChanges]) -> None:
        """Add segments of one rendition and apply `changes` to it, all or nothing. Raises NotFound without it."""
        if not added:
            return
        asset_id, name = added[0].asset_id, added[0].rendition

        async def change(connection: AsyncConnection) -> None:
            await _change_rendition(connection, asset_id, name, changes)
            await connection.execute(insert(segments), [asdict(segment) for segment in added])

        await self._write(change)

    async def segments(self, asset_id: str, rendition: str) -> list[Segment]:
        """The segments of a rendition by number, whole: to put them together. For a playlist see `durations`."""
        query = select(segments).where(segments.c.asset_id == asset_id, segments.c.rendition == rendition)
        return [Segment(**row) for row in await self._read(query.order_by(segments.c.number))]

    async def durations(self, asset_id: str, rendition: str) -> list[tuple[int, int]]:
        """Number and duration (ticks) of each segment of a rendition, by number: what a playlist needs."""
        query = select(segments.c.number, segments.c.duration_ticks).where(
            segments.c.asset_id == asset_id, segments.c.rendition == rendition
        )
        return [(number, ticks) for number, ticks in await self._rows(query.order_by(segments.c.number))]

    async def segment_at(self, asset_id: str, rendition: str, ticks: int) -> int | None:
        """The number of the segment that holds the time `ticks` of a rendition; None where none is made (yet)."""
        query = (
            select(segments.c.number, segments.c.begin_ticks + segments.c.duration_ticks)
            .where(
                segments.c.asset_id == asset_id,
                segments.c.rendition == rendition,
                segments.c.begin_ticks <= ticks,
            )
            .order_by(segments.c.begin_ticks.desc())
            .limit(1)
        )
        for number, stop in await self._rows(query):
            return int(number) if ticks < stop else None
        return None

    async def segment_of(self, asset_id: str, rendition: str, number: int) -> SegmentPlace:
        """Where a segment lies, in one query: players ask for little else. Raises NotFound, also without the asset."""
        query = select(renditions.c.kind, segments.c.blob, segments.c.start, segments.c.stop).where(
            segments.c.asset_id == asset_id,
            segments.c.rendition == rendition,
            segments.c.number == number,
            renditions.c.asset_id == segments.c.asset_id,
            renditions.c.name == segments.c.rendition,
        )
        return SegmentPlace(**only(await self._read(query), "segment"))


async def set_ready(connection: AsyncConnection, asset_id: str, name: str, layout: bytes) -> None:
    """Mark a rendition as finished. Raises NotFound."""
    key = (renditions.c.asset_id == asset_id) & (renditions.c.name == name)
    changed = await connection.execute(
        update(renditions).where(key).values(state="ready", layout=layout).returning(renditions.c.name)
    )
    only(changed.mappings().all(), "rendition")


async def _change_rendition(
    connection: AsyncConnection, asset_id: str, name: str, changes: RenditionChanges
) -> Rendition:
    key = (renditions.c.asset_id == asset_id) & (renditions.c.name == name)
    # Without changes the row is still locked and proved to be there.
    changed = await connection.execute(
        update(renditions).where(key).values(name=name, **changes).returning(*_RENDITION)
    )
    return Rendition(**only(changed.mappings().all(), "rendition"))
