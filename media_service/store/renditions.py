"""The part of the catalog that is about what is made of assets: renditions, their segments, and what could not be made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Unpack

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, delete, insert, select, update

from media_service.errors import MediaServiceError
from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import OnDatabase, only
from media_service.store.history import note
from media_service.store.instants import now_ms
from media_service.store.models import assets, failures, renditions, segments
from media_service.store.records import (
    Failure,
    HistoryEntry,
    HistoryEvent,
    InitPlace,
    Rendition,
    RenditionChanges,
    Segment,
    SegmentPlace,
)

# A layout has a hundred kilobytes for a film of three hours, and one reader.
_RENDITION = [column for column in renditions.c if column.name != "layout"]


class Renditions(OnDatabase):
    """The methods of `store.catalog.Catalog` on renditions, segments and failures."""

    async def put_renditions(self, asset_id: str, outlined: Sequence[Rendition]) -> None:
        """In place of all that the asset had: these, without any segment. Raises NotFound without the asset."""

        async def change(connection: AsyncConnection) -> None:
            owner = select(assets.c.id).where(assets.c.id == asset_id)
            # The share lock (PostgreSQL) keeps the asset from being deleted before the renditions are in.
            found = await connection.execute(owner.with_for_update(read=True, key_share=True))
            only(found.mappings().all(), "asset")
            await connection.execute(delete(renditions).where(renditions.c.asset_id == asset_id))
            if outlined:
                await connection.execute(insert(renditions), [asdict(one) for one in outlined])

        await self._write(change, of=asset_id)

    async def update_rendition(
        self, asset_id: str, name: str, **changes: Unpack[RenditionChanges]
    ) -> Rendition:
        """Change fields of a rendition. Raises NotFound."""

        async def change(connection: AsyncConnection) -> Rendition:
            before = select(renditions.c.state).where(_of(asset_id, name)).with_for_update()
            was = await connection.scalar(before)
            changed = await connection.execute(
                # Without changes the row is still proved to be there.
                update(renditions)
                .where(_of(asset_id, name))
                .values(name=name, **changes)
                .returning(*_RENDITION)
            )
            rendition = Rendition(**only(changed.mappings().all(), "rendition"))
            if rendition.state == "failed" != was:
                await note(connection, asset_id, [_entry("rendition_failed", name)])
            return rendition

        return await self._write(change, of=asset_id)

    async def renditions(self, asset_id: str) -> list[Rendition]:
        """The renditions of an asset in the order of its outline. None for an asset unknown."""
        return (await self.renditions_of([asset_id]))[asset_id]

    async def renditions_of(self, asset_ids: Sequence[str]) -> dict[str, list[Rendition]]:
        """The renditions of several assets by asset id, in one query; a page of the list needs them."""
        found: dict[str, list[Rendition]] = {asset_id: [] for asset_id in asset_ids}
        query = select(*_RENDITION).where(renditions.c.asset_id.in_(asset_ids))
        for row in await self._read(query.order_by(renditions.c.position)):
            found[row["asset_id"]].append(Rendition(**row))
        return found

    async def set_init(self, asset_id: str, name: str, init: bytes, codecs: str) -> bytes:
        """The init segment of a rendition: this one, or the one that was there before. Raises NotFound."""

        async def change(connection: AsyncConnection) -> bytes:
            await connection.execute(
                update(renditions)
                .where(_of(asset_id, name), renditions.c.init.is_(None))
                .values(init=init, codecs=codecs)
            )
            found = await connection.execute(select(renditions.c.init).where(_of(asset_id, name)))
            kept: bytes = only(found.mappings().all(), "rendition")["init"]
            return kept

        return await self._write(change, of=asset_id)

    async def init_of(self, asset_id: str, name: str) -> bytes | None:
        """The init segment of a rendition; None until an encoder has said it. Raises NotFound."""
        rows = await self._read(select(renditions.c.init).where(_of(asset_id, name)))
        init: bytes | None = only(rows, "rendition")["init"]
        return init

    async def init_place(self, asset_id: str, name: str) -> InitPlace:
        """The same for a viewer, with what his right to it depends on. Raises NotFound, also without the asset."""
        query = select(renditions.c.init, assets.c.visibility).join_from(renditions, assets)
        return InitPlace(**only(await self._read(query.where(_of(asset_id, name))), "rendition"))

    async def rendition_layout(self, asset_id: str, name: str) -> bytes:
        """The packed layout of a ready rendition's classic file. Raises NotFound for one that has none (yet), too."""
        query = select(renditions.c.layout).where(_of(asset_id, name), renditions.c.layout.is_not(None))
        layout: bytes = only(await self._read(query), "finished rendition")["layout"]
        return layout

    async def add_segments(self, added: Sequence[Segment]) -> set[int]:
        """Add segments of one rendition; the numbers that are new. Of twins the first stays, and the others are not added.

        All or nothing. Raises NotFound without the rendition.
        """
        if not added:
            return set()
        asset_id, name = added[0].asset_id, added[0].rendition

        async def change(connection: AsyncConnection) -> set[int]:
            await _lock(connection, asset_id, name)
            numbers = [one.number for one in added]
            there = await connection.scalars(
                select(segments.c.number).where(
                    segments.c.asset_id == asset_id,
                    segments.c.rendition == name,
                    segments.c.number.in_(numbers),
                )
            )
            fresh = {one.number: one for one in added}
            for number in there:
                del fresh[number]
            if fresh:
                await connection.execute(insert(segments), [asdict(one) for one in fresh.values()])
                counted = await connection.execute(
                    update(renditions)
                    .where(_of(asset_id, name))
                    .values(made_segments=renditions.c.made_segments + len(fresh))
                    .returning(renditions.c.made_segments, renditions.c.segments)
                )
                made, count = counted.one()
                if made == count:
                    await note(connection, asset_id, [_entry("rendition", name)])
                await connection.execute(
                    update(renditions)
                    .where(_of(asset_id, name), renditions.c.state == "queued")
                    .values(state="encoding")
                )
            return set(fresh)

        return await self._write(change, of=asset_id)

    async def segments(self, asset_id: str, rendition: str) -> list[Segment]:
        """The segments of a rendition by number, whole: to put them together."""
        query = select(segments).where(segments.c.asset_id == asset_id, segments.c.rendition == rendition)
        return [Segment(**row) for row in await self._read(query.order_by(segments.c.number))]

    async def segment_blobs(self, asset_id: str) -> set[str]:
        """The blobs of all stored segments: what a sweeper must leave alone."""
        return {
            blob
            for (blob,) in await self._rows(select(segments.c.blob).where(segments.c.asset_id == asset_id))
        }

    async def sizes(self, asset_id: str, rendition: str) -> list[tuple[int, int, int]]:
        """Number, size and `iframe_size` (bytes) of the stored segments of a rendition, by number."""
        query = select(segments.c.number, segments.c.size, segments.c.iframe_size).where(
            segments.c.asset_id == asset_id, segments.c.rendition == rendition
        )
        return [
            (number, size, iframe)
            for number, size, iframe in await self._rows(query.order_by(segments.c.number))
        ]

    async def segment_of(self, asset_id: str, rendition: str, number: int) -> SegmentPlace:
        """Where a segment lies: players ask for little else. Raises NotFound, also without the asset."""
        columns = (segments.c.blob, segments.c.digest, segments.c.size, assets.c.visibility)
        query = select(*columns).join_from(segments, assets, segments.c.asset_id == assets.c.id)
        query = query.where(
            segments.c.asset_id == asset_id,
            segments.c.rendition == rendition,
            segments.c.number == number,
        )
        return SegmentPlace(**only(await self._read(query), "segment"))

    async def count_failure(
        self, asset_id: str, names: Iterable[str], number: int, error: MediaServiceError
    ) -> int:
        """One more attempt at this segment of these renditions has failed; the most that any of them has had by now.

        Raises NotFound when the asset was deleted.
        """

        async def change(connection: AsyncConnection) -> int:
            most = 0
            for name in names:
                await _lock(connection, asset_id, name)
                key = (
                    (failures.c.asset_id == asset_id)
                    & (failures.c.rendition == name)
                    & (failures.c.number == number)
                )
                said = {"code": error.code, "detail": error.detail or error.title}
                counted = await connection.scalar(
                    update(failures)
                    .where(key)
                    .values(attempts=failures.c.attempts + 1, **said)
                    .returning(failures.c.attempts)
                )
                if counted is None:
                    counted = 1
                    await connection.execute(
                        insert(failures).values(
                            asset_id=asset_id, rendition=name, number=number, attempts=counted, **said
                        )
                    )
                most = max(most, counted)
            return most

        return await self._write(change, of=asset_id)

    async def failures(self, asset_id: str) -> dict[tuple[str, int], Failure]:
        """What failed, by rendition and segment, however often."""
        rows = await self._read(select(failures).where(failures.c.asset_id == asset_id))
        return {
            (row["rendition"], row["number"]): Failure(
                attempts=row["attempts"], code=row["code"], detail=row["detail"]
            )
            for row in rows
        }

    async def forget_failures(self, asset_id: str) -> None:
        """What failed may be tried again."""
        await self._write(
            lambda connection: connection.execute(delete(failures).where(failures.c.asset_id == asset_id)),
            of=asset_id,
        )


def _entry(event: HistoryEvent, name: str) -> HistoryEntry:
    return HistoryEntry(at=now_ms(), event=event, detail=name)


def _of(asset_id: str, name: str) -> ColumnElement[bool]:
    return (renditions.c.asset_id == asset_id) & (renditions.c.name == name)


async def _lock(connection: AsyncConnection, asset_id: str, name: str) -> None:
    """Those who change the same rendition meet one after the other. Raises NotFound."""
    query = update(renditions).where(_of(asset_id, name)).values(name=name).returning(renditions.c.name)
    only((await connection.execute(query)).mappings().all(), "rendition")


async def set_ready(connection: AsyncConnection, asset_id: str, name: str, layout: bytes) -> None:
    """Mark a rendition as finished. Raises NotFound."""
    changed = await connection.execute(
        update(renditions)
        .where(_of(asset_id, name))
        .values(state="ready", layout=layout)
        .returning(renditions.c.name)
    )
    only(changed.mappings().all(), "rendition")
