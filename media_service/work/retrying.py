"""Takes up films anew that were given up: all of one that failed, or what one that plays does without.

Nothing is remembered against them, neither in the catalog nor in this process: what broke it may be mended by now, be it the
disk, the memory or the converter.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import segments_tree
from media_service.store.records import Asset
from media_service.work.going import Going
from media_service.work.inits import Inits
from media_service.work.tasks import Tasks


class Retrier:
    """Asks for it, one at a time of each film."""

    def __init__(
        self, *, catalog: Catalog, blobs: BlobStore, going: Going, inits: Inits, tasks: Tasks
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._going = going
        self._inits = inits
        self._tasks = tasks
        self._alone: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def retry(self, asset_id: str, rendition: str | None = None) -> Asset:
        """The film as it is from here on, with its work in the queue; of one that is being made, only that it need not wait.

        Raises NotFound, NothingToRetry, StorageFull.
        """
        async with self._alone.setdefault(asset_id, asyncio.Lock()):
            before = await self._catalog.asset(asset_id)
            if rendition is None and before.state == "failed":
                # Whoever has just given it up may still be clearing away.
                await self._tasks.stop(asset_id)
            asset, let_go = await self._catalog.retry(asset_id, rendition)
            if let_go:
                self._inits.forgive(asset_id)
                self._going.forgive(asset_id)
                self._tasks.forgive(asset_id)
            if before.state == "failed" and let_go:
                await self._blobs.delete_tree(segments_tree(asset_id))
                # After that: of what a viewer had begun meanwhile, a blob may be gone.
                await self._going.forget(asset_id)
            self._tasks.submit(asset_id)
            return asset
