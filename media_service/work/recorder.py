"""Records one rendition of a run: its segments are cut from ffmpeg's pipe, stored one by one, and handed on to be committed.

Each segment is a blob of its own, sealed before the catalog hears of it, so a viewer can fetch it the moment he is told.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterable, Callable

from media_service.errors import RunDiffers
from media_service.mp4.fragments import pack_samples
from media_service.mp4.init_segment import InitTrack, build_init
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import segment_key
from media_service.store.records import Segment
from media_service.timeline.outline import OutlineRendition
from media_service.work.commits import Commits
from media_service.work.segmenting import MadeSegment, Segmenter

log = logging.getLogger(__name__)


class Recorder:
    """Records what `segmenter` makes of a stream. `wanted(number)`: whether somebody waits for that segment."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: BlobStore,
        asset_id: str,
        segmenter: Segmenter,
        commits: Commits,
        wanted: Callable[[int], bool],
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._asset_id = asset_id
        self.segmenter = segmenter
        self._commits = commits
        self._wanted = wanted
        self._agreed = False

    @property
    def name(self) -> str:
        """The rendition's."""
        return self.segmenter.rendition.name

    async def record(self, chunks: AsyncIterable[bytes]) -> None:
        """Take the whole stream. Raises as `Segmenter.feed` does, RunDiffers, NotFound, StorageFull."""
        async for chunk in chunks:
            for made in self.segmenter.feed(chunk):
                await self._store(made)
            await self._agree()

    async def finish(self) -> None:
        """The run ended well: store what waited for that. Raises as `Segmenter.finish` does, and as `record`."""
        for made in self.segmenter.finish():
            await self._store(made)

    async def _agree(self) -> None:
        """As soon as the stream says what it is: see that it is what earlier runs were."""
        if self._agreed or self.segmenter.init is None:
            return
        await keep_init(self._catalog, self._asset_id, self.segmenter.rendition, self.segmenter.init)
        self._agreed = True

    async def _store(self, made: MadeSegment) -> None:
        await self._agree()
        digest = await asyncio.to_thread(lambda: made.digest)
        # Twins may have the very same bytes, and the loser's blob is deleted: it must not be the winner's.
        key = segment_key(self._asset_id, self.name, made.number, f"{digest}-{secrets.token_hex(4)}")
        async with await self._blobs.create(key) as writer:
            await writer.write(made.data)
            await writer.seal()
        segment = Segment(
            asset_id=self._asset_id,
            rendition=self.name,
            number=made.number,
            blob=key,
            digest=digest,
            size=len(made.data),
            payload_start=made.payload_start,
            iframe_size=made.iframe_size,
            begin_ticks=made.base_time,
            samples=pack_samples(made.samples),
        )
        self._commits.add(segment, urgent=self._wanted(made.number))


async def keep_init(catalog: Catalog, asset_id: str, rendition: OutlineRendition, track: InitTrack) -> bytes:
    """The rendition's init segment, which is that of `track` or has been before. Raises RunDiffers, NotFound."""
    init = build_init(track)
    if track.codec != rendition.codecs:
        log.warning(
            "%s of %s is %s, and was expected to be %s",
            rendition.name,
            asset_id,
            track.codec,
            rendition.codecs,
        )
    kept = await catalog.set_init(asset_id, rendition.name, init, track.codec)
    if kept != init:
        raise RunDiffers(f"The init segment of {rendition.name} is not the one that players have.")
    return kept
