"""A fragmented file with one index in front (`sidx`, ISO/IEC 14496-12 s8.16.3), without copying the film.

Fragments say their time only where they lie, so a player that wants to seek would have to read them all. ExoPlayer and
Media3 do not seek in such a file at all, unless a `sidx` behind its `moov` lists every fragment. Few writers put one there,
as they would have to know the film before they write it. Here it is made of the headers of the fragments.

What it lists are groups: from a fragment in which the picture begins with a sync sample to the next such one. The boxes
that told less (a `sidx` before each fragment, the `mfra` with its absolute offsets) are left out: readers that meet a
second `sidx` believe that instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add

from media_service.errors import BrokenMedia, MediaRejected
from media_service.mp4.boxes import LARGEST_SHORT, Box, build_full_box, children, fields, find, require
from media_service.mp4.fragments import Defaults, Sample, read_track
from media_service.mp4.layout import Read
from media_service.mp4.rewrite import View
from media_service.mp4.samples import Movie, Track

MAX_FRONT_BYTES = 64 << 20  # what lies up to the end of the moov is kept a second time, as the header
MAX_MOOF_BYTES = 4 << 20  # a quarter of a million samples
MAX_REFERENCES = (1 << 16) - 1  # what a sidx can count
MAX_REFERENCED_BYTES = (1 << 31) - 1
_REPLACED = {"sidx", "ssix", "mfra"}
_CLOSED = 1  # SAP_type of a sync sample before which nothing of its group is shown (Annex I)


@dataclass(frozen=True, slots=True)
class Reference:
    """A piece of the file that can be played by itself: `size` in bytes, `duration` in ticks.

    `closed`: no picture of it is shown before its first one.
    """

    size: int
    duration: int
    closed: bool = True


@dataclass(frozen=True, slots=True)
class _Group:
    """Fragments from a sync sample on: where they begin in the file, and when the first is shown and the last ends (ticks)."""

    start: int
    time: int
    stop: int
    closed: bool

    def joined(self, following: _Group) -> _Group:
        """With the fragments of another, which are behind it in the file."""
        time, stop = min(self.time, following.time), max(self.stop, following.stop)
        return _Group(self.start, time, stop, self.closed and time == self.time)


def build_sidx(*, track_id: int, timescale: int, time: int, references: Sequence[Reference]) -> bytes:
    """The `sidx` of what follows right behind it, shown from `time` (ticks) on; all its parts begin with a sync sample.

    Raises ValueError for more than MAX_REFERENCES, or one that is larger than MAX_REFERENCED_BYTES or longer than 32 bits
    say.
    """
    if len(references) > MAX_REFERENCES:
        raise ValueError(f"{len(references)} references are more than a sidx can count")
    rows = []
    for one in references:
        if one.size > MAX_REFERENCED_BYTES or not 0 <= one.duration <= LARGEST_SHORT:
            raise ValueError(f"a sidx cannot say {one.size} bytes and {one.duration} ticks")
        access = 1 << 31 | (_CLOSED << 28 if one.closed else 0)
        rows.append(struct.pack(">III", one.size, one.duration, access))
    version = int(time > LARGEST_SHORT)
    head = struct.pack(">IIQQ" if version else ">IIII", track_id, timescale, time, 0)
    return build_full_box("sidx", version, 0, head, struct.pack(">HH", 0, len(references)), *rows)


def sidx_first(read: Read, boxes: Sequence[Box], moov: bytes, movie: Movie, size: int) -> View | None:
    """The view of a fragmented file of `size` bytes, with top-level `boxes` and the whole box `moov`, that has its index there.

    None when the file is best served as it is: it has such an index, or its fragments do not say what one needs: absolute
    offsets, no times, no sync sample at the beginning, samples outside of fragments, damage.
    """
    track = next((track for track in movie.tracks if track.handler == "vide"), None)
    track = track or next(iter(movie.tracks), None)
    names = [box.type for box in boxes]
    if track is None or "moof" not in names or "moov" not in names[: names.index("moof")]:
        return None
    front = boxes[names.index("moov")].stop
    if any(one.count for one in movie.tracks) or front > MAX_FRONT_BYTES or _is_indexed(read, boxes, size):
        return None
    kept = [box for box in boxes if box.start >= front and box.type not in _REPLACED]
    try:
        groups = list(_groups(read, kept, track, _defaults(moov, track.track_id)))
        sidx = _sidx(groups, kept, track)
    except (MediaRejected, ValueError):
        return None
    return None if sidx is None else View(read(0, front) + sidx, tuple(_joined(kept)))


def _is_indexed(read: Read, boxes: Sequence[Box], size: int) -> bool:
    """Whether the file has one sidx, before all fragments, and it refers to them all without another one between."""
    found = [box for box in boxes if box.type == "sidx"]
    moofs = [box for box in boxes if box.type == "moof"]
    if len(found) != 1 or found[0].start > moofs[0].start or found[0].size > MAX_MOOF_BYTES:
        return False
    try:
        offset, sizes = _references(read(found[0].start, found[0].stop))
    except BrokenMedia:
        return False
    last = max(box.stop for box in boxes if box.type in {"moof", "mdat"})
    return all(one >> 31 == 0 for one in sizes) and last <= found[0].stop + offset + sum(sizes) <= size


def _references(data: bytes) -> tuple[int, list[int]]:
    """How far behind the box `sidx` what it refers to begins, and the size of each reference (top bit: to another sidx)."""
    sidx = require(data, "sidx")
    long = fields("B", data, sidx)[0] > 0
    (offset,) = fields("Q" if long else "I", data, sidx, 20 if long else 16)
    (count,) = fields("H", data, sidx, 30 if long else 22)
    first = 32 if long else 24
    return offset, [fields("I", data, sidx, first + 12 * number)[0] for number in range(count)]


def _defaults(moov: bytes, track_id: int) -> Defaults:
    """What the `trex` of a track says (s8.8.3)."""
    mvex = find(moov, "moov", "mvex")
    for box in children(moov, mvex) if mvex is not None else ():
        if box.type == "trex" and fields("I", moov, box, 4) == (track_id,):
            return Defaults(*fields("III", moov, box, 12))
    return Defaults()


def _groups(read: Read, kept: Sequence[Box], track: Track, defaults: Defaults) -> Iterator[_Group]:
    """The groups of the file; what lies between two fragments belongs to the second."""
    group: _Group | None = None
    start = kept[0].start
    for box in kept:
        if box.type == "moof":
            if box.size > MAX_MOOF_BYTES:
                raise ValueError("a fragment's header is larger than any real one")
            found = read_track(read(box.start, box.stop), track.track_id, defaults)
            if found is not None and found[1][0].sync:
                if group is not None:
                    yield group
                group = _group(start, *found, track.shift)
            elif found is not None and group is not None:
                group = group.joined(_group(start, *found, track.shift))
        if box.type in {"moof", "mdat"}:
            start = box.stop
    if group is not None:
        yield group


def _group(start: int, decoded: int, samples: Sequence[Sample], shift: int) -> _Group:
    """The samples of one fragment, the first of which is decoded at `decoded`."""
    times = map(
        add,
        accumulate((sample.duration for sample in samples), initial=decoded + shift),
        (sample.composition_offset for sample in samples),
    )
    shown = list(times)
    stop = max(map(add, shown, (sample.duration for sample in samples)))
    return _Group(start, min(shown), stop, closed=shown[0] == min(shown))


def _sidx(groups: Sequence[_Group], kept: Sequence[Box], track: Track) -> bytes | None:
    """The index of these groups, which must be all that follows it; None where they are not."""
    if not groups or groups[0].start != kept[0].start:
        return None
    starts = [group.start for group in groups]
    sizes = [0] * len(groups)
    number = 0
    for box in kept:
        while number + 1 < len(groups) and box.start >= starts[number + 1]:
            number += 1
        sizes[number] += box.size
    times = [max(0, group.time) for group in groups]
    stops = [*times[1:], max(times[-1] + 1, groups[-1].stop)]
    references = [
        Reference(size, stop - time, group.closed)
        for size, time, stop, group in zip(sizes, times, stops, groups, strict=True)
    ]
    return build_sidx(
        track_id=track.track_id, timescale=track.timescale, time=times[0], references=references
    )


def _joined(boxes: Sequence[Box]) -> Iterator[tuple[int, int]]:
    """Where the boxes lie; those that follow each other are one span."""
    start = stop = boxes[0].start
    for box in boxes:
        if box.start != stop:
            yield start, stop
            start = box.start
        stop = box.stop
    yield start, stop
