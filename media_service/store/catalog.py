"""The catalog: assets, renditions and segments in a SQL database. A change that returned survives a loss of power."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import time
from typing import Any, Unpack

from msgspec.structs import asdict
from sqlalchemy import URL, RowMapping, delete, insert, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from media_service import errors
from media_service.store.database import Database
from media_service.store.engine import open_engine
from media_service.store.listing import Position, folded
from media_service.store.models import assets, renditions, segments
from media_service.store.records import (
    Asset,
    AssetChanges,
    AssetState,
    Rendition,
    RenditionChanges,
    Segment,
)

_ASSET = [column for column in assets.c if column.name != "search_text"]
_SEGMENT_WITHOUT_SAMPLES = [column for column in segments.c if column.name != "samples"]


@asynccontextmanager
async def open_catalog(url: str | URL) -> AsyncIterator[Catalog]:
    """The catalog behind `url` (e.g. `store.engine.sqlite_url(path)`), its schema up to date; closed on exit.

    Raises migrations.NewerCatalog, errors.StorageFull.
    """
    async with open_engine(url) as engine:
        database = Database(engine)
        try:
            yield Catalog(database)
        finally:
            await database.finish()


class Catalog:
    """Every method may raise errors.StorageFull when it writes, and NotFound for a record that must exist."""

    def __init__(self, database: Database) -> None:
        self._read = database.read
        self._write = database.write

    async def check(self) -> None:
        """Raise unless the database answers."""
        await self._read(text("SELECT 1"))

    # --- assets ---------------------------------------------------------------------------------------------------

    async def add_asset(self, asset: Asset) -> None:
        """Add a new asset; its id must be new."""
        await self._write(
            lambda connection: connection.execute(
                insert(assets).values(search_text=folded(asset.title, asset.filename), **asdict(asset))
            )
        )

    async def asset(self, asset_id: str) -> Asset:
        """One asset. Raises NotFound."""
        rows = await self._read(select(*_ASSET).where(assets.c.id == asset_id))
        return Asset(**_only(rows, "video"))

    async def page(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        state: AssetState | None = None,
        search: str | None = None,
    ) -> tuple[list[Asset], str | None]:
        """Up to `limit` assets, newest first, and the cursor of the next page (None on the last).

        `search` finds a part of the title or the file name, whatever its case. Raises InvalidRequest for a cursor that
        is none of ours. Assets that come or go between two pages neither repeat nor hide others.
        """
        query = select(*_ASSET).order_by(assets.c.created_at.desc(), assets.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            after = Position.decode(cursor)
            query = query.where(tuple_(assets.c.created_at, assets.c.id) < tuple_(after.created_at, after.id))
        if state is not None:
            query = query.where(assets.c.state == state)
        if search:
            query = query.where(assets.c.search_text.contains(folded(search), autoescape=True))
        found = [Asset(**row) for row in await self._read(query)]
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], Position(last.created_at, last.id).encode()

    async def update_asset(self, asset_id: str, **changes: Unpack[AssetChanges]) -> Asset:
        """Change fields of an asset; its version grows by one. Raises NotFound, e.g. when it was deleted meanwhile."""

        async def change(connection: AsyncConnection) -> Asset:
            found = await connection.execute(
                select(assets.c.title, assets.c.filename).where(assets.c.id == asset_id).with_for_update()
            )
            names = _only(found.mappings().all(), "video")
            title, filename = changes.get("title", names["title"]), changes.get("filename", names["filename"])
            changed = await connection.execute(
                update(assets)
                .where(assets.c.id == asset_id)
                .values(
                    **changes,
                    search_text=folded(title, filename),
                    updated_at=int(time() * 1000),
                    version=assets.c.version + 1,
                )
                .returning(*_ASSET)
            )
            return Asset(**changed.mappings().one())

        return await self._write(change)

    async def delete_asset(self, asset_id: str) -> None:
        """Delete an asset with its renditions and segments. Raises NotFound."""

        async def change(connection: AsyncConnection) -> None:
            deleted = await connection.execute(
                delete(assets).where(assets.c.id == asset_id).returning(assets.c.id)
            )
            _only(deleted.mappings().all(), "video")

        await self._write(change)

    async def unfinished(self) -> list[Asset]:
        """The assets that still have work to be done, oldest first."""
        query = select(*_ASSET).where(assets.c.state.in_(["probing", "playable"]))
        return [Asset(**row) for row in await self._read(query.order_by(assets.c.created_at, assets.c.id))]

    async def asset_ids(self) -> set[str]:
        """The ids of all assets: what the sweeper must leave alone."""
        return {row["id"] for row in await self._read(select(assets.c.id))}

    # --- renditions -----------------------------------------------------------------------------------------------

    async def put_rendition(self, rendition: Rendition) -> None:
        """Add a rendition, or replace the one of this name; its segments stay. Raises NotFound without its asset."""
        key = (renditions.c.asset_id == rendition.asset_id) & (renditions.c.name == rendition.name)

        async def change(connection: AsyncConnection) -> None:
            owner = select(assets.c.id).where(assets.c.id == rendition.asset_id)
            # The share lock (PostgreSQL) keeps the asset from being deleted before the rendition is in.
            found = await connection.execute(owner.with_for_update(read=True, key_share=True))
            _only(found.mappings().all(), "video")
            values = asdict(rendition)
            replaced = await connection.execute(
                update(renditions).where(key).values(**values).returning(renditions.c.name)
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
        query = select(renditions).where(renditions.c.asset_id.in_(asset_ids))
        order = (renditions.c.kind.desc(), renditions.c.height.desc(), renditions.c.name)
        for row in await self._read(query.order_by(*order)):
            found[row["asset_id"]].append(Rendition(**row))
        return found

    async def clear_renditions(self, asset_id: str) -> None:
        """Delete the renditions of an asset with their segments."""
        await self._write(
            lambda connection: connection.execute(delete(renditions).where(renditions.c.asset_id == asset_id))
        )

    # --- segments -------------------------------------------------------------------------------------------------

    async def add_segments(self, added: Sequence[Segment], **changes: Unpack[RenditionChanges]) -> None:
        """Add segments of one rendition and apply `changes` to it, all or nothing. Raises NotFound without it."""
        if not added:
            return
        asset_id, name = added[0].asset_id, added[0].rendition

        async def change(connection: AsyncConnection) -> None:
            await _change_rendition(connection, asset_id, name, changes)
            await connection.execute(insert(segments), [asdict(segment) for segment in added])

        await self._write(change)

    async def segments(self, asset_id: str, rendition: str, *, samples: bool = True) -> list[Segment]:
        """The segments of a rendition by number. Without `samples` that field is empty: a playlist needs none."""
        columns = segments.c if samples else _SEGMENT_WITHOUT_SAMPLES
        query = select(*columns).where(segments.c.asset_id == asset_id, segments.c.rendition == rendition)
        rows = await self._read(query.order_by(segments.c.number))
        return [Segment(**{"samples": b"", **row}) for row in rows]

    async def segment(self, asset_id: str, rendition: str, number: int) -> Segment:
        """One segment. Raises NotFound."""
        query = select(segments).where(
            segments.c.asset_id == asset_id,
            segments.c.rendition == rendition,
            segments.c.number == number,
        )
        return Segment(**_only(await self._read(query), "segment"))


def _only(rows: Sequence[RowMapping], what: str) -> dict[str, Any]:
    if not rows:
        raise errors.NotFound(f"There is no such {what}.")
    return dict(rows[0])


async def _change_rendition(
    connection: AsyncConnection, asset_id: str, name: str, changes: RenditionChanges
) -> Rendition:
    key = (renditions.c.asset_id == asset_id) & (renditions.c.name == name)
    # Without changes the row is still locked and proved to be there.
    changed = await connection.execute(
        update(renditions).where(key).values(name=name, **changes).returning(*renditions.c)
    )
    return Rendition(**_only(changed.mappings().all(), "rendition"))
