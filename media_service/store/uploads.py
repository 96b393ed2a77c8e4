"""The part of the catalog that is about resumable uploads: how far they are, and which request may write them.

Any server may take the next request of an upload, so who writes is held here: a request takes the hold with a token of its
own and a lease, and each change of it proves in the same statement that the hold is still its own. One that crashed is
forgotten when its lease ends; one that only was slow finds its hold lost, and what it then says has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, delete, func, insert, literal, or_, select, update

from media_service.errors import UploadQuota
from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import OnDatabase, only
from media_service.store.instants import now_ms
from media_service.store.models import assets, uploads
from media_service.store.records import Asset, Upload, UploadChanges

# An upload's length, or what has arrived while that is not known.
_RESERVED = func.coalesce(func.sum(func.coalesce(uploads.c.length, uploads.c.offset)), 0)
_RELEASED = {"holder": None, "held_until": 0, "wanted": False}


class HoldLost(Exception):
    """The upload is another request's by now, or gone: nothing of this change happened."""


class Uploads(OnDatabase):
    """The methods of `store.catalog.Catalog` on uploads. `now` and `until` are Unix milliseconds."""

    async def add_upload(self, upload: Upload, *, max_open: int, max_reserved_bytes: int, now: int) -> Upload:
        """Add a new upload, whose id must be new; or, when its owner's key is a live one's, that one.

        Raises UploadQuota when its owner would have more open ones than `max_open`, or more than `max_reserved_bytes` bytes
        in them. What is reserved is an upload's length, or what has arrived while that is not known.
        """

        async def change(connection: AsyncConnection) -> Upload:
            if upload.idempotency_key is not None:
                await _free_key(connection, upload, now)
                found = await connection.execute(select(uploads).where(_of_key(upload)))
                for row in found.mappings():
                    return Upload(**row)
            if upload.state == "open":  # of one whose asset is there already nothing will come
                await _check_quota(connection, upload, max_open, max_reserved_bytes)
            await connection.execute(insert(uploads).values(asdict(upload)))
            return upload

        return await self._write(change, of=None)

    async def upload(self, upload_id: str, owner: str | None) -> Upload:
        """One upload, also an expired one. Raises NotFound, also for one of another owner's than `owner`; None has all."""
        rows = await self._read(select(uploads).where(_of(upload_id, owner)))
        return Upload(**only(rows, "upload"))

    async def hold_upload(
        self, upload_id: str, owner: str | None, holder: str, *, now: int, until: int, ask: bool = True
    ) -> Upload | None:
        """Take the hold, if nobody has it or the lease is over: the upload as it is then.

        Else None, and with `ask` the one who has it is told that it is wanted. Raises NotFound as `upload` does.
        """

        async def change(connection: AsyncConnection) -> Upload | None:
            taken = await connection.execute(
                update(uploads)
                .where(_of(upload_id, owner), _unheld(now))
                .values(holder=holder, held_until=until, wanted=False)
                .returning(*uploads.c)
            )
            for row in taken.mappings():
                return Upload(**row)
            asked = await connection.execute(
                update(uploads)
                .where(_of(upload_id, owner))
                .values(wanted=or_(uploads.c.wanted, literal(ask)))
                .returning(uploads.c.id)
            )
            only(asked.mappings().all(), "upload")
            return None

        return await self._write(change, of=None)

    async def renew_hold(
        self, upload_id: str, holder: str, *, until: int, offset: int, expires_at: int
    ) -> bool:
        """Say how far the upload has come, and hold it on; whether somebody else wants it. Raises HoldLost."""
        held = await self._change(
            upload_id, holder, {"held_until": until, "offset": offset, "expires_at": expires_at}
        )
        return held.wanted

    async def release_upload(self, upload_id: str, holder: str, **changes: Unpack[UploadChanges]) -> Upload:
        """Change the upload and leave it to others. Raises HoldLost."""
        return await self._change(upload_id, holder, {**changes, **_RELEASED})

    async def set_upload(self, upload_id: str, holder: str, **changes: Unpack[UploadChanges]) -> Upload:
        """Change the upload and hold it on. Raises HoldLost."""
        return await self._change(upload_id, holder, {**changes})

    async def delete_upload(self, upload_id: str, holder: str) -> None:
        """Forget the upload. Raises HoldLost."""

        async def change(connection: AsyncConnection) -> None:
            deleted = await connection.execute(
                delete(uploads).where(_held(upload_id, holder)).returning(uploads.c.id)
            )
            if deleted.first() is None:
                raise HoldLost(upload_id)

        await self._write(change, of=None)

    async def reserved_bytes(self, owner: str, *, besides: str) -> int:
        """The bytes in the owner's open uploads, but for one, as `add_upload` counts them."""
        query = select(_RESERVED.label("bytes")).where(_open_of(owner), uploads.c.id != besides)
        reserved: int = (await self._read(query))[0]["bytes"]
        return reserved

    async def expired_uploads(self, now: int) -> list[str]:
        """The ids of those that have expired and that nobody holds, oldest first."""
        query = select(uploads.c.id).where(uploads.c.expires_at <= now, _unheld(now))
        return [row["id"] for row in await self._read(query.order_by(uploads.c.expires_at))]

    async def complete_uploads(self, now: int) -> list[str]:
        """The ids of those that are all there, that nobody holds, and of which an asset is still to be made; oldest first.

        Nothing is made of one that is only a part of another (tus, Concatenation).
        """
        query = select(uploads.c.id).where(
            uploads.c.state == "open", uploads.c.complete, uploads.c.concat != "partial", _unheld(now)
        )
        return [row["id"] for row in await self._read(query.order_by(uploads.c.created_at))]

    async def upload_ids(self) -> set[str]:
        """The ids of those whose bytes must be kept: what the sweeper must leave alone."""
        rows = await self._read(select(uploads.c.id).where(uploads.c.state == "open"))
        return {row["id"] for row in rows}

    async def _change(self, upload_id: str, holder: str, values: Mapping[str, object]) -> Upload:
        async def change(connection: AsyncConnection) -> Upload:
            changed = await connection.execute(
                update(uploads)
                .where(_held(upload_id, holder))
                .values(updated_at=now_ms(), **values)
                .returning(*uploads.c)
            )
            for row in changed.mappings():
                return Upload(**row)
            raise HoldLost(upload_id)

        return await self._write(change, of=None)


