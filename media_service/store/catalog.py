"""The catalog: assets, renditions, segments, uploads, keys and webhooks in a SQL database. A change that returned survives a loss of power."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

from msgspec.structs import asdict
from sqlalchemy import URL, ColumnElement, Select, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from media_service.errors import MediaServiceError
from media_service.store.api_keys import ApiKeys
from media_service.store.database import Database, only
from media_service.store.engine import open_engine
from media_service.store.instants import now_ms
from media_service.store.listing import Position, folded
from media_service.store.models import assets
from media_service.store.records import Asset, AssetChanges, AssetState
from media_service.store.renditions import Renditions, set_ready
from media_service.store.uploads import Uploads, set_finished
from media_service.store.webhooks import Webhooks, announce, announce_state

_ASSET = [assets.c[name] for name in Asset.__struct_fields__]


@asynccontextmanager
async def open_catalog(url: str | URL) -> AsyncIterator[Catalog]:
    """The catalog behind `url` (e.g. `store.engine.sqlite_url(path)`), its schema up to date; closed on exit.

    Raises migrations.NewerCatalog, errors.StorageFull, errors.CatalogUnavailable.
    """
    async with open_engine(url) as engine:
        database = Database(engine)
        try:
            yield Catalog(database)
        finally:
            await database.finish()


class Catalog(Renditions, Uploads, ApiKeys, Webhooks):
    """Every method may raise errors.CatalogUnavailable, errors.StorageFull when it writes, and NotFound for a record
    that must exist."""

    async def check(self) -> None:
        """Raise CatalogUnavailable unless the database answers, and lies whole where it belongs."""
        await self._check()

    async def add_asset(
        self, asset: Asset, *, owner: str = "", idempotency_key: str | None = None, deduplicate: bool = False
    ) -> Asset:
        """Add a new asset, whose id must be new; or, when the owner has made one with this key before, that one.

        With `deduplicate`, one that has the same bytes and is not failed is returned as well, the oldest.

        The upload that it is made of, if any, is finished with it: whoever removes an open upload never takes an asset's
        bytes along, whenever the service died.
        """

        async def change(connection: AsyncConnection) -> Asset:
            if idempotency_key is not None:
                found = await connection.execute(select(*_ASSET).where(_made_with(owner, idempotency_key)))
                for row in found.mappings():
                    return Asset(**row)
            if deduplicate:
                found = await connection.execute(_oldest_of_bytes(asset.sha256, asset.size))
                for row in found.mappings():
                    return Asset(**row)
            names = {"search_text": folded(asset.title, asset.filename)}
            keys = {"owner": owner or None, "idempotency_key": idempotency_key}
            await connection.execute(insert(assets).values(**asdict(asset), **names, **keys))
            await set_finished(connection, asset)
            await announce(connection, "upload.finished", asset)
            return asset

        return await self._announcing(change)

    async def asset(self, asset_id: str) -> Asset:
        """One asset. Raises NotFound."""
        rows = await self._read(select(*_ASSET).where(assets.c.id == asset_id))
        return Asset(**only(rows, "asset"))

    async def asset_of_key(self, owner: str, idempotency_key: str | None) -> Asset | None:
        """The asset that the owner made with this key; None also without a key."""
        if idempotency_key is None:
            return None
        rows = await self._read(select(*_ASSET).where(_made_with(owner, idempotency_key)))
        return Asset(**rows[0]) if rows else None

    async def asset_of_digest(self, sha256: str, size: int) -> Asset | None:
        """The oldest asset of these bytes that is not failed."""
        rows = await self._read(_oldest_of_bytes(sha256, size))
        return Asset(**rows[0]) if rows else None

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
                select(assets.c.title, assets.c.filename, assets.c.state)
                .where(assets.c.id == asset_id)
                .with_for_update()
            )
            before = only(found.mappings().all(), "asset")
            title = changes.get("title", before["title"])
            filename = changes.get("filename", before["filename"])
            changed = await connection.execute(
                update(assets)
                .where(assets.c.id == asset_id)
                .values(
                    **changes,
                    search_text=folded(title, filename),
                    updated_at=now_ms(),
                    version=assets.c.version + 1,
                )
                .returning(*_ASSET)
            )
            asset = Asset(**changed.mappings().one())
            await announce_state(connection, before["state"], asset)
            return asset

        return await self._announcing(change)

    async def finish(self, asset_id: str, layouts: Mapping[str, bytes]) -> Asset:
        """All renditions are made: they are ready, with the packed layouts of their classic files, and so is the asset.

        What could not be made at first is there now: its error is gone. All of it happens or nothing: a viewer never meets
        a ready film with parts of a run that will be made again.
        Raises NotFound when the asset or one of the renditions was deleted meanwhile.
        """

        async def change(connection: AsyncConnection) -> Asset:
            for name, layout in layouts.items():
                await set_ready(connection, asset_id, name, layout)
            found = await connection.execute(
                select(assets.c.state).where(assets.c.id == asset_id).with_for_update()
            )
            before = only(found.mappings().all(), "asset")
            changed = await connection.execute(
                update(assets)
                .where(assets.c.id == asset_id)
                .values(
                    state="ready",
                    error_code=None,
                    error_detail=None,
                    updated_at=now_ms(),
                    version=assets.c.version + 1,
                )
                .returning(*_ASSET)
            )
            asset = Asset(**changed.mappings().one())
            await announce_state(connection, before["state"], asset)
            return asset

        return await self._announcing(change)

    async def begin_attempt(self, asset_id: str) -> int:
        """Count an attempt at the asset before it begins; the count before. For us only: the version stays.

        Raises NotFound.
        """

        async def change(connection: AsyncConnection) -> int:
            counted = await connection.execute(
                update(assets)
                .where(assets.c.id == asset_id)
                .values(attempts=assets.c.attempts + 1)
                .returning(assets.c.attempts)
            )
            attempts: int = only(counted.mappings().all(), "asset")["attempts"]
            return attempts - 1

        return await self._write(change)

    async def end_attempt(self, asset_id: str, attempts: int = 0) -> None:
        """The attempt came to an end, whichever: `attempts` are counted from here on. Nothing for an asset unknown."""
        await self._write(
            lambda connection: connection.execute(
                update(assets).where(assets.c.id == asset_id).values(attempts=attempts)
            )
        )

    async def fail_asset(self, asset_id: str, error: MediaServiceError) -> Asset:
        """The asset as `failed`, with the error's code and sentence. Raises NotFound."""
        return await self.update_asset(
            asset_id, state="failed", error_code=error.code, error_detail=error.detail or error.title
        )

    async def delete_asset(self, asset_id: str) -> None:
        """Delete an asset with its renditions and segments. Raises NotFound."""

        async def change(connection: AsyncConnection) -> None:
            deleted = await connection.execute(
                delete(assets).where(assets.c.id == asset_id).returning(assets.c.id)
            )
            only(deleted.mappings().all(), "asset")

        await self._write(change)

    async def unfinished(self) -> list[Asset]:
        """The assets that still have work to be done, oldest first."""
        query = select(*_ASSET).where(assets.c.state.in_(["probing", "playable"]))
        return [Asset(**row) for row in await self._read(query.order_by(assets.c.created_at, assets.c.id))]

    async def asset_ids(self) -> set[str]:
        """The ids of all assets: what the sweeper must leave alone."""
        return {row["id"] for row in await self._read(select(assets.c.id))}

    async def _announcing(self, change: Callable[[AsyncConnection], Awaitable[Asset]]) -> Asset:
        """The result of a change that may have added deliveries; who sends them is woken."""
        try:
            return await self._write(change)
        finally:
            # Also when this caller is cancelled: the change goes on to its end.
            self.deliveries_added.set()


def _made_with(owner: str, idempotency_key: str) -> ColumnElement[bool]:
    return (assets.c.owner == owner) & (assets.c.idempotency_key == idempotency_key)


def _oldest_of_bytes(sha256: str, size: int) -> Select[tuple[Any, ...]]:
    query = select(*_ASSET).where(
        assets.c.sha256 == sha256, assets.c.size == size, assets.c.state != "failed"
    )
    return query.order_by(assets.c.created_at, assets.c.id).limit(1)
