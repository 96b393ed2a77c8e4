"""From a complete upload to what became of it: an asset, or a file that cannot be used.

It is the service's own task, not the request's: a client that loses its line behind the last byte has done its part. What a
crash or a full disk cut short is taken up again later, from the catalog alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import AsyncExitStack, suppress
from functools import partial

import msgspec

from media_service.errors import DigestMismatch, EmptyUpload, MediaRejected, NotFound, StorageFull
from media_service.ingest.digests import FileDigest
from media_service.ingest.holding import Holding
from media_service.ingest.holds import Holds
from media_service.ingest.pipeline import Admission, Label
from media_service.store.blobs import DISK_MARGIN_BYTES, BlobCut, BlobStore, GrowingBlob
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key
from media_service.store.records import Asset, Upload
from media_service.wire.upload_metadata import read_concat, visibility_of

COPY_BYTES = 1 << 20
# Digests of uploads that go on are kept in memory, some 400 bytes each; one that is forgotten is computed again.
MAX_DIGESTS = 4096

log = logging.getLogger(__name__)


class Digests:
    """The running digests of unfinished uploads; those used longest ago go first."""

    def __init__(self) -> None:
        self._running: OrderedDict[str, FileDigest] = OrderedDict()

    def of(self, upload: Upload) -> FileDigest:
        """The digest of what the upload has, or a new one."""
        running = self._running.pop(upload.id, None)
        # One that has seen bytes that were not committed is of no use, nor one that another server has left behind.
        return running if running is not None and running.position == upload.offset else FileDigest()

    def keep(self, upload_id: str, digest: FileDigest) -> None:
        """Until the next request."""
        self._running[upload_id] = digest
        if len(self._running) > MAX_DIGESTS:
            self._running.popitem(last=False)

    def forget(self, upload_id: str) -> None:
        """The upload is over."""
        self._running.pop(upload_id, None)


class Grown:
    """A `pipeline.Arrived`: the blob of an upload that is complete."""

    def __init__(self, upload: Upload, blob: GrowingBlob, digest: FileDigest) -> None:
        self.asset_id = upload.id
        self.size = blob.size
        self.sha256 = ""
        self._blob = blob
        self._digest = digest

    @property
    def fd(self) -> int:
        """See `Arrived.fd`."""
        return self._blob.fd

    async def finish(self) -> None:
        """See `Arrived.finish`."""
        if self.size == 0:
            raise EmptyUpload("The file has no content; choose another one.")
        self.sha256 = await self._digest.catch_up(self.fd, self.size)

    async def keep(self) -> None:
        """See `Arrived.keep`."""
        await self._blob.seal()

    def disown(self) -> None:
        """Nothing to be done: `Finisher` removes the bytes of whatever is not the upload's own asset."""


