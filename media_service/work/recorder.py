"""Takes a rendition as ffmpeg makes it: boxes are cut from the pipe, fragments re-written, stored and made known.

The catalog names only bytes that are already in the blob, so a viewer can fetch a segment the moment the playlist has
it. Commits are gathered: one for each fragment of a fast encode would spend the disk on fsync.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable

from media_service.errors import TranscodeFailed, TranscodeIncomplete, TruncatedMedia
from media_service.mp4.boxes import BoxCutter, CutBox
from media_service.mp4.fragments import Fragment, build_fragment, pack_samples, read_fragment
from media_service.mp4.init_segment import InitTrack, build_init, read_init
from media_service.store.blobs import BlobWriter
from media_service.store.catalog import Catalog
from media_service.store.records import Segment

MAX_BOX_BYTES = 256 << 20  # 2 s at 1 Gbit/s: a box that is larger is a mistake
COMMIT_SECONDS = 0.5  # between commits; what a viewer of a film being made may have to wait more
# ffmpeg's AAC begins with a packet of the encoder's own before the first sound: there to prime decoders, not to be heard,
# also where the sound begins later than the picture.
AAC_PRIMING_TICKS = 1024
TRACK_ID = 1  # each rendition is a file of one track


class Recorder:
    """Records one rendition. `changed` is called after each commit.

    `frames` counts the samples stored so far, `seconds` is where they end, `init` describes the track. After `finish`,
    `encoded_seconds` is where the encoder said that the last one ends.
    """

    def __init__(
        self, *, catalog: Catalog, asset_id: str, name: str, writer: BlobWriter, changed: Callable[[], None]
    ) -> None:
        self._catalog = catalog
        self._asset_id = asset_id
        self.name = name
        self._writer = writer
        self._changed = changed
        self._cutter = BoxCutter(MAX_BOX_BYTES)
        self._head = b""
        self._moof = b""
        # The newest fragment waits for the next one: only the last may have to be stretched to the film's end.
        self._held: tuple[Fragment, memoryview] | None = None
        self._begins_at: int | None = None  # ticks; what lies before is not for viewers
        self._fresh: list[Segment] = []
        self._committed_at = 0.0
        self._peak = 0
        self.init: InitTrack | None = None
        self._count = 0
        self._end_ticks = 0
        self.frames = 0
        self.encoded_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Where the last segment ends, in seconds of the film."""
        return 0.0 if self.init is None else self._end_ticks / self.init.timescale

    async def record(self, chunks: AsyncIterable[bytes]) -> None:
        """Take the whole stream. Raises MediaRejected or TranscodeFailed for what is no fragmented MP4."""
        async for chunk in chunks:
            for box in self._cutter.feed(chunk):
                await self._take(box)

    async def finish(self, stop_seconds: float) -> None:
        """The run ended well: store the last fragment, whose last sample lasts until `stop_seconds`.

        Called only then: of a run that failed, its own reason counts, not the box that it was writing. Raises
        TranscodeFailed when the stream is not whole.
        """
        try:
            self._cutter.finish()
        except TruncatedMedia as error:
            raise TranscodeFailed("The converter's output ends in the middle.") from error
        if self._held is not None and self.init is not None:
            fragment, payload = self._held
            self.encoded_seconds = (fragment.base_time + fragment.duration) / self.init.timescale
            await self._store(fragment.lasting_until(int(stop_seconds * self.init.timescale)), payload)
        await self._commit()
        if self._count == 0:
            raise TranscodeIncomplete("Nothing came out of the converter.")

    async def _take(self, box: CutBox) -> None:
        if box.type == "ftyp":
            self._head = box.data
        elif box.type == "moov":
            await self._begin(read_init(self._head + box.data))
        elif box.type == "moof":
            self._moof = box.data
        elif box.type == "mdat":
            await self._add(box)

    async def _begin(self, init: InitTrack) -> None:
        self.init = init
        await self._catalog.update_rendition(
            self._asset_id,
            self.name,
            state="encoding",
            init=build_init(init),
            timescale=init.timescale,
            codecs=init.codec,
        )

    async def _add(self, mdat: CutBox) -> None:
        if self.init is None or not self._moof:
            raise TranscodeFailed("The converter wrote media data without a description of it.")
        fragment = read_fragment(self._moof)
        self._moof = b""
        if self._begins_at is None:
            priming = AAC_PRIMING_TICKS if self.init.handler == "soun" else 0
            self._begins_at = max(0, fragment.base_time + priming)
        fragment, skipped = fragment.from_time(self._begins_at)
        if not fragment.samples:
            return
        held, self._held = self._held, (fragment, memoryview(mdat.data)[mdat.header_size + skipped :])
        if held is not None:
            await self._store(*held)

    async def _store(self, fragment: Fragment, payload: memoryview) -> None:
        assert self.init is not None, "fragments come after the init segment"
        number = self._count
        head = build_fragment(
            sequence=number + 1, track_id=TRACK_ID, base_time=fragment.base_time, samples=fragment.samples
        )
        start = self._writer.size
        await self._writer.write(head)
        await self._writer.write(payload)
        segment = Segment(
            asset_id=self._asset_id,
            rendition=self.name,
            number=number,
            blob=self._writer.key,
            start=start,
            stop=self._writer.size,
            payload_start=start + len(head),
            begin_ticks=fragment.base_time,
            duration_ticks=fragment.duration,
            samples=pack_samples(fragment.samples),
        )
        self.frames += len(fragment.samples)
        self._note(segment, self.init.timescale)
        if asyncio.get_running_loop().time() - self._committed_at >= COMMIT_SECONDS:
            await self._commit()

    def _note(self, segment: Segment, timescale: int) -> None:
        self._fresh.append(segment)
        self._count += 1
        self._end_ticks = segment.begin_ticks + segment.duration_ticks
        bits = 8 * (segment.stop - segment.start)
        self._peak = max(self._peak, bits * timescale // max(1, segment.duration_ticks))

    async def _commit(self) -> None:
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        total = 8 * self._writer.size
        await self._catalog.add_segments(
            fresh,
            encoded_seconds=self.seconds,
            bandwidth=self._peak,
            average_bandwidth=round(total / self.seconds) if self.seconds else self._peak,
        )
        self._committed_at = asyncio.get_running_loop().time()
        self._changed()
