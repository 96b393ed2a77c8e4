"""Where a time of a film lies: its keyframe, its frame, the bytes that a player fetches for it, and its segment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from media_service.errors import NotFound, NotReady
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import index_key, original_key
from media_service.store.records import Asset
from media_service.timeline.seeking import Mode, seek
from media_service.timeline.stored_index import StoredIndex
from media_service.wire import layout
from media_service.wire.representation import BlobExtent

# A three-hour film's index is three megabytes; opened ones are kept for whoever scrubs.
MAX_OPEN_BYTES = 32 << 20


class ByteSpan(msgspec.Struct, frozen=True):
    """The bytes [start, stop) of the original as it is served: what `Range: bytes={start}-{stop - 1}` fetches."""

    start: int
    stop: int


class SegmentAt(msgspec.Struct, frozen=True):
    """The HLS segment of a rendition that holds the time."""

    rendition: str
    number: int
    url: str


class SeekAnswer(msgspec.Struct, frozen=True):
    """Times in seconds from the film's start. `time` is where playback begins in this `mode`.

    `keyframe_time` is the keyframe that decoding begins at, `frame_time` the frame that is on the screen at `t`. `bytes`
    are null where the container does not say where its packets lie, `segment` where none is made yet.
    """

    t: float
    mode: Mode
    time: float
    keyframe_time: float
    frame_time: float
    original: str
    bytes: ByteSpan | None
    segment: SegmentAt | None


class Seeker:
    """Answers for `/api/v1/assets/{id}/seek`."""

    def __init__(self, catalog: Catalog, blobs: BlobStore) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._open: OrderedDict[str, tuple[StoredIndex, int]] = OrderedDict()

    async def seek(self, asset_id: str, t: float, mode: Mode) -> SeekAnswer:
        """Where `t` (s) lies; times outside the film mean its first or last frame. Raises NotFound, NotReady."""
        asset = await self._catalog.asset(asset_id)
        if asset.seekability is None or asset.original_layout is None:
            if asset.state == "failed":
                raise NotFound("This file could not be read; there is nothing to seek in.")
            raise NotReady("The file is still being looked at.")
        found = seek(await self._index(asset_id), t, mode)
        span = None
        if found.start is not None and found.stop is not None:
            extents = layout.unpack(asset.original_layout)
            span = served_span(extents, original_key(asset_id), found.start, found.stop)
        return SeekAnswer(
            t=t,
            mode=mode,
            time=round(found.time, 6),
            keyframe_time=round(found.keyframe_time, 6),
            frame_time=round(found.frame_time, 6),
            original=f"/media/{asset_id}/original.{asset.extension}",
            bytes=span,
            segment=await self._segment(asset, found.time),
        )

    async def _index(self, asset_id: str) -> StoredIndex:
        if (kept := self._open.get(asset_id)) is not None:
            self._open.move_to_end(asset_id)
            return kept[0]
        async with await self._blobs.open(index_key(asset_id)) as reader:
            size = reader.size
            index = StoredIndex(bytes(await reader.read(0, size)))
        self._open[asset_id] = (index, size)
        while len(self._open) > 1 and sum(size for _, size in self._open.values()) > MAX_OPEN_BYTES:
            self._open.popitem(last=False)
        return index

    async def _segment(self, asset: Asset, seconds: float) -> SegmentAt | None:
        renditions = await self._catalog.renditions(asset.id)
        main = next((one for one in renditions if one.kind == "video"), next(iter(renditions), None))
        if main is None or main.timescale is None:
            return None
        number = await self._catalog.segment_at(asset.id, main.name, round(seconds * main.timescale))
        if number is None:
            return None
        return SegmentAt(main.name, number, f"/media/{asset.id}/hls/{main.name}/{number}.m4s")


def served_span(extents: Sequence[BlobExtent], blob: str, start: int, stop: int) -> ByteSpan | None:
    """Where the bytes [start, stop) of `blob` lie in the file that is put together from `extents`.

    None when the first or the last of them is not served. What was moved out of between them (a `moov`) is not part of it.
    """
    first = _served_position(extents, blob, start)
    last = _served_position(extents, blob, stop - 1)
    return None if first is None or last is None else ByteSpan(first, last + 1)


def _served_position(extents: Sequence[BlobExtent], blob: str, offset: int) -> int | None:
    position = 0
    for extent in extents:
        if extent.blob == blob and extent.start <= offset < extent.stop:
            return position + offset - extent.start
        position += extent.size
    return None
