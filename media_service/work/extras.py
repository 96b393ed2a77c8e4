"""What a film has besides its renditions: a poster, and its subtitles as text. Made once it is playable: nobody waits for it.

A film of which one of them cannot be made is no worse a film.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from media_service.errors import ConverterKilled, NotFound, TranscodeFailed
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import PROBE_LIMITS, Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.store.blobs import BlobReader, BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key, subtitles_key
from media_service.store.records import Asset
from media_service.work.events import Events
from media_service.work.keeping import keep
from media_service.work.outlines import Outlines
from media_service.work.posters import Posters

log = logging.getLogger(__name__)

# Text of a whole film has a hundred kilobytes. To find it all of the file may have to be read, and it may begin at the end.
SUBTITLES_LIMITS = msgspec.structs.replace(
    PROBE_LIMITS, cpu_seconds=600.0, wall_seconds=600.0, stall_seconds=600.0, output_bytes=16 << 20
)
# One scan (or reading of subtitles) and one poster at the same time, each of which may take PROBE_LIMITS' memory: part of the
# sum in docs/settings.md. A scan reads a whole file at the disk's speed, so a second one beside it would make both slower;
# posters, which are short, do not wait for scans.
LOOKERS = 2


class Extras:
    """Makes them. `scanning` is held while all of a file is read."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: BlobStore,
        outlines: Outlines,
        events: Events,
        limits: Limits,
        scanning: asyncio.Semaphore,
        posters: Posters,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._outlines = outlines
        self._events = events
        self._limits = limits
        self._scanning = scanning
        self._posters = posters

    async def make(self, asset: Asset) -> None:
        """Make what is lacking. Raises NotFound when the asset is deleted meanwhile, StorageFull."""
        await self._posters.make(asset.id)
        for track in (await self._outlines.of(asset.id)).subtitles:
            if track.convertible and not await self._is_there(subtitles_key(asset.id, track.number)):
                await self._make_subtitles(asset, track.number, track.stream)

    async def _make_subtitles(self, asset: Asset, number: int, stream: int) -> None:
        limits = SUBTITLES_LIMITS.within(self._limits)
        async with self._scanning, await self._blobs.open(original_key(asset.id)) as original:
            argv = recipes.subtitles(source_fd=original.fd, stream=stream, limits=limits)
            text = await _output(asset, f"subtitles {number}", argv, limits, original)
        if text:
            await keep(self._blobs, subtitles_key(asset.id, number), text)
            self._events.publish("asset", asset.id)

    async def _is_there(self, key: str) -> bool:
        try:
            async with await self._blobs.open(key):
                return True
        except NotFound:
            return False


async def _output(asset: Asset, what: str, argv: list[str], limits: Limits, original: BlobReader) -> bytes:
    """What the converter writes to its standard output; nothing when it fails."""
    try:
        with Pipe() as stdout:
            async with start(argv, limits=limits, pass_fds=(original.fd,), stdout=stdout):
                data = await stdout.read_all()
    except (TranscodeFailed, ConverterKilled) as error:
        log.info("%s gets no %s: %s", asset.id, what, error.detail)
        return b""
    return data