def _of(upload_id: str, owner: str | None) -> ColumnElement[bool]:
    found = uploads.c.id == upload_id
    return found if owner is None else found & (uploads.c.owner == owner)


def _open_of(owner: str) -> ColumnElement[bool]:
    return (uploads.c.state == "open") & (uploads.c.owner == owner)


def _held(upload_id: str, holder: str) -> ColumnElement[bool]:
    # Not asked whether the lease is over: as long as nobody else has taken it, what the holder says is true.
    return (uploads.c.id == upload_id) & (uploads.c.holder == holder)


def _unheld(now: int) -> ColumnElement[bool]:
    return or_(uploads.c.holder.is_(None), uploads.c.held_until <= now)


def _of_key(upload: Upload) -> ColumnElement[bool]:
    return (uploads.c.owner == upload.owner) & (uploads.c.idempotency_key == upload.idempotency_key)


async def set_finished(connection: AsyncConnection, asset: Asset) -> None:
    """The upload whose bytes are the asset's, if there is one, is finished, whoever holds it."""
    made = {"state": "finished", "asset_id": asset.id, "sha256": asset.sha256}
    await connection.execute(update(uploads).where(uploads.c.id == asset.id).values(made))


async def _free_key(connection: AsyncConnection, upload: Upload, now: int) -> None:
    """Take the key from an upload that came to nothing: expired, rejected, or its asset was deleted."""
    there = select(assets.c.id).where(assets.c.id == uploads.c.asset_id)
    deleted = (uploads.c.state == "finished") & ~there.exists()
    over = or_(uploads.c.expires_at <= now, uploads.c.state == "rejected", deleted)
    await connection.execute(update(uploads).where(_of_key(upload), over).values(idempotency_key=None))


async def _check_quota(
    connection: AsyncConnection, upload: Upload, max_open: int, max_reserved_bytes: int
) -> None:
    query = select(func.count().label("count"), _RESERVED.label("bytes"))
    found = await connection.execute(query.where(_open_of(upload.owner)))
    there = found.mappings().one()
    if there["count"] >= max_open:
        raise UploadQuota(f"There are {there['count']} unfinished uploads; {max_open} are allowed.")
    wanted = upload.offset if upload.length is None else upload.length
    if there["bytes"] + wanted > max_reserved_bytes:
        raise UploadQuota(
            f"The unfinished uploads have {there['bytes']} bytes; with this one's {wanted} it would be more than the"
            f" {max_reserved_bytes} that are allowed."
        )
