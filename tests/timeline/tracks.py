"""Tracks made by hand, stored and opened, for the tests of what is asked of an index."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

from media_service.timeline.index import SHOWN, SYNC, Columns, Index, Kind, TrackIndex
from media_service.timeline.index_codec import encode
from media_service.timeline.stored_index import StoredIndex, StoredTrack


def track(
    times: Sequence[int],
    *,
    sync: Sequence[int] | None = None,
    hidden: Sequence[int] = (),
    stop: int | None = None,
    timescale: int = 1000,
    kind: Kind = "video",
    stream: int = 0,
    sizes: Sequence[int] | None = None,
    offsets: Sequence[int] | None = None,
    decode_times: Sequence[int] | None = None,
) -> TrackIndex:
    """A track with packets shown at `times` (decoding order); `sync` are numbers, all by default."""
    numbers = range(len(times))
    sizes = [10 for _ in times] if sizes is None else sizes
    offsets = list(accumulate(sizes, initial=100))[:-1] if offsets is None else offsets
    marked = set(numbers if sync is None else sync)
    flags = bytes(
        (SYNC if number in marked else 0) | (0 if number in hidden else SHOWN) for number in numbers
    )
    columns = Columns(
        array("q", times),
        array("q", decode_times or sorted(times)),
        array("q", sizes),
        array("q", offsets),
        flags,
    )
    shown = list(columns.shown_times())
    start = min(shown, default=0)
    return TrackIndex(
        stream, kind, timescale, start, max(shown, default=0) + 40 if stop is None else stop, True, columns
    )


def stored(*tracks: TrackIndex) -> StoredIndex:
    return StoredIndex(encode(Index(Fraction(0), tracks)))


def stored_track(made: TrackIndex) -> StoredTrack:
    return stored(made).tracks[0]


def whole_index(index: StoredIndex) -> Index:
    """All of it, every block read: what was encoded."""
    return Index(
        index.origin,
        tuple(
            TrackIndex(
                one.stream,
                one.kind,
                one.timescale,
                one.start,
                one.stop,
                one.exact_offsets,
                one.columns(),
            )
            for one in index.tracks
        ),
    )
