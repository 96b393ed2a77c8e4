"""The init segments of what is encoded: known before anything of the film is, because they follow from the recipes alone."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import msgspec

from media_service.errors import NotReady, TranscodeFailed
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.mp4.boxes import BoxCutter
from media_service.mp4.init_segment import InitTrack, read_init
from media_service.store.catalog import Catalog
from media_service.timeline.outline import OutlineRendition
from media_service.work.outlines import Outlines
from media_service.work.recorder import keep_init
from media_service.work.segmenting import MAX_BOX_BYTES

# One process at a time, which takes a tenth of a second. Part of the sum in docs/settings.md.
MAKERS = 1
# Every rendition is encoded at once, a frame of each.
LIMITS = msgspec.structs.replace(PROBE_LIMITS, output_bytes=256 << 20)


class Inits:
    """Makes them when somebody first asks, all those of a film together."""

    def __init__(self, catalog: Catalog, outlines: Outlines) -> None:
        self._catalog = catalog
        self._outlines = outlines
        self._making = asyncio.Semaphore(MAKERS)

    async def of(self, asset_id: str, name: str) -> bytes:
        """The init segment of an encoded rendition. Raises NotFound, TranscodeFailed."""
        if (known := await self._catalog.init_of(asset_id, name)) is not None:
            return known
        await self.make(asset_id)
        if (known := await self._catalog.init_of(asset_id, name)) is None:
            raise NotReady("This rendition has no init segment yet.")
        return known

    async def make(self, asset_id: str) -> None:
        """Make what is lacking. Raises NotFound, TranscodeFailed, RunDiffers."""
        outline = await self._outlines.of(asset_id)
        async with self._making:
            rows = await self._catalog.renditions(asset_id)
            lacking = {row.name for row in rows if row.init is None and not row.packaged}
            renditions = [one for one in outline.encoded if one.name in lacking]
            if renditions:
                for rendition, track in zip(renditions, await _encoded(renditions), strict=True):
                    await keep_init(self._catalog, asset_id, rendition, track)


async def _encoded(renditions: list[OutlineRendition]) -> list[InitTrack]:
    with ExitStack() as stack:
        pipes = tuple(stack.enter_context(Pipe()) for _ in renditions)
        progress = stack.enter_context(Pipe())
        pairs = [(one, pipe.write_fd) for one, pipe in zip(renditions, pipes, strict=True)]
        argv = recipes.inits(
            [(one.video, fd) for one, fd in pairs if one.video is not None],
            [(one.audio, fd) for one, fd in pairs if one.audio is not None],
            progress_fd=progress.write_fd,
        )
        async with start(argv, limits=LIMITS, outputs=pipes, progress=progress):
            streams = await asyncio.gather(*(pipe.read_all() for pipe in pipes))
    return [_track(stream) for stream in streams]


def _track(stream: bytes) -> InitTrack:
    for box in BoxCutter(MAX_BOX_BYTES).feed(stream):
        if box.type == "moov":
            return read_init(box.data)
    raise TranscodeFailed("The converter wrote no init segment.")
