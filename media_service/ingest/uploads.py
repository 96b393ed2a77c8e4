"""Resumable uploads, whatever protocol they come by: begun, appended to, asked for, given up, finished.

An upload's id is the id that its asset will have, and its bytes grow in the very blob that the asset will be served from:
nothing is copied at the end. Who may write is a matter of `holds`, how bytes become durable one of `receiving`, what becomes
of a complete upload one of `finishing`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from media_service.errors import (
    BeyondLength,
    FinalUpload,
    InconsistentLength,
    InvalidRequest,
    MediaServiceError,
    NotFound,
    StorageFull,
    UploadEnded,
)
from media_service.ingest.appending import Appender, discard, too_large
from media_service.ingest.beginning import new_upload, unless_made
from media_service.ingest.finishing import Digests, Finisher
from media_service.ingest.holding import Holding
from media_service.ingest.holds import Holds, mismatch
from media_service.ingest.pipeline import Admission
from media_service.ingest.sweeping import Sweeper
from media_service.store.blobs import DISK_MARGIN_BYTES, BlobStore
from media_service.store.catalog import Catalog
from media_service.store.disk import to_its_end
from media_service.store.instants import now_ms
from media_service.store.records import Upload
from media_service.wire.upload_requests import Append, Creation


class Uploads:
    """The resumable uploads of one server; an async context manager. Limits are bytes, but for `max_open`, per owner."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: BlobStore,
        admission: Admission,
        max_bytes: int,
        max_open: int,
        max_reserved_bytes: int,
        expires_seconds: int,
    ) -> None:
        self.max_bytes = max_bytes
        self.expires_seconds = expires_seconds
        self._catalog = catalog
        self._blobs = blobs
        self._max_open = max_open
        self._max_reserved_bytes = max_reserved_bytes
        self._holds = Holds(catalog, expires_seconds=expires_seconds)
        self._digests = Digests()
        self._finisher = Finisher(
            catalog=catalog, blobs=blobs, admission=admission, holds=self._holds, digests=self._digests
        )
        self._appender = Appender(
            catalog,
            blobs,
            self._holds,
            self._digests,
            max_bytes=max_bytes,
            max_reserved_bytes=max_reserved_bytes,
        )
        self._sweeper = Sweeper(catalog, blobs, self._holds, self._digests, finish=self.outcome)

    async def __aenter__(self) -> Self:
        self._sweeper.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sweeper.end()
        await self._finisher.end()

    def stop(self) -> None:
        """The service stops: whoever sends is told to go on later, with all kept that has come."""
        self._holds.stop()

    async def create(
        self, owner: str, wish: Creation, chunks: AsyncIterator[bytes], *, idempotency_key: str | None = None
    ) -> Upload:
        """A new upload with what its body brings; or, when the owner has begun one with this key before, that one.

        Raises UploadTooLarge, UploadQuota, StorageFull, InvalidRequest for parts that cannot be put together,
        InconsistentLength for the key of another file, and whatever `append` does. Without a key a creation that fails is
        forgotten: nobody ever learned its id.
        """
        final = wish.concat == "final"
        parts = await self._parts(owner, wish.parts)
        length = sum(part.offset for part in parts) if final else wish.length
        if length is not None and length > self.max_bytes:
            raise too_large(self.max_bytes)
        if final and idempotency_key is None:
            # Who lost the answer asks again for the same parts, whose bytes have moved on by then. No client can send a key
            # that begins with a space.
            idempotency_key = f" {hashlib.sha256(wish.concat_header.encode()).hexdigest()}"
        upload = new_upload(
            owner, wish, length=length, idempotency_key=idempotency_key, expires_at=self._holds.expiry()
        )
        upload = await unless_made(self._catalog, upload)
        try:
            known = await self._catalog.add_upload(
                upload, max_open=self._max_open, max_reserved_bytes=self._max_reserved_bytes, now=now_ms()
            )
            if known.id != upload.id or known.state == "finished":
                return await self.outcome(_same(known, length))
            await self._check_new(upload, parts)
            if final:
                return await self.outcome(upload)
            if not wish.has_content and not wish.complete and length != 0:
                return upload
            append = Append(
                dialect=wish.dialect, offset=0, complete=wish.complete, length=length, checks=wish.checks
            )
            return await self.append(upload.id, owner, append, chunks)
        except BaseException:
            if idempotency_key is None:
                with suppress(MediaServiceError):
                    await to_its_end(self.cancel(upload.id, owner))
            raise

    async def append(self, upload_id: str, owner: str, wish: Append, chunks: AsyncIterator[bytes]) -> Upload:
        """The upload behind the bytes of `chunks`, and, when they are the last, behind its finishing.

        Raises NotFound, OffsetMismatch, InconsistentLength, BeyondLength, UploadTooLarge, UploadEnded, FinalUpload,
        UploadTakenOver, ShuttingDown, ChecksumMismatch, DigestMismatch, StorageFull, and what `chunks` raises. What came
        before an error is kept, but for a body with a checksum.
        """
        before = await self.look(upload_id, owner)
        if before.concat == "final":
            raise FinalUpload("This upload is put together from others; nothing can be appended to it.")
        if _is_over(before):
            return await self._again(before, wish)
        async with AsyncExitStack() as stack:
            holding = await stack.enter_async_context(
                await self._holds.take(upload_id, owner, at=wish.offset)
            )
            if not _is_over(holding.upload):
                return await self._append(holding, stack, wish, chunks)
        return await self._again(holding.upload, wish)

    async def _append(
        self, holding: Holding, stack: AsyncExitStack, wish: Append, chunks: AsyncIterator[bytes]
    ) -> Upload:
        try:
            await self._appender.append(holding, wish, chunks)
        except BeyondLength:
            if wish.dialect == "ietf":  # the draft wants it deactivated (s4.4.2)
                await discard(holding, self._blobs, self._digests)
            raise
        if holding.upload.state == "open" and holding.upload.complete and holding.upload.concat == "":
            return await asyncio.shield(self._finisher.start(holding, stack.pop_all()))
        return holding.upload

    async def outcome(self, upload: Upload) -> Upload:
        """The upload behind its finishing, if it is complete: that of the finishing under way, or of one begun now."""
        if upload.state != "open" or not upload.complete or upload.concat == "partial":
            return upload
        running = self._finisher.running(upload.id)
        if running is None:
            async with AsyncExitStack() as stack:
                holding = await stack.enter_async_context(await self._holds.take(upload.id, upload.owner))
                if holding.upload.state != "open":
                    return holding.upload
                running = self._finisher.start(holding, stack.pop_all())
        return await asyncio.shield(running)

    async def retrieve(self, upload_id: str, owner: str) -> Upload:
        """The upload, its offset settled: whoever still writes to it commits and leaves. Raises NotFound, Busy."""
        await self.look(upload_id, owner)
        return await self._holds.vacate(upload_id, owner)

    async def look(self, upload_id: str, owner: str) -> Upload:
        """The upload as it is committed, without disturbing who writes to it. Raises NotFound, also once it has expired."""
        upload = await self._catalog.upload(upload_id, owner)
        if upload.expires_at <= now_ms():
            raise NotFound("This upload has expired; begin a new one.")
        return upload

    async def cancel(self, upload_id: str, owner: str) -> None:
        """Forget the upload and, unless an asset was made of them, its bytes. Raises NotFound, Busy."""
        async with await self._holds.take(upload_id, owner) as holding:
            await discard(holding, self._blobs, self._digests)

    async def _again(self, upload: Upload, wish: Append) -> Upload:
        """An append to what has all its bytes: who lost the answer may ask once more, with an empty body."""
        if wish.offset != upload.offset:
            raise mismatch(upload.offset, wish.offset)
        if wish.content_length != 0:
            raise UploadEnded("All of the upload has arrived; nothing can be appended to it.")
        return await self.outcome(upload)

    async def _check_new(self, upload: Upload, parts: Sequence[Upload]) -> None:
        """Of a new one only: who asks again for one that has come needs no room, and means the parts that it was made of.

        Raises InvalidRequest, StorageFull, and forgets it, with a key or without.
        """
        problem: MediaServiceError | None = None
        if used := next((part for part in parts if part.state != "open"), None):
            problem = InvalidRequest(
                f"The upload {used.id} was put together with others before; its bytes are gone."
            )
        elif self._blobs.free_bytes() < (upload.length or 0) + DISK_MARGIN_BYTES:
            problem = StorageFull("There is not enough room left to keep this file.")
        if problem is not None:
            await self.cancel(upload.id, upload.owner)
            raise problem

    async def _parts(self, owner: str, ids: Sequence[str]) -> list[Upload]:
        """What is to be put together (tus, Concatenation). Raises InvalidRequest."""
        parts = []
        for part_id in ids:
            try:
                part = await self.look(part_id, owner)
            except NotFound:
                raise InvalidRequest(f"There is no upload {part_id}.") from None
            if part.concat != "partial" or part.offset != part.length:
                raise InvalidRequest(f"The upload {part_id} is not a partial one that has all its bytes.")
            parts.append(part)
        return parts


def _same(known: Upload, length: int | None) -> Upload:
    """The upload that was begun with the key before. Raises InconsistentLength for a file that it cannot be."""
    if None not in {length, known.length} and length != known.length:
        raise InconsistentLength(
            f"The Idempotency-Key is that of an upload of {known.length} bytes; this one has {length}."
        )
    return known


def _is_over(upload: Upload) -> bool:
    """Whether nothing can be appended any more."""
    return upload.complete or upload.state != "open"
