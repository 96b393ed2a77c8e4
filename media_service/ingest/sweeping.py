"""What nobody comes back for: complete uploads that were not finished, and those that have expired."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from media_service.errors import MediaServiceError, NotFound
from media_service.ingest.appending import discard
from media_service.ingest.finishing import Digests
from media_service.ingest.holds import Holds
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import Upload

SWEEP_SECONDS = 5.0  # two questions to an index; after a crash, clients wait for the lease and this
# What could not be finished is tried again after this: a disk stays full for a while, and each attempt is a line in the log
# and may read the whole file. A client that asks need not wait for it.
REST_SECONDS = 60.0

log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps now and then between `start` and `end`. `finish` makes what it can of a complete upload, and logs failures."""

    def __init__(
        self,
        catalog: Catalog,
        blobs: BlobStore,
        holds: Holds,
        digests: Digests,
        *,
        finish: Callable[[Upload], Awaitable[object]],
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._holds = holds
        self._digests = digests
        self._finish = finish
        self._resting: dict[str, float] = {}  # until when, by the monotonic clock
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """At once, because a crash may have been before."""
        self._sweeping = asyncio.create_task(self._sweep_on(), name="sweeping uploads")

    async def end(self) -> None:
        """The service stops."""
        assert self._sweeping is not None
        self._sweeping.cancel()
        await asyncio.gather(self._sweeping, return_exceptions=True)

    async def sweep(self) -> None:
        """Finish what is complete and was not finished, and remove what has expired.

        Whatever goes wrong with one is tried again later, and does not keep the others waiting.
        """
        complete = await self._catalog.complete_uploads(now_ms())
        self._resting = {one: self._resting[one] for one in complete if one in self._resting}
        for upload_id in complete:
            if self._resting.get(upload_id, 0.0) <= monotonic():
                await self._take_up(upload_id)
        for upload_id in await self._catalog.expired_uploads(now_ms()):
            try:
                await self._expire(upload_id)
            except NotFound:
                continue  # somebody removed it
            except (MediaServiceError, OSError):
                log.exception("the upload %s has expired, and could not be removed", upload_id)

    async def _sweep_on(self) -> None:
        while True:
            try:
                await self.sweep()
            except (MediaServiceError, OSError):
                log.exception("sweeping uploads broke off; it goes on later")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _take_up(self, upload_id: str) -> None:
        (failure,) = await asyncio.gather(self._finish_one(upload_id), return_exceptions=True)
        if failure is not None:
            self._resting[upload_id] = monotonic() + REST_SECONDS

    async def _finish_one(self, upload_id: str) -> None:
        await self._finish(await self._catalog.upload(upload_id, None))

    async def _expire(self, upload_id: str) -> None:
        async with await self._holds.take(upload_id, None) as holding:
            if holding.upload.expires_at <= now_ms():  # nobody went on with it meanwhile
                log.info("the upload %s has expired", upload_id)
                await discard(holding, self._blobs, self._digests)
