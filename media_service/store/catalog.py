"""The catalog: assets, renditions, segments, previews, uploads, keys and webhooks in a SQL database. A change that returned survives a loss of power."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

from msgspec.structs import asdict
from sqlalchemy import URL, ColumnElement, Select, delete, insert, select, update

from media_service.errors import MediaServiceError
from media_service.store.api_keys import ApiKeys
from media_service.store.asynchronous import AsyncConnection
from media_service.store.changing import ASSET, change_asset
from media_service.store.clips import Clips
from media_service.store.database import Database, only
from media_service.store.engine import directory_of, open_engine
from media_service.store.event_log import EventLog
from media_service.store.exports import Exports
from media_service.store.generations import open_generations
from media_service.store.history import History, note
from media_service.store.listing import Listing, names_of
from media_service.store.made import Made
from media_service.store.models import assets
from media_service.store.previews import Previews
from media_service.store.records import Asset, AssetChanges, HistoryEntry
from media_service.store.renditions import Renditions, set_ready
from media_service.store.retrying import Retries
from media_service.store.uploads import Uploads, set_finished
from media_service.store.webhooks import Webhooks, announce


@asynccontextmanager
async def open_catalog(url: str | URL) -> AsyncIterator[Catalog]:
    """The catalog behind `url` (e.g. `store.engine.sqlite_url(path)`), its schema up to date; closed on exit.

    Raises migrations.NewerCatalog, errors.StorageFull, errors.CatalogUnavailable.
    """
    async with open_engine(url) as engine:
        with open_generations(directory_of(url)) as generations:
            database = Database(engine, generations)
            try:
                yield Catalog(database)
            finally:
                await database.finish()


class Catalog(
    Listing,
    Exports,
    Renditions,
    Made,
    Uploads,
    ApiKeys,
    Webhooks,
    Previews,
    Clips,
    EventLog,
    History,
    Retries,
):
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
                found = await connection.execute(select(*ASSET).where(_made_with(owner, idempotency_key)))
                for row in found.mappings():
                    return Asset(**row)
            if deduplicate:
                found = await connection.execute(_oldest_of_bytes(asset.sha256, asset.size))
                for row in found.mappings():
                    return Asset(**row)
            names = names_of(asset.title, asset.filename)
            keys = {"owner": owner or None, "idempotency_key": idempotency_key}
            await connection.execute(insert(assets).values(**asdict(asset), **names, **keys))
            await set_finished(connection, asset)
            arrived = HistoryEntry(at=asset.created_at, event="uploaded", detail=asset.filename)
            await note(connection, asset.id, [arrived])
            await announce(connection, "upload.finished", asset)
            return asset

        return await self._announcing(change, of=asset.id)

    async def asset(self, asset_id: str) -> Asset:
        """One asset. Raises NotFound."""
        rows = await self._read(select(*ASSET).where(assets.c.id == asset_id))
        return Asset(**only(rows, "asset"))

    async def asset_of_key(self, owner: str, idempotency_key: str | None) -> Asset | None:
        """The asset that the owner made with this key; None also without a key."""
        if idempotency_key is None:
            return None
        rows = await self._read(select(*ASSET).where(_made_with(owner, idempotency_key)))
        return Asset(**rows[0]) if rows else None

    async def asset_of_digest(self, sha256: str, size: int, *, failed_too: bool = False) -> Asset | None:
        """The oldest asset of these bytes that is not failed; with `failed_too` whatever became of it."""
        rows = await self._read(_oldest_of_bytes(sha256, size, failed_too=failed_too))
        return Asset(**rows[0]) if rows else None

    async def update_asset(self, asset_id: str, **changes: Unpack[AssetChanges]) -> Asset:
        """Change fields of an asset; its version grows by one. Raises NotFound, e.g. when it was deleted meanwhile."""

        return await self._announcing(
            lambda connection: change_asset(connection, asset_id, changes), of=asset_id
        )

    async def finish(self, asset_id: str, layouts: Mapping[str, bytes]) -> Asset:
        """All renditions are made: they are ready, with the packed layouts of their classic files, and so is the asset.

        What could not be made at first is there now: its error is gone. All of it happens or nothing: a viewer never meets
        a ready film with parts of a run that will be made again.
        Raises NotFound when the asset or one of the renditions was deleted meanwhile.
        """

        async def change(connection: AsyncConnection) -> Asset:
            for name, layout in layouts.items():
                await set_ready(connection, asset_id, name, layout)
            done: AssetChanges = {"state": "ready", "error_code": None, "error_detail": None}
            return await change_asset(connection, asset_id, done)

        return await self._announcing(change, of=asset_id)

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

        return await self._write(change, of=asset_id)

    async def end_attempt(self, asset_id: str, attempts: int = 0) -> None:
        """The attempt came to an end, whichever: `attempts` are counted from here on. Nothing for an asset unknown."""
        await self._write(
            lambda connection: connection.execute(
                update(assets).where(assets.c.id == asset_id).values(attempts=attempts)
            ),
            of=asset_id,
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

        await self._write(change, of=asset_id)

    async def unfinished(self) -> list[Asset]:
        """The assets that still have work to be done, oldest first."""
        query = select(*ASSET).where(assets.c.state.in_(["probing", "playable"]))
        return [Asset(**row) for row in await self._read(query.order_by(assets.c.created_at, assets.c.id))]

    async def asset_ids(self) -> set[str]:
        """The ids of all assets: what the sweeper must leave alone."""
        return {row["id"] for row in await self._read(select(assets.c.id))}

    async def _announcing(self, change: Callable[[AsyncConnection], Awaitable[Asset]], *, of: str) -> Asset:
        """The result of a change of that asset that may have added deliveries; who sends them is woken."""
        try:
            return await self._write(change, of=of)
        finally:
            # Also when this caller is cancelled: the change goes on to its end.
            self.deliveries_added.set()


def _made_with(owner: str, idempotency_key: str) -> ColumnElement[bool]:
    return (assets.c.owner == owner) & (assets.c.idempotency_key == idempotency_key)


def _oldest_of_bytes(sha256: str, size: int, *, failed_too: bool = False) -> Select[tuple[Any, ...]]:
    query = select(*ASSET).where(assets.c.sha256 == sha256, assets.c.size == size)
    if not failed_too:
        query = query.where(assets.c.state != "failed")
    return query.order_by(assets.c.created_at, assets.c.id).limit(1)
