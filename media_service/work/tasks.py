"""What has to be done for assets, and when: index, then fill; take up again after a crash; remove.

What is left to do follows from the catalog alone, so a process may die at any moment: `resume` finds the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Self

from media_service.errors import (
    CatalogUnavailable,
    ConverterKilled,
    MediaServiceError,
    NotFound,
    StorageFull,
    TranscodeCrashed,
)
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import first_version_tree
from media_service.store.records import Asset
from media_service.work.clips import CLIPPERS, ClipMaker
from media_service.work.embedded import EmbeddedQueue
from media_service.work.events import Events
from media_service.work.extras import Extras
from media_service.work.going import OUR_MISTAKE, Going
from media_service.work.indexing import Indexer
from media_service.work.previewing import MAX_ATTEMPTS as MOST_PREVIEWING
from media_service.work.previewing import Previewer
from media_service.work.queue import Queue
from media_service.work.sweeping import sweep, unknown_segments
from media_service.work.transcoding import Transcoder
from media_service.work.waveforms import WaveformMaker

# As many as anybody uploads at once: what is dear in it waits its turn in the indexer, and what is short goes past.
INDEXERS = 100
# How long work waits for somebody to make room on a full disk: at first, and at most. A transcode that runs into the same
# wall each minute would do nothing but wear the disk.
RETRY_SECONDS = 60.0
LONGEST_RETRY_SECONDS = 900.0
# How long a transcode waits for previews, poster and subtitles, which in turn may wait for those of others' hostile films.
MOST_HELD_UP_SECONDS = 10.0
# An attempt that ends with the process (out of memory, mostly) is made again, but not for ever: the service must come up.
MAX_ATTEMPTS = 3
CRASHED = TranscodeCrashed(f"It was tried {MAX_ATTEMPTS} times; each time the whole service ended with it.")

log = logging.getLogger(__name__)


class Tasks:
    """The background work of one service; an async context manager that ends it all on exit."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: BlobStore,
        events: Events,
        indexer: Indexer,
        extras: Extras,
        previewer: Previewer,
        clips: ClipMaker,
        waveforms: WaveformMaker,
        transcoder: Transcoder,
        going: Going,
        transcode_workers: int,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._events = events
        self._indexer = indexer
        self._extras = extras
        self._previewer = previewer
        self._clips = clips
        self._waveforms = waveforms
        self._transcoder = transcoder
        self._going = going
        going.got_on = self._got_on
        # An asset that is ready is not taken up again after a crash, so all else must be there by then.
        self._preparing: set[str] = set()
        transcoder.may_close = lambda asset_id: asset_id not in self._preparing
        self._transcoding = EmbeddedQueue("transcoding", self._transcode, workers=transcode_workers)
        if not transcoder.ahead:
            going.advanced = self._transcoding.add  # it may have been the last that was lacking
        # One at a time, beside the transcodes and more patient than they are.
        self._previewing = EmbeddedQueue("previewing", self._preview, workers=1)
        # Apart from that: a film's previews do not wait until all of another's sound is heard.
        self._clipping = EmbeddedQueue("clipping", self._clip, workers=CLIPPERS)
        self._indexing = EmbeddedQueue("indexing", self._index, workers=INDEXERS)
        # How often something outside ended the work for an asset since it last got on.
        self._kills: Counter[str] = Counter()
        self._waits: dict[str, float] = {}  # what had no room, and how long it waits for some (s)
        self._sweeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._indexing.__aexit__(kind, error, trace)
        await self._transcoding.__aexit__(kind, error, trace)
        await self._previewing.__aexit__(kind, error, trace)
        await self._clipping.__aexit__(kind, error, trace)
        await self._previewer.__aexit__(kind, error, trace)
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def resume(self) -> None:
        """Take up every asset that is not finished, and begin to sweep what a crash left behind.

        To be called before uploads are accepted: a tree without an asset is left over only as long as nothing new comes.
        What belongs to an open upload is left to its client, who goes on with it.
        """
        trees = await self._blobs.trees()
        # In this order: an upload that is finished meanwhile is seen as the one, the other or both.
        known = await self._catalog.upload_ids()
        known |= await self._catalog.asset_ids()
        trees = [tree for tree in trees if tree not in known]
        blobs: list[str] = []
        unfinished = await self._catalog.unfinished()
        # Those that are unfinished get theirs when they have been looked at, if they are at all.
        looked_at = {asset.id for asset in unfinished}
        for asset_id in await self._catalog.lacking_packs(MOST_PREVIEWING):
            if asset_id not in looked_at:
                self._previewing.add(asset_id)
        for asset_id in await self._catalog.without_clips(MAX_ATTEMPTS):
            if asset_id not in looked_at:
                self._clipping.add(asset_id)
        for asset in unfinished:
            if await self._blobs.keys(first_version_tree(asset.id)):
                trees.append(first_version_tree(asset.id))
            blobs += await unknown_segments(self._catalog, self._blobs, asset.id)
            if asset.attempts >= MAX_ATTEMPTS:
                log.error("%s took the service down %d times: it is left alone", asset.id, asset.attempts)
                await self._transcoder.give_up(asset.id, CRASHED)
            else:
                log.info("taking up %s again (%s)", asset.id, asset.state)
                await self._catalog.forget_failures(asset.id)  # the memory, ffmpeg or we may be better by now
                self.submit(asset.id)
        # In the background: hundreds of gigabytes take a disk minutes, and nobody waits for them to go.
        self._sweeping = asyncio.create_task(sweep(self._blobs, trees, blobs), name="sweeping")

    def submit(self, asset_id: str) -> None:
        """A new asset, or one to be taken up again: do for it what its state asks for."""
        self.announce(asset_id)
        self._indexing.add(asset_id)

    def announce(self, asset_id: str) -> None:
        """Tell all listeners that the asset has changed."""
        self._events.publish("asset", asset_id)

    async def remove(self, asset_id: str) -> None:
        """Delete an asset and all that was made of it. Raises NotFound."""
        await self._catalog.delete_asset(asset_id)
        # The row is gone first: from here on nothing new starts for it, and a crash leaves only a tree to sweep.
        await self.stop(asset_id)
        await self._blobs.delete_tree(asset_id)
        self._events.publish("deleted", asset_id)

    async def stop(self, asset_id: str) -> None:
        """End all that is being made of an asset, and forget what was."""
        queues: tuple[Queue, ...] = (self._indexing, self._previewing, self._clipping, self._transcoding)
        for queue in queues:
            await queue.cancel(asset_id)
        await self._going.forget(asset_id)
        self._preparing.discard(asset_id)
        self.forgive(asset_id)

    def forgive(self, asset_id: str) -> None:
        """Nothing is held against the asset any more."""
        self._waits.pop(asset_id, None)
        self._got_on(asset_id)

    def _got_on(self, asset_id: str) -> None:
        """More of the asset is made than before: it is not what gets everything killed."""
        self._kills.pop(asset_id, None)

    async def _index(self, asset_id: str) -> None:
        self._preparing.add(asset_id)
        async with self._judged(self._indexing, asset_id):
            plays = await self._index_now(asset_id)
            self._preparing.discard(asset_id)
            if plays:
                self._transcoding.add(asset_id)

    async def _transcode(self, asset_id: str) -> None:
        async with self._judged(self._transcoding, asset_id):
            try:
                await self._catalog.begin_attempt(asset_id)
            except NotFound:
                log.info("%s was deleted before it was made", asset_id)
                return
            try:
                await self._transcoder.transcode(asset_id)
            finally:
                await self._catalog.end_attempt(asset_id)

    async def _preview(self, asset_id: str) -> None:
        try:
            await self._previewer.make(asset_id)
        except NotFound:
            log.info("%s was deleted before its previews were made", asset_id)
            return
        except ConverterKilled as error:
            log.warning("%s has to do with the previews that there are: %s", asset_id, error)
        except (StorageFull, CatalogUnavailable) as error:
            log.warning("the previews of %s have to wait: %s", asset_id, error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._previewing.add, asset_id)
        except Exception:  # as in `_preview_first`: the clip does not depend on them either
            log.exception("%s has to do with the previews that there are", asset_id)
        self._clipping.add(asset_id)

    async def _clip(self, asset_id: str) -> None:
        try:
            asset = await self._catalog.asset(asset_id)
            await self._catalog.begin_clips(asset_id)
            try:
                if await self._clips.make(asset):
                    self.announce(asset_id)
                if await self._waveforms.make(asset):
                    self.announce(asset_id)
            finally:
                await self._catalog.end_clips(asset_id)
        except NotFound:
            log.info("%s was deleted before its clip was made", asset_id)
        except (StorageFull, CatalogUnavailable) as error:
            log.warning("the clip of %s has to wait: %s", asset_id, error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._clipping.add, asset_id)

    @asynccontextmanager
    async def _judged(self, queue: Queue, asset_id: str) -> AsyncIterator[None]:
        """What to do with errors that are not the film's."""
        try:
            yield
            self.forgive(asset_id)
        except (StorageFull, CatalogUnavailable, ConverterKilled) as error:
            self._kills[asset_id] += isinstance(error, ConverterKilled)
            if self._kills[asset_id] >= MAX_ATTEMPTS:
                self._preparing.discard(asset_id)
                await self._transcoder.give_up(asset_id, error)
                return
            # Somebody will make room, or mend the disk, or end what took the memory: the work is taken up again later.
            wait = self._waits.get(asset_id, RETRY_SECONDS)
            self._waits[asset_id] = min(2 * wait, LONGEST_RETRY_SECONDS)
            log.warning("%s has to wait: %s; trying again in %.0f s", asset_id, error, wait)
            asyncio.get_running_loop().call_later(wait, queue.add, asset_id)
        except Exception:
            # A mistake of ours. The queue logs it; whoever waits for the film must not wait forever.
            self._preparing.discard(asset_id)
            with suppress(NotFound):
                await self._transcoder.give_up(asset_id, MediaServiceError(OUR_MISTAKE))
            raise

    async def _index_now(self, asset_id: str) -> bool:
        """Look at the film, and make what comes before its transcode; whether there is anything to be transcoded."""
        try:
            asset = await self._catalog.asset(asset_id)
            if asset.state == "probing":
                asset = await self._index_counted(asset)
            if asset.state == "failed":
                return False
            go_ahead = partial(self._transcoding.add, asset_id)
            late = asyncio.get_running_loop().call_later(MOST_HELD_UP_SECONDS, go_ahead)
            try:
                await self._preview_first(asset)
                self._previewing.add(asset_id)
                await self._extras.make(asset)
            finally:
                late.cancel()
        except NotFound:
            log.info("%s was deleted while it was looked at", asset_id)
            return False
        return True

    async def _preview_first(self, asset: Asset) -> None:
        """A few previews, if they can be had: nothing else depends on them. Raises NotFound, StorageFull, CatalogUnavailable."""
        try:
            await self._previewer.begin(asset)
        except (NotFound, StorageFull, CatalogUnavailable):
            raise
        except Exception:  # a mistake of ours, or too many open files: the film plays without them
            log.exception("%s has no first previews", asset.id)

    async def _index_counted(self, asset: Asset) -> Asset:
        before = await self._catalog.begin_attempt(asset.id)
        try:
            return await self._indexer.index(asset)
        finally:
            # Not 0: what crashes in its transcode was looked at in good order before.
            await self._catalog.end_attempt(asset.id, before)