class Finisher:
    """Finishes uploads in the background."""

    def __init__(
        self, *, catalog: Catalog, blobs: BlobStore, admission: Admission, holds: Holds, digests: Digests
    ) -> None:
        self._catalog = catalog
        self._holds = holds
        self._blobs = blobs
        self._admission = admission
        self._digests = digests
        self._running: dict[str, asyncio.Task[Upload]] = {}

    def running(self, upload_id: str) -> asyncio.Task[Upload] | None:
        """The task that finishes the upload, if there is one."""
        return self._running.get(upload_id)

    def start(self, holding: Holding, stack: AsyncExitStack) -> asyncio.Task[Upload]:
        """Finish the upload that `holding` holds; `stack` ends the holding, and is this task's from now on."""
        upload_id = holding.upload.id
        task = asyncio.create_task(self._finish(holding, stack), name=f"finishing {upload_id}")
        self._running[upload_id] = task
        task.add_done_callback(partial(self._done, upload_id))
        return task

    async def end(self) -> None:
        """The service stops: what is not finished is finished after the next start."""
        while tasks := list(self._running.values()):
            await asyncio.sleep(0)  # one that is cancelled before it has begun would not end its holding
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, upload_id: str, task: asyncio.Task[Upload]) -> None:
        del self._running[upload_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Also when a request hears of it: the request may be gone. It is tried again.
            log.warning(
                "the upload %s could not be finished now: %s: %s", upload_id, type(error).__name__, error
            )

    async def _finish(self, holding: Holding, stack: AsyncExitStack) -> Upload:
        async with stack:
            upload = holding.upload
            try:
                asset = await self._asset(holding)
            except (MediaRejected, DigestMismatch) as error:
                await holding.release(
                    {"state": "rejected", "error_code": error.code, "error_detail": error.detail}
                )
            except (BlobCut, NotFound):
                # Bytes that were acknowledged are not there any more (an operator's doing, or a part that was deleted): the
                # draft wants the upload to be gone then (s4.1.1), so that the client begins anew.
                log.exception("the bytes of the upload %s are gone", upload.id)
                await holding.delete()
                self._digests.forget(upload.id)
                await self._blobs.delete_tree(upload.id)
                raise NotFound("The bytes of this upload are gone; begin a new one.") from None
            else:
                await holding.release({"state": "finished", "asset_id": asset.id, "sha256": asset.sha256})
            self._digests.forget(upload.id)
            await self._clear(holding.upload)
        return holding.upload

    async def _asset(self, holding: Holding) -> Asset:
        upload = holding.upload
        try:
            return await self._catalog.asset(upload.id)  # a crash came between the asset and the upload's end
        except NotFound:
            pass
        if upload.concat == "final" and upload.offset != upload.length:
            await self._put_together(holding)
            upload = holding.upload
        digest = self._digests.of(upload)
        async with await self._blobs.grow(original_key(upload.id), upload.offset) as blob:
            label = Label(
                filename=upload.filename,
                title=upload.title,
                visibility=visibility_of(upload.metadata),
                owner=upload.owner,
                idempotency_key=upload.idempotency_key,
                digests=read_digest_record(upload.repr_digests),
            )
            try:
                return await self._admission.admit(Grown(upload, blob, digest), label)
            finally:
                self._digests.keep(upload.id, digest)  # who tries again need not read 20 GB again

    async def _put_together(self, holding: Holding) -> None:
        """Copy the parts, one behind the other (tus, Concatenation)."""
        upload = holding.upload
        assert upload.length is not None
        if self._blobs.free_bytes() < upload.length + DISK_MARGIN_BYTES:  # others came since it was begun
            raise StorageFull("There is not enough room left to put the parts together.")
        digest = FileDigest()
        async with await self._blobs.grow(original_key(upload.id), 0) as blob:
            try:
                await self._copy(read_concat(upload.concat_header)[1], blob, digest)
            except StorageFull:
                await blob.cut(0)  # half a copy is of no use, and others need the room
                raise
            if blob.size != upload.length:
                raise BlobCut(f"the parts of {upload.id} have {blob.size} bytes, not {upload.length}")
            await blob.sync()
            await holding.commit({"offset": blob.size})
        self._digests.keep(upload.id, digest)

    async def _copy(self, parts: tuple[str, ...], blob: GrowingBlob, digest: FileDigest) -> None:
        for part in parts:
            async with await self._blobs.open(original_key(part)) as reader:
                for start in range(0, reader.size, COPY_BYTES):
                    piece = bytes(await reader.read(start, min(start + COPY_BYTES, reader.size)))
                    await asyncio.gather(blob.write(piece), asyncio.to_thread(digest.update, piece))

    async def _clear(self, upload: Upload) -> None:
        """Remove the bytes that no asset has, and those of the parts: they would fill the disk until they expire."""
        if upload.asset_id != upload.id:
            await self._blobs.delete_tree(upload.id)
        if upload.concat == "final":
            for part in set(read_concat(upload.concat_header)[1]):
                await self._use_up(part, upload)

    async def _use_up(self, part: str, final: Upload) -> None:
        """Its record stays: a client that lost the answer asks for the parts, and then for the final upload again."""
        with suppress(NotFound):
            async with await self._holds.take(part, final.owner) as holding:
                await holding.release({"state": final.state, "asset_id": final.asset_id})
                await self._blobs.delete_tree(part)


def digest_record(digests: tuple[tuple[str, bytes], ...]) -> bytes:
    """What `Upload.repr_digests` holds."""
    return msgspec.json.encode(digests) if digests else b""


def read_digest_record(record: bytes) -> tuple[tuple[str, bytes], ...]:
    """The digests in `Upload.repr_digests`."""
    return msgspec.json.decode(record, type=tuple[tuple[str, bytes], ...]) if record else ()
