"""The part of the catalog that lets go of what went wrong with an asset, so that it can be tried again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, delete, select, update

from media_service.errors import NotFound, NothingToRetry
from media_service.store.asynchronous import AsyncConnection
from media_service.store.changing import ASSET, change_asset
from media_service.store.database import OnDatabase, only
from media_service.store.instants import now_ms
from media_service.store.models import assets, failures, previews, renditions
from media_service.store.records import Asset, HistoryEntry


class Retries(OnDatabase):
    """The methods of `store.catalog.Catalog` on trying again."""

    async def retry(self, asset_id: str, rendition: str | None = None) -> tuple[Asset, bool]:
        """Begin anew with an asset that is failed, or go on with one that lacks something: only with that `rendition`, if
        one is named. The asset as it is now, and whether anything was let go of: what is being made anyway stays as it is.

        All of it happens or nothing. Raises NotFound, also without the rendition; NothingToRetry where all is made.
        """

        async def change(connection: AsyncConnection) -> tuple[Asset, bool]:
            found = await connection.execute(select(*ASSET).where(assets.c.id == asset_id).with_for_update())
            asset = Asset(**only(found.mappings().all(), "asset"))
            if rendition is None:
                changes = await _begin_anew(connection, asset)
            else:
                changes = await _go_on_with(connection, asset, rendition)
            if changes is None:
                return asset, False
            await connection.execute(
                update(previews).where(previews.c.asset_id == asset_id).values(attempts=0)
            )
            changes |= {"attempts": 0, "clip_attempts": 0}
            entry = HistoryEntry(at=now_ms(), event="retried", detail=rendition)
            return await change_asset(connection, asset_id, changes, (entry,)), True

        return await self._write(change, of=asset_id)


_NO_ERROR = {"error_code": None, "error_detail": None}


async def _begin_anew(connection: AsyncConnection, asset: Asset) -> dict[str, Any] | None:
    """How the row of the asset is to be changed; None where nothing is to be let go of."""
    if asset.state == "ready":
        raise NothingToRetry("All of this film is made.")
    if asset.state == "failed":
        # Nothing of them plays. They come back with the next look at the film.
        await connection.execute(delete(renditions).where(renditions.c.asset_id == asset.id))
        return {"state": "probing", **_NO_ERROR}
    if asset.error_code is None:
        return None
    await _let_go(connection, asset.id, None)
    return dict(_NO_ERROR)


async def _go_on_with(connection: AsyncConnection, asset: Asset, name: str) -> dict[str, Any] | None:
    rows = select(renditions.c.name, renditions.c.state).where(renditions.c.asset_id == asset.id)
    states = {row.name: row.state for row in await connection.execute(rows)}
    if asset.state == "failed":
        # Also where whoever gave it up has not come to clear them away.
        raise NotFound("A film that failed has no renditions; try all of it again.")
    if name not in states:
        raise NotFound("There is no such rendition.")
    if states[name] == "ready":
        raise NothingToRetry("All of this rendition is made.")
    if states[name] != "failed":
        return None
    await _let_go(connection, asset.id, name)
    # What is said of the others is still true.
    return dict(_NO_ERROR) if list(states.values()).count("failed") == 1 else {}


async def _let_go(connection: AsyncConnection, asset_id: str, name: str | None) -> None:
    """What failed of the renditions, or of that one, may be tried again."""
    again = case((renditions.c.made_segments > 0, "encoding"), else_="queued")
    forgotten = delete(failures).where(failures.c.asset_id == asset_id)
    queued = update(renditions).where(renditions.c.asset_id == asset_id, renditions.c.state == "failed")
    if name is not None:
        forgotten = forgotten.where(failures.c.rendition == name)
        queued = queued.where(renditions.c.name == name)
    await connection.execute(forgotten)
    await connection.execute(queued.values(state=again))
