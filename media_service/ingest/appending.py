"""One append to an upload: does it fit, take it, commit it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from time import monotonic
from typing import NamedTuple

from media_service.errors import (
    BeyondLength,
    ChecksumMismatch,
    DigestMismatch,
    InconsistentLength,
    MediaServiceError,
    NotFound,
    UploadQuota,
    UploadTooLarge,
)
from media_service.ingest.digests import BodyDigests
from media_service.ingest.finishing import Digests, digest_record
from media_service.ingest.holding import Holding
from media_service.ingest.holds import Holds, mismatch
from media_service.ingest.receiving import Receiving
from media_service.store.blobs import BlobCut, BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key
from media_service.store.records import Upload, UploadChanges
from media_service.wire.upload_requests import Append

# What others have is told about once a second, so looking more often would show nothing new.
LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class Bound(NamedTuple):
    """The most bytes that an upload may have, and the error of more."""

    size: int
    beyond: MediaServiceError


class Appender:
    """Appends to uploads that are held, of which none may have more than `max_bytes`, and one owner's `max_reserved_bytes`."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: BlobStore,
        holds: Holds,
        digests: Digests,
        *,
        max_bytes: int,
        max_reserved_bytes: int,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._holds = holds
        self._digests = digests
        self._max_bytes = max_bytes
        self._max_reserved_bytes = max_reserved_bytes

    async def append(self, holding: Holding, wish: Append, chunks: AsyncIterator[bytes]) -> None:
        """Take the body and commit what the upload is behind it; what is to be finished now is held on.

        Raises as `Uploads.append` does.
        """
        bound = await self._bound(holding.upload)
        if holding.upload.length is None:
            chunks = self._within_quota(holding, chunks)
        length = _checked_length(holding.upload, wish, bound)
        if length is not None:
            bound = _stated(length)
        if length != holding.upload.length:
            # Before the body: whoever loses the line has said it, and may not say it again (tus-js-client).
            await holding.commit({"length": length})
        size = await self._receive(holding, wish, bound, chunks)
        complete = size == length if wish.complete is None else wish.complete
        if complete and length is not None and size != length:
            raise InconsistentLength(f"The upload is to end with {size} bytes, and should have {length}.")
        changes: UploadChanges = {
            "offset": size,
            "length": size if complete else length,
            "complete": complete,
            "expires_at": self._holds.expiry(),
        }
        if wish.repr_digests:
            changes["repr_digests"] = digest_record(wish.repr_digests)
        if complete and holding.upload.concat == "":
            await holding.commit(changes)
        else:
            await holding.release(changes)

    async def _receive(
        self, holding: Holding, wish: Append, bound: Bound, chunks: AsyncIterator[bytes]
    ) -> int:
        """Take the body; how many bytes the upload has behind it, all durable."""
        upload = holding.upload
        try:
            growing = await self._blobs.grow(original_key(upload.id), upload.offset)
        except BlobCut:
            # An operator's doing. The draft wants the upload to be gone then (s4.1.1), so that the client begins anew.
            log.exception("bytes of the upload %s are gone", upload.id)
            await discard(holding, self._blobs, self._digests)
            raise NotFound("Bytes of this upload are gone; begin a new one.") from None
        async with growing as blob:
            receiving = Receiving(
                holding,
                blob,
                self._digests.of(upload),
                checks=BodyDigests(wish.checks.content),
                check_error=ChecksumMismatch if wish.checks.tus_checksum else DigestMismatch,
                limit=bound.size,
                beyond=bound.beyond,
            )
            try:
                return await receiving.receive(chunks)
            finally:
                self._digests.keep(upload.id, receiving.digest)

    async def _bound(self, upload: Upload) -> Bound:
        if upload.length is not None:
            return _stated(upload.length)
        # What has no length yet was not reserved when it began: it may take what the owner's others leave.
        room = await self._room(upload)
        if room < self._max_bytes:
            return Bound(room, _beyond_room(room))
        return Bound(self._max_bytes, too_large(self._max_bytes))

    async def _within_quota(self, holding: Holding, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body, as long as its owner's others leave room. Many that begin at once are promised the same room: so it is
        looked at again while they come. Raises UploadQuota."""
        looked = monotonic()
        async for chunk in chunks:
            if monotonic() - looked >= LOOK_SECONDS:
                room = await self._room(holding.upload)
                if (holding.upload.length or holding.received + len(chunk)) > room:
                    raise _beyond_room(room)
                looked = monotonic()
            yield chunk

    async def _room(self, upload: Upload) -> int:
        return self._max_reserved_bytes - await self._catalog.reserved_bytes(upload.owner, besides=upload.id)


def _beyond_room(room: int) -> UploadQuota:
    return UploadQuota(f"The other unfinished uploads leave room for {max(0, room)} bytes.")


def _stated(length: int) -> Bound:
    return Bound(length, BeyondLength(f"The upload has {length} bytes; the request goes on beyond them."))


def _checked_length(upload: Upload, wish: Append, bound: Bound) -> int | None:
    """The upload's length, if it is known by now. Raises an error when the request does not fit the upload."""
    if wish.offset != upload.offset:
        raise mismatch(upload.offset, wish.offset)
    length = upload.length
    if wish.length is not None:
        if wish.length < upload.offset or length not in {None, wish.length}:
            known = f"at least {upload.offset}" if length is None else str(length)
            raise InconsistentLength(f"The upload has {known} bytes, and the request says {wish.length}.")
        if wish.length > bound.size:
            raise bound.beyond
        length, bound = wish.length, _stated(wish.length)
    if wish.content_length is not None and upload.offset + wish.content_length > bound.size:
        raise bound.beyond
    return length


async def discard(holding: Holding, blobs: BlobStore, digests: Digests) -> None:
    """Forget the upload that is held and, unless an asset was made of them, its bytes."""
    await holding.delete()
    upload = holding.upload
    digests.forget(upload.id)
    if upload.asset_id != upload.id:
        await blobs.delete_tree(upload.id)


def too_large(max_bytes: int) -> UploadTooLarge:
    """The error of an upload that has more."""
    return UploadTooLarge(f"At most {max_bytes} bytes are accepted.")
