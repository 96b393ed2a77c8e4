"""The part of the catalog that is about clips and waveforms: of which assets they are still to be made."""

from __future__ import annotations

from sqlalchemy import select, update

from media_service.store.database import OnDatabase
from media_service.store.models import assets


class Clips(OnDatabase):
    """The methods of `store.catalog.Catalog` on clips and waveforms. What there is, `update_asset` says."""

    async def without_clips(self, most_attempts: int) -> list[str]:
        """The assets that play and whose clip or waveform was not made nor given up, the newest first.

        Not those of which that was begun so often and came to no end.
        """
        query = select(assets.c.id).where(
            assets.c.state.in_(["playable", "ready"]),
            assets.c.clip.is_(None) | assets.c.waveform.is_(None),
            assets.c.clip_attempts < most_attempts,
        )
        return [
            row["id"] for row in await self._read(query.order_by(assets.c.created_at.desc(), assets.c.id))
        ]

    async def begin_clips(self, asset_id: str) -> None:
        """An attempt begins; nothing happens when there is no such asset."""
        more = update(assets).values(clip_attempts=assets.c.clip_attempts + 1)
        await self._write(
            lambda connection: connection.execute(more.where(assets.c.id == asset_id)), of=asset_id
        )

    async def end_clips(self, asset_id: str) -> None:
        """The attempt came to an end, whatever it was: the service did not end with it."""
        none = update(assets).values(clip_attempts=0)
        await self._write(
            lambda connection: connection.execute(none.where(assets.c.id == asset_id)), of=asset_id
        )
