"""The init segments of what is encoded: known before anything of the film is, because they follow from the recipes alone."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple, Self

from media_service.errors import NotFound, NotReady, SegmentFailed, TranscodeFailed
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
from media_service.work.runs import MAX_ATTEMPTS
from media_service.work.segmenting import MAX_BOX_BYTES

# One process at a time, which takes a tenth of a second. Part of the sum in docs/settings.md.
MAKERS = 1
# For so many at once is one made; whoever comes on top has to come back.
MOST = 100

log = logging.getLogger(__name__)


class _Key(NamedTuple):
    asset_id: str
    rendition: str


class Inits:
    """Makes each when somebody first asks, whoever asks meanwhile; an async context manager that ends what is being made.

    One process for each: all encoders of a film with many sounds do not fit into what a small one may take, and where one
    cannot be opened the others are there.
    """

    def __init__(self, catalog: Catalog, outlines: Outlines) -> None:
        self._catalog = catalog
        self._outlines = outlines
        self._turn = asyncio.Semaphore(MAKERS)
        self._going_on: dict[_Key, asyncio.Task[bytes]] = {}
        self._failures: dict[_Key, list[TranscodeFailed]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._going_on.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def of(self, asset_id: str, name: str) -> bytes:
        """The init segment of an encoded rendition; whoever is cancelled here leaves it to go on for the others.

        Raises NotFound, SegmentFailed where it cannot be made, NotReady for whoever should try again, ConverterKilled.
        """
        if (known := await self._catalog.init_of(asset_id, name)) is not None:
            return known
        key = _Key(asset_id, name)
        if (lost := self._lost(key)) is not None:
            raise SegmentFailed(lost.detail)
        if key not in self._going_on and len(self._going_on) >= MOST:
            raise NotReady("Too many init segments are waited for.")
        try:
            return await self._shared(key)
        except TranscodeFailed as error:
            raise NotReady("This init segment could not be made yet.") from error

    async def make(self, asset_id: str) -> dict[str, TranscodeFailed]:
        """Make all that a film lacks; the renditions for which that cannot be done, and why.

        Raises NotFound and ConverterKilled.
        """
        outline = await self._outlines.of(asset_id)
        rows = {row.name: row for row in await self._catalog.renditions(asset_id)}
        failed: dict[str, TranscodeFailed] = {}
        for rendition in outline.encoded:
            row, key = rows.get(rendition.name), _Key(asset_id, rendition.name)
            if row is None:
                raise NotFound("This film has been deleted.")
            while row.init is None:
                if (lost := self._lost(key)) is not None:
                    failed[rendition.name] = lost
                    break
                try:
                    await self._shared(key)
                    break
                except TranscodeFailed as error:
                    log.warning("no init segment of %s of %s: %s", key.rendition, asset_id, error)
        return failed

    def forgive(self, asset_id: str) -> None:
        """What could not be made of a film may be tried again."""
        for key in [key for key in self._failures if key.asset_id == asset_id]:
            del self._failures[key]

    def _lost(self, key: _Key) -> TranscodeFailed | None:
        """Why nobody tries this one any more, as long as the service goes on."""
        failures = self._failures.get(key, [])
        return failures[-1] if len(failures) >= MAX_ATTEMPTS else None

    async def _shared(self, key: _Key) -> bytes:
        """That one, made once for all who ask for it at the same time."""
        task = self._going_on.get(key)
        if task is None:
            task = self._going_on[key] = asyncio.create_task(self._encode(key), name=f"init segment of {key}")
            task.add_done_callback(lambda task: self._ended(key, task))
        # Not awaited itself: it does not end with one of those who wait for it.
        await asyncio.wait((task,))
        if task.cancelled():
            raise NotReady("The service is stopping.")
        return task.result()

    def _ended(self, key: _Key, task: asyncio.Task[bytes]) -> None:
        del self._going_on[key]
        if not task.cancelled() and isinstance(error := task.exception(), TranscodeFailed):
            self._failures.setdefault(key, []).append(error)

    async def _encode(self, key: _Key) -> bytes:
        outline = await self._outlines.of(key.asset_id)
        rendition = next((one for one in outline.encoded if one.name == key.rendition), None)
        if rendition is None:
            raise NotFound(f"Nothing of this film is encoded as {key.rendition[:80]!r}.")
        async with self._turn:
            # A run may have said it meanwhile.
            if (known := await self._catalog.init_of(*key)) is not None:
                return known
            return await keep_init(self._catalog, key.asset_id, rendition, await _encoded(rendition))


async def _encoded(rendition: OutlineRendition) -> InitTrack:
    with ExitStack() as stack:
        pipe, progress = stack.enter_context(Pipe()), stack.enter_context(Pipe())
        argv = recipes.inits(
            [] if rendition.video is None else [(rendition.video, pipe.write_fd)],
            [] if rendition.audio is None else [(rendition.audio, pipe.write_fd)],
            progress_fd=progress.write_fd,
        )
        async with start(argv, limits=PROBE_LIMITS, outputs=(pipe,), progress=progress):
            stream = await pipe.read_all()
    for box in BoxCutter(MAX_BOX_BYTES).feed(stream):
        if box.type == "moov":
            return read_init(box.data)
    raise TranscodeFailed("The converter wrote no init segment.")
