"""The part of the catalog that is what happened to each asset, for people who ask why it is as it is.

An entry is written in the very transaction in which it happens. Only the newest of each asset are kept, and none without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import delete, insert, select

from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import OnDatabase, only
from media_service.store.models import assets, history
from media_service.store.records import Asset, HistoryEntry, HistoryEvent

KEPT_ENTRIES = 200  # of each asset; a film that nobody touches has a dozen
MAX_DETAIL_CHARACTERS = 500  # what a converter says may go on for pages

# What `happened` compares.
WATCHED = [
    assets.c[name]
    for name in (
        "title",
        "state",
        "error_code",
        "error_detail",
        "visibility",
        "has_poster",
        "poster_time",
        "clip",
        "waveform",
    )
]
_Told = tuple[HistoryEvent, str | None, str | None]  # event, code, detail
_ENTRY = [history.c[name] for name in HistoryEntry.__struct_fields__]


class History(OnDatabase):
    """The methods of `store.catalog.Catalog` on what happened."""

    async def history(self, asset_id: str) -> list[HistoryEntry]:
        """What happened to an asset, oldest first, as far as it is kept. Raises NotFound."""
        query = select(*_ENTRY).where(history.c.asset_id == asset_id).order_by(history.c.number)
        if found := await self._read(query):
            return [HistoryEntry(**row) for row in found]
        only(await self._read(select(assets.c.id).where(assets.c.id == asset_id)), "asset")
        return []


async def note(connection: AsyncConnection, asset_id: str, entries: Sequence[HistoryEntry]) -> None:
    """In the transaction in which it happens: keep it, and of what is older no more than there is room for."""
    if not entries:
        return
    rows = [{**asdict(one), "asset_id": asset_id} for one in entries]
    for row in rows:
        if row["detail"] is not None:
            row["detail"] = row["detail"][:MAX_DETAIL_CHARACTERS]
    await connection.execute(insert(history), rows)
    of_it = history.c.asset_id == asset_id
    newest = select(history.c.number).where(of_it).order_by(history.c.number.desc())
    oldest_but_one = newest.limit(1).offset(KEPT_ENTRIES).scalar_subquery()
    await connection.execute(delete(history).where(of_it, history.c.number <= oldest_but_one))


def happened(before: Mapping[str, Any], asset: Asset) -> Iterator[HistoryEntry]:
    """What is worth telling of a change. `before`: the columns WATCHED as they were."""
    for event, code, detail in (
        *_of_state(before, asset),
        *_of_looks(before, asset),
        *_by_hand(before, asset),
    ):
        yield HistoryEntry(at=asset.updated_at, event=event, code=code, detail=detail)


def _of_state(before: Mapping[str, Any], asset: Asset) -> Iterator[_Told]:
    is_new = asset.state != before["state"]
    if is_new and asset.state == "playable":
        yield "playable", None, None
    if is_new and asset.state == "ready":
        yield "ready", None, None
    error = (asset.error_code, asset.error_detail)
    if asset.error_code is not None and (is_new or error != (before["error_code"], before["error_detail"])):
        yield "failed" if asset.state == "failed" else "incomplete", *error


def _of_looks(before: Mapping[str, Any], asset: Asset) -> Iterator[_Told]:
    if asset.has_poster and not before["has_poster"]:
        yield "poster", None, None
    if asset.clip and asset.clip != before["clip"]:
        yield "clip", None, None
    if asset.waveform and asset.waveform != before["waveform"]:
        yield "waveform", None, None


def _by_hand(before: Mapping[str, Any], asset: Asset) -> Iterator[_Told]:
    """What somebody changed, and what it is now."""
    if asset.title != before["title"]:
        yield "changed", None, f"Title: {asset.title}"
    if asset.visibility != before["visibility"]:
        yield "changed", None, f"Visibility: {asset.visibility or 'as the settings say'}"
    if asset.poster_time != before["poster_time"]:
        time = "chosen by the service" if asset.poster_time is None else f"{asset.poster_time:.3f} s"
        yield "changed", None, f"Poster: {time}"
