"""The part of the catalog that is about previews: of each film at most one pack, the densest that is made by now."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, RowMapping, delete, insert, not_, select, update
from sqlalchemy.exc import IntegrityError

from media_service.errors import NotFound
from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import OnDatabase, only
from media_service.store.history import note
from media_service.store.instants import now_ms
from media_service.store.models import assets, previews
from media_service.store.records import HistoryEntry, PreviewsSummary
from media_service.timeline.previews import Pack, longest_us, pack_tiles, unpack_tiles

_SAID = ("version", "width", "height", "header_size", "complete", "film_us")
_NOTHING = {
    "version": "",
    "width": 0,
    "height": 0,
    "header_size": 0,
    "complete": False,
    "film_us": 0,
    "count": 0,
    "tiles": b"",
    "attempts": 1,
    "swept": True,
}


class Previews(OnDatabase):
    """The methods of `store.catalog.Catalog` on packs."""

    async def pack_of(self, asset_id: str) -> Pack | None:
        """The asset's pack; None while it has none, and for an asset unknown."""
        rows = await self._read(select(previews).where(_of(asset_id), previews.c.count > 0))
        return _pack(rows[0]) if rows else None

    async def pack_state(self, asset_id: str) -> tuple[str, bool] | None:
        """The pack's version and whether it is complete, without its tiles; None as `pack_of`."""
        query = select(previews.c.version, previews.c.complete).where(_of(asset_id), previews.c.count > 0)
        rows = await self._read(query)
        return (rows[0]["version"], rows[0]["complete"]) if rows else None

    async def keep_pack(self, asset_id: str, pack: Pack) -> None:
        """The asset has this pack from now on, and no other, and tells of it. Raises NotFound when it was deleted meanwhile.

        The blob of another one that it had before is left to be swept; no attempts are counted any more.
        """
        values = {name: getattr(pack, name) for name in _SAID} | {
            "asset_id": asset_id,
            "count": len(pack.tiles),
            "tiles": pack_tiles(pack.tiles),
            "attempts": 0,
        }
        summary = msgspec.json.encode(
            PreviewsSummary(
                count=len(pack.tiles),
                width=pack.width,
                height=pack.height,
                longest_us=longest_us(pack),
                complete=pack.complete,
            )
        )

        async def change(connection: AsyncConnection) -> None:
            gone = await connection.execute(
                delete(previews).where(_of(asset_id)).returning(previews.c.version, previews.c.swept)
            )
            before = [
                row for row in gone.mappings() if row["version"] not in {"", pack.version} or not row["swept"]
            ]
            changed = await connection.execute(
                update(assets)
                .where(assets.c.id == asset_id)
                .values(previews=summary, updated_at=now_ms(), version=assets.c.version + 1)
                .returning(assets.c.id)
            )
            only(changed.mappings().all(), "asset")
            await connection.execute(insert(previews).values(**values, swept=not before))
            if pack.complete:
                count = len(pack.tiles)
                made = HistoryEntry(
                    at=now_ms(), event="previews", detail=f"{count} picture{'s' * (count != 1)}"
                )
                await note(connection, asset_id, [made])

        await self._write(change, of=asset_id)

    async def set_swept(self, asset_id: str, version: str) -> None:
        """No blob of another pack is left; nothing happens when the asset has another one by now."""
        await self._write(
            lambda connection: connection.execute(
                update(previews).where(_of(asset_id), previews.c.version == version).values(swept=True)
            ),
            of=asset_id,
        )

    async def begin_pack(self, asset_id: str) -> int:
        """An attempt at a pack, or at a denser one, begins; how many did since it last grew. Raises NotFound."""

        async def change(connection: AsyncConnection) -> int:
            counted = await connection.execute(
                update(previews)
                .where(_of(asset_id))
                .values(attempts=previews.c.attempts + 1)
                .returning(previews.c.attempts)
            )
            for attempts in counted.scalars():
                return int(attempts) - 1
            await connection.execute(insert(previews).values(**_NOTHING, asset_id=asset_id))
            return 0

        try:
            return await self._write(change, of=asset_id)
        except IntegrityError:
            # Only the asset can be lacking: it was deleted, and with it its row here.
            raise NotFound("There is no such asset.") from None

    async def end_pack(self, asset_id: str, attempts: int) -> None:
        """The attempt came to an end that says nothing about the film: so many are counted from here on."""
        await self._write(
            lambda connection: connection.execute(
                update(previews).where(_of(asset_id)).values(attempts=attempts)
            ),
            of=asset_id,
        )

    async def lacking_packs(self, most_attempts: int) -> list[str]:
        """The assets with a picture whose pack is not complete or swept, oldest first, and those without any.

        Not those of which that was tried so often already.
        """
        done = previews.c.complete & previews.c.swept
        query = (
            select(assets.c.id)
            .outerjoin(previews, previews.c.asset_id == assets.c.id)
            .where(
                assets.c.state.in_(["playable", "ready"]),
                assets.c.width.is_not(None),
                previews.c.asset_id.is_(None) | (not_(done) & (previews.c.attempts < most_attempts)),
            )
            .order_by(assets.c.created_at, assets.c.id)
        )
        return [row["id"] for row in await self._read(query)]


def _of(asset_id: str) -> ColumnElement[bool]:
    return previews.c.asset_id == asset_id


def _pack(row: RowMapping) -> Pack:
    return Pack(**{name: row[name] for name in _SAID}, tiles=unpack_tiles(row["tiles"]))
