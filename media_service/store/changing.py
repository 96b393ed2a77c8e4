"""How the row of an asset is changed: with its version, and with all who are told of it, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import only
from media_service.store.history import WATCHED, happened, note
from media_service.store.instants import now_ms
from media_service.store.listing import names_of
from media_service.store.models import assets
from media_service.store.records import Asset, HistoryEntry
from media_service.store.webhooks import announce_state

ASSET = [assets.c[name] for name in Asset.__struct_fields__]


async def change_asset(
    connection: AsyncConnection,
    asset_id: str,
    changes: Mapping[str, Any],
    entries: tuple[HistoryEntry, ...] = (),
) -> Asset:
    """The asset with these columns changed. `entries` come before what its history tells of that. Raises NotFound."""
    found = await connection.execute(
        select(*WATCHED, assets.c.filename).where(assets.c.id == asset_id).with_for_update()
    )
    before = only(found.mappings().all(), "asset")
    title = changes.get("title", before["title"])
    filename = changes.get("filename", before["filename"])
    changed = await connection.execute(
        update(assets)
        .where(assets.c.id == asset_id)
        .values(
            **changes,
            **names_of(title, filename),
            updated_at=now_ms(),
            version=assets.c.version + 1,
        )
        .returning(*ASSET)
    )
    asset = Asset(**changed.mappings().one())
    await announce_state(connection, before["state"], asset)
    await note(connection, asset_id, [*entries, *happened(before, asset)])
    return asset
