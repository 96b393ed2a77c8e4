"""Encoded fragments -> one classic MP4: a header made here, then the fragments' payloads where they already lie.

For players and tools that want a plain file: `ftyp`, `moov` with full sample tables, `mdat`. Each fragment's payload is
one chunk, chunks of several tracks follow each other by time, so a player reads all tracks in one sweep.

Time: fragments carry absolute times and may put frames before their decode time. Here decode times count from zero and
composition offsets are never negative (version 0 of `ctts`, which everything reads); the edit list (ISO/IEC 14496-12
s8.6.6) puts each track back to its absolute time: an empty edit for one that begins late, a `media_time` for the shift.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, compress, count, groupby, repeat, zip_longest
from operator import add

from media_service.errors import BrokenMedia
from media_service.mp4 import boxes
from media_service.mp4.boxes import LARGEST_SHORT, build_box, build_full_box, packed
from media_service.mp4.fragments import Sample
from media_service.mp4.init_segment import InitTrack
from media_service.mp4.movie_boxes import build_ftyp, build_media, build_mvhd, build_tkhd


@dataclass(frozen=True, slots=True)
class ProgressiveSegment:
    """One fragment of a track: the decode time of its first sample in ticks, and its samples in payload order."""

    base_time: int
    samples: Sequence[Sample]

    @property
    def size(self) -> int:
        """Payload in bytes."""
        return sum(sample.size for sample in self.samples)


@dataclass(frozen=True, slots=True)
class ProgressiveTrack:
    """One track and all its fragments, in order of time."""

    init: InitTrack
    segments: Sequence[ProgressiveSegment]


@dataclass(frozen=True, slots=True)
class ProgressiveLayout:
    """The file is `header`, then the payloads of the segments (track number, segment number) in `order`.

    Numbers count from zero, as in what was given; segments without samples are left out. `size` is that of the file.
    """

    header: bytes
    order: tuple[tuple[int, int], ...]
    size: int


def build_header(tracks: Sequence[ProgressiveTrack]) -> ProgressiveLayout:
    """The classic MP4 of these tracks. The same input gives the same bytes.

    A gap between two fragments lengthens the last sample before it. Raises BrokenMedia when fragments overlap by more
    than that sample or lie absurdly far apart, ValueError when there are no samples at all.
    """
    timescale = max((track.init.timescale for track in tracks), default=0)
    columns = {
        number: _Columns.of(track, timescale)
        for number, track in enumerate(tracks)
        if any(segment.samples for segment in track.segments)
    }
    if not columns:
        raise ValueError("there is nothing to make a film of")
    # A stable sort by time: at the same time the first track, usually the picture, comes first.
    chunks = sorted(
        (segment.base_time * timescale // tracks[track].init.timescale, track, number, segment.size)
        for track in columns
        for number, segment in enumerate(tracks[track].segments)
        if segment.samples
    )
    payload = sum(size for *_, size in chunks)
    order = tuple((track, number) for _, track, number, _ in chunks)
    before = list(accumulate((size for *_, size in chunks), initial=0))[:-1]
    relative = {
        track: [start for start, chunk in zip(before, order, strict=True) if chunk[0] == track]
        for track in columns
    }
    front = build_ftyp("isom", "isom", "iso2", "mp41", "mp42")
    mdat = boxes.build_header("mdat", payload)
    # The moov is equally long whatever the offsets are, so a first one measures it; with 64-bit offsets it is longer.
    wide = before[-1] > LARGEST_SHORT
    length = len(front) + len(_moov(columns, relative, 0, timescale, wide=wide)) + len(mdat)
    if not wide and length + before[-1] > LARGEST_SHORT:
        wide = True
        length = len(front) + len(_moov(columns, relative, 0, timescale, wide=wide)) + len(mdat)
    moov = _moov(columns, relative, length, timescale, wide=wide)
    return ProgressiveLayout(front + moov + mdat, order, length + payload)


@dataclass(frozen=True, slots=True)
class _Columns:
    """A track, ready to be written: everything but where its chunks lie. Durations in ticks of the movie."""

    track: InitTrack
    decode_duration: int  # in ticks of the track
    edits: tuple[tuple[int, int], ...]  # (duration, media time or -1); none when the track is shown as it is
    duration: int
    tables: bytes

    @classmethod
    def of(cls, track: ProgressiveTrack, timescale: int) -> _Columns:
        segments = [segment for segment in track.segments if segment.samples]
        samples = _Samples.of(segments)
        durations, offsets = samples.durations, samples.offsets
        lift = max(0, -min(offsets))
        if lift:
            offsets = array("q", map(add, offsets, repeat(lift)))
        first = min(map(add, accumulate(durations, initial=0), offsets))
        latest = max(map(add, accumulate(durations, initial=0), offsets))
        # The film is as long as its samples last together. With variable rates a frame's own duration is the time to the
        # next one *decoded*, so adding it to when the frame is *shown* would overshoot by seconds.
        last = max(first + sum(durations), latest + 1)
        begins = (
            segments[0].base_time + first - lift
        )  # when the track is first seen or heard, in absolute ticks
        trim = first + max(0, -begins)  # what lies before time zero is cut off by the edit list

        def movie_ticks(ticks: int) -> int:
            return -(-ticks * timescale // track.init.timescale)  # rounded up: no frame may fall off the end

        delay, length = movie_ticks(max(0, begins)), movie_ticks(max(0, last - trim))
        total = sum(durations)
        plain = not delay and not trim and last == total
        edits = (((delay, -1),) if delay else ()) + ((length, trim),)
        return cls(
            track.init,
            total,
            () if plain else edits,
            delay + length,
            b"".join((track.init.stsd, *_tables(samples, offsets), _chunks(segments))),
        )

    def trak(self, number: int, chunk_table: bytes) -> bytes:
        """The whole box, with the track's new number and its `stco` or `co64`."""
        tkhd = build_tkhd(
            track_id=number,
            duration=self.duration,
            width=self.track.width,
            height=self.track.height,
            volume=self.track.handler == "soun",
            rotation=self.track.rotation,
        )
        edts = b""
        if self.edits:
            wide = any(max(edit) > LARGEST_SHORT >> 1 for edit in self.edits)
            entries = (struct.pack(">QqI" if wide else ">IiI", *edit, 0x10000) for edit in self.edits)
            count = struct.pack(">I", len(self.edits))
            edts = build_box("edts", build_full_box("elst", int(wide), 0, count, *entries))
        mdia = build_media(
            timescale=self.track.timescale,
            duration=self.decode_duration,
            handler=self.track.handler,
            sample_table=self.tables + chunk_table,
        )
        return build_box("trak", tkhd, edts, mdia)


