"""Where a time of a film lies: its keyframe, its frame, the bytes that a player fetches for it, and its segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import msgspec

from media_service.playback.opening import Film, Opener
from media_service.store.keys import original_key
from media_service.store.records import Asset
from media_service.timeline.seeking import Mode, seek
from media_service.wire import layout
from media_service.wire.representation import BlobExtent
from media_service.work.indexes import Indexes

# Renditions have clocks of their own: a boundary may be rounded to just behind the frame that it stands before.
TICK = Fraction(1, 90_000)


class ByteSpan(msgspec.Struct, frozen=True):
    """The bytes [start, stop) of the original as it is served: what `Range: bytes={start}-{stop - 1}` fetches."""

    start: int
    stop: int


class SegmentAt(msgspec.Struct, frozen=True):
    """The segment of a rendition that holds the time. It can be fetched at `url`, whether it is made yet or not.

    It is shown from `start` to `stop`, in seconds of the film.
    """

    rendition: str
    number: int
    start: float
    stop: float
    url: str


class SeekAnswer(msgspec.Struct, frozen=True):
    """Times in seconds from the film's start. `time` is where playback begins in this `mode`.

    `keyframe_time` is the keyframe that decoding begins at, `frame_time` the frame that is on the screen at `t`. `bytes`
    are null where the container does not say where its packets lie. `segments` are those of all renditions, in the order of
    the asset's `renditions`: the first is what the time was looked up in.
    """

    t: float
    mode: Mode
    time: float
    keyframe_time: float
    frame_time: float
    original: str
    bytes: ByteSpan | None
    segments: tuple[SegmentAt, ...]


class Seeker:
    """Answers for `/api/v1/assets/{id}/seek`."""

    def __init__(self, opener: Opener, indexes: Indexes) -> None:
        self._opener = opener
        self._indexes = indexes

    async def seek(
        self, asset_id: str, t: float, mode: Mode, prefix: Callable[[Asset], str] = lambda _: ""
    ) -> SeekAnswer:
        """Where `t` (s) lies; times outside the film mean its first or last frame. Raises NotFound, NotReady.

        `prefix` stands before the asset's addresses.
        """
        film = await self._opener.film(asset_id, None)
        asset = film.asset
        found = seek(await self._indexes.of(asset_id), t, mode)
        base = f"{prefix(asset)}/media/{asset_id}"
        span = None
        if found.start is not None and found.stop is not None and asset.original_layout is not None:
            extents = tuple(layout.unpack(asset.original_layout).spans())
            span = served_span(extents, original_key(asset_id), found.start, found.stop)
        return SeekAnswer(
            t=t,
            mode=mode,
            time=round(found.time, 6),
            keyframe_time=round(found.keyframe_time, 6),
            frame_time=round(found.frame_time, 6),
            original=f"{base}/original.{asset.extension}",
            bytes=span,
            segments=segments_at(film, Fraction(round(found.time * found.timescale), found.timescale), base),
        )


def segments_at(film: Film, seconds: Fraction, base: str) -> tuple[SegmentAt, ...]:
    """The segments in which that time is shown, one of each rendition. `base` is the film's address."""
    numbers = [(one, one.segment_at(seconds + TICK)) for one in film.outline.renditions]
    return tuple(
        SegmentAt(
            rendition=one.name,
            number=number,
            start=round(float(one.seconds(number)), 6),
            stop=round(float(one.seconds(number + 1)), 6),
            url=f"{base}/hls/{one.name}/{number}.m4s?v={film.outline.version}",
        )
        for one, number in numbers
    )


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
