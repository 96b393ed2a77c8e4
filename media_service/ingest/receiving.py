"""One request's body into an upload's blob: written as it comes, durable soon after, told only then.

The blob is synced about once a second and at the end, however the end comes: the body is whole, the client has gone,
nothing came for too long, somebody else wants to write, the service stops, the disk is full. Only then the catalog, and
with it a client, hears of the bytes. A body with a checksum is all or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from media_service.errors import MediaServiceError
from media_service.ingest.digests import BodyDigests, FileDigest
from media_service.ingest.holding import TAKEN_OVER, Holding
from media_service.ingest.pieces import Pieces
from media_service.store.blobs import BlobTaken, GrowingBlob
from media_service.store.disk import to_its_end

# What one upload holds in memory, twice for a moment. Small enough for hundreds, large enough that the hops to threads
# (about 50 us each) cost little.
PIECE_BYTES = 512 << 10
SYNC_SECONDS = 1.0


class Receiving:
    """Writes one body behind the bytes that `blob` has, which are those of `holding.upload.offset`.

    `limit` is the most bytes that the upload may have in all, `beyond` the error of more. `digest` goes along. With `checks`
    nothing is committed before the body is whole and right; `check_error` is raised if it is not.
    """

    def __init__(
        self,
        holding: Holding,
        blob: GrowingBlob,
        digest: FileDigest,
        *,
        checks: BodyDigests,
        check_error: type[MediaServiceError],
        limit: int,
        beyond: MediaServiceError,
    ) -> None:
        self._holding = holding
        self._blob = blob
        self._digest = digest
        self._before = digest.copy() if checks else digest
        self._start = blob.size
        self._checks = checks
        self._check_error = check_error
        self._limit = limit
        self._beyond = beyond
        self._pending = Pieces(PIECE_BYTES)
        self._writing = asyncio.Lock()
        self._synced = blob.size
        self._failure: Exception | None = None

    @property
    def digest(self) -> FileDigest:
        """The digest of all that the blob has now."""
        return self._digest

    async def receive(self, chunks: AsyncIterator[bytes]) -> int:
        """All of the body; how many bytes the upload has behind it, all durable.

        Raises what `chunks` raises, `holding.leave` when it was asked to leave, StorageFull, `beyond`, and the error of the
        checks. What had come by then is durable and stays, but for a body with checks.
        """
        tasks = [
            asyncio.create_task(self._read(chunks), name="receiving"),
            asyncio.create_task(self._holding.asked.wait(), name="asked to leave"),
        ]
        whole = False
        try:
            await self._attend(tasks)
            whole = True
        finally:
            await to_its_end(self._settle(tasks, whole=whole))
        if self._failure is not None:
            raise self._failure
        return self._blob.size

    async def _attend(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Sync now and then until the body has ended."""
        reading, asked = tasks
        while True:
            await asyncio.wait({reading, asked}, timeout=SYNC_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
                return
            if asked.done():
                raise self._holding.leave
            if self._failure is not None:
                raise self._failure
            if not self._checks and all(task.done() for task in tasks[2:]):
                tasks[2:] = [asyncio.create_task(self._sync(), name="syncing")]

    async def _read(self, chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            if self._holding.asked.is_set():
                raise self._holding.leave  # who asked counts on the bytes that there were
            if self._holding.received + len(chunk) > self._limit:
                raise self._beyond
            self._holding.received += len(chunk)
            if self._pending.add(chunk):
                await self._flush()
                if self._failure is not None:
                    raise self._failure

    async def _sync(self) -> None:
        await self._flush()
        if self._blob.size == self._synced:
            return
        with self._remembering():
            self._synced = await self._blob.sync()
            self._holding.synced(self._synced)

    async def _flush(self) -> None:
        """Write what is pending, unless something before it is lost: then it is of no use."""
        async with self._writing:
            piece = self._pending.take()
            if piece and self._failure is None and not self._holding.lost:
                await to_its_end(self._write(piece))

    async def _write(self, piece: bytes) -> None:
        """Write and digest at the same time: each takes a core for about as long."""
        keeps_up = self._digest.position == self._blob.size
        with self._remembering():
            write = asyncio.ensure_future(self._blob.write(piece))
            try:
                await asyncio.to_thread(self._hash, piece, file_too=keeps_up)
            finally:
                await write

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """A failure within is for the end to tell: a cancellation that comes meanwhile must not hide it."""
        try:
            yield
        except BlobTaken:
            self._failure = self._failure or TAKEN_OVER  # by whom the lease went to
        except (MediaServiceError, OSError) as error:
            self._failure = self._failure or error

    def _hash(self, piece: bytes, *, file_too: bool) -> None:
        if file_too:
            self._digest.update(piece)
        self._checks.update(piece)

    async def _settle(self, tasks: list[asyncio.Task[Any]], *, whole: bool) -> None:
        """The end, whichever: what is to stay is durable."""
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._flush()
        if not self._checks or (whole and self._is_right()):
            await self._sync()
        else:
            self._digest = self._before
            with self._remembering():
                await self._blob.cut(self._start)
        if self._digest.position > self._synced:
            self._digest = FileDigest()  # it has seen bytes that did not last
        self._holding.received = self._blob.size

    def _is_right(self) -> bool:
        if self._failure is None:
            try:
                self._checks.check(self._check_error)
            except MediaServiceError as error:
                self._failure = error
        return self._failure is None