def _moov(
    columns: dict[int, _Columns], relative: dict[int, list[int]], start: int, timescale: int, *, wide: bool
) -> bytes:
    """The moov of a file whose payloads begin at byte `start`; `relative` are the chunks' places from there."""
    name, typecode = ("co64", "Q") if wide else ("stco", "I")
    traks = []
    for number, (track, column) in enumerate(columns.items(), 1):
        offsets = array(typecode, map(add, relative[track], repeat(start)))
        table = build_full_box(name, 0, 0, struct.pack(">I", len(offsets)), packed(offsets))
        traks.append(column.trak(number, table))
    duration = max(column.duration for column in columns.values())
    mvhd = build_mvhd(timescale=timescale, duration=duration, next_track_id=len(columns) + 1)
    return build_box("moov", mvhd, *traks)


@dataclass(frozen=True, slots=True)
class _Samples:
    """All samples of a track in columns, read in one sweep; durations so that each segment begins at its own time."""

    durations: array[int]
    sizes: array[int]
    sync: array[int]  # the numbers of those that are, from one
    offsets: array[int]

    @classmethod
    def of(cls, segments: Sequence[ProgressiveSegment]) -> _Samples:
        made = cls(array("I"), array("I"), array("I"), array("q"))
        for segment, following in zip_longest(segments, segments[1:]):
            durations, sizes, sync, offsets = zip(*segment.samples, strict=True)
            last = durations[-1]
            if following is not None:
                last += following.base_time - segment.base_time - sum(durations)
                if not 0 <= last <= LARGEST_SHORT:
                    raise BrokenMedia(
                        f"the fragments at {segment.base_time} and {following.base_time} do not fit together"
                    )
            made.sync.extend(compress(count(len(made.sizes) + 1), sync))
            made.durations.extend((*durations[:-1], last))
            made.sizes.extend(sizes)
            made.offsets.extend(offsets)
        return made


def _tables(samples: _Samples, offsets: Sequence[int]) -> Iterator[bytes]:
    """stts, ctts, stss and stsz (s8.6-8.7): of the sample table what tells samples from each other."""
    yield _table("stts", 2, _runs(samples.durations))
    if any(offsets):
        yield _table("ctts", 2, _runs(offsets))
    if len(samples.sync) < len(samples.sizes):
        yield _table("stss", 1, samples.sync)
    total = struct.pack(">II", 0, len(samples.sizes))
    yield build_full_box("stsz", 0, 0, total, packed(samples.sizes))


def _chunks(segments: Sequence[ProgressiveSegment]) -> bytes:
    """stsc (s8.7.4)."""
    per_chunk: list[int] = []
    chunk = 1
    for number, alike in groupby(len(segment.samples) for segment in segments):
        per_chunk += (chunk, number, 1)
        chunk += len(list(alike))
    return _table("stsc", 3, per_chunk)


def _runs(values: Iterable[int]) -> list[int]:
    """Count, value, count, value ..."""
    runs: list[int] = []
    for value, alike in groupby(values):
        runs += (len(list(alike)), value)
    return runs


def _table(name: str, width: int, numbers: Sequence[int]) -> bytes:
    """A full box with a list of entries of `width` words."""
    return build_full_box(name, 0, 0, struct.pack(">I", len(numbers) // width), packed(array("I", numbers)))
