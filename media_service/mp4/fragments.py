"""Movie fragments (`moof`, ISO/IEC 14496-12 s8.8) of one track: read and write.

Times are ticks of the track. A fragment's `base_time` is the decode time of its first sample. ffmpeg writes a time
before zero (the priming packet of AAC) as a huge unsigned number; here it is the negative number that it means.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.mp4.boxes import (
    Box,
    build_box,
    build_full_box,
    build_header,
    children,
    column,
    fields,
    packed,
    require,
)

MAX_FRAGMENT_SAMPLES = (
    200_000  # a trun may claim 2^32 samples in twenty bytes; two seconds of raw sound are 96,000
)

PACKED_BYTES = 13  # of a sample in what `pack_samples` makes

_NOT_SYNC = 0x10000  # sample_is_non_sync_sample (s8.8.3.1)
_SYNC_FLAGS = 0x2000000  # depends on no other sample, is a sync sample
_OTHER_FLAGS = 0x1010000  # depends on others, is none


class Sample(NamedTuple):
    """One frame: `duration` and `composition_offset` (presentation minus decode time) in ticks, `size` in bytes."""

    duration: int
    size: int
    sync: bool
    composition_offset: int = 0


def pack_samples(samples: Sequence[Sample]) -> bytes:
    """The samples as PACKED_BYTES each, to be kept beside a stored fragment; read back by `unpack_samples`."""
    durations, sizes, syncs, offsets = zip(*samples, strict=True) if samples else ((), (), (), ())
    columns = (array("I", durations), array("I", sizes), array("i", offsets), array("B", syncs))
    return b"".join(map(packed, columns))


def unpack_samples(data: bytes) -> tuple[Sample, ...]:
    """The inverse of `pack_samples`. Raises BrokenMedia for bytes that it never wrote."""
    count, rest = divmod(len(data), PACKED_BYTES)
    if rest:
        raise BrokenMedia(f"{len(data)} bytes are no list of samples")
    box = Box("samples", 0, 0, len(data))
    durations, sizes, offsets, syncs = (
        column(typecode, data, box, at * count, count)
        for typecode, at in (("I", 0), ("I", 4), ("i", 8), ("B", 12))
    )
    return tuple(map(Sample._make, zip(durations, sizes, map(bool, syncs), offsets, strict=True)))


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a `moof` says. The payload begins `data_offset` bytes after the start of the `moof`."""

    sequence: int
    track_id: int
    base_time: int
    samples: tuple[Sample, ...]
    data_offset: int

    @property
    def size(self) -> int:
        """Payload in bytes."""
        return sum(sample.size for sample in self.samples)


class Defaults(NamedTuple):
    """What holds for all samples of a track that are not said to be otherwise (s8.8.3, s8.8.7); None: nothing does."""

    duration: int | None = None
    size: int | None = None
    flags: int | None = None


def read_fragment(moof: bytes) -> Fragment:
    """The fragment that the whole box `moof` describes (its header included).

    Raises BrokenMedia for more or less than one track, samples that do not lie one after another in the file, absolute
    offsets, or values left to the init segment; AbsurdMedia for more than MAX_FRAGMENT_SAMPLES.
    """
    outer = require(moof, "moof")
    tracks = [box for box in children(moof, outer) if box.type == "traf"]
    if len(tracks) != 1:
        raise BrokenMedia(f"a fragment of one track was expected, this one has {len(tracks)}")
    (sequence,) = fields("I", moof, require(moof, "mfhd", within=outer), 4)
    track_id, defaults = _read_tfhd(moof, require(moof, "tfhd", within=tracks[0]))
    base_time = _read_tfdt(moof, tracks[0])
    samples: list[Sample] = []
    first_offset: int | None = None
    next_offset = 0
    for trun in (box for box in children(moof, tracks[0]) if box.type == "trun"):
        data_offset, run = _read_trun(moof, trun, defaults, MAX_FRAGMENT_SAMPLES - len(samples))
        if first_offset is None:
            first_offset = next_offset = data_offset or 0
        elif data_offset not in {None, next_offset}:
            raise BrokenMedia("the samples of a fragment do not lie one after another")
        samples += run
        next_offset += sum(sample.size for sample in run)
    return Fragment(sequence, track_id, base_time, tuple(samples), first_offset or 0)


def read_track(moof: bytes, track_id: int, defaults: Defaults) -> tuple[int, list[Sample]] | None:
    """Decode time of its first sample, and the samples of one of the tracks in the box `moof`; None where it has none there.

    `defaults` are those of the track's `trex`. Where the samples lie is not looked at. Raises BrokenMedia for a fragment that
    does not tell its time or points to absolute places, AbsurdMedia for more than MAX_FRAGMENT_SAMPLES.
    """
    base_time, samples = None, list[Sample]()
    for traf in (box for box in children(moof, require(moof, "moof")) if box.type == "traf"):
        number, own = _read_tfhd(moof, require(moof, "tfhd", within=traf))
        if number != track_id:
            continue
        if base_time is None:
            base_time = _read_tfdt(moof, traf)
        own = Defaults(
            *(theirs if said is None else said for said, theirs in zip(own, defaults, strict=True))
        )
        for trun in (box for box in children(moof, traf) if box.type == "trun"):
            samples += _read_trun(moof, trun, own, MAX_FRAGMENT_SAMPLES - len(samples))[1]
    return None if base_time is None or not samples else (base_time, samples)


def build_fragment(*, sequence: int, track_id: int, base_time: int, samples: Sequence[Sample]) -> bytes:
    """A `moof` and the header of the `mdat` for these samples; the caller appends their bytes.

    What all samples share is said once in the `tfhd`. The same input gives the same bytes. Raises ValueError for a
    negative `base_time`, which the format cannot say.
    """
    if base_time < 0:
        raise ValueError(f"a fragment cannot begin at {base_time}, before time zero")
    mdat = build_header("mdat", sum(sample.size for sample in samples))
    mfhd = build_full_box("mfhd", 0, 0, struct.pack(">I", sequence))
    tfdt = build_full_box("tfdt", 1, 0, struct.pack(">Q", base_time))
    flags, defaults, columns = _columns(samples)
    # 0x20000: offsets count from the start of this moof (s8.8.7.1)
    tfhd = build_full_box("tfhd", 0, 0x20000 | flags, struct.pack(">I", track_id), defaults)
    run = b"".join(map(packed, _interleaved(columns)))
    trun_flags = 1 | sum(flag for flag, _ in columns)
    size = 8 + 16 + 8 + len(tfhd) + len(tfdt) + 20 + len(run)
    trun = build_full_box("trun", 1, trun_flags, struct.pack(">Ii", len(samples), size + len(mdat)), run)
    return build_box("moof", mfhd, build_box("traf", tfhd, tfdt, trun)) + mdat


def _read_tfhd(moof: bytes, tfhd: Box) -> tuple[int, Defaults]:
    """Track number and defaults."""
    flags, track_id = fields("II", moof, tfhd)
    if flags & 1:
        raise BrokenMedia("a fragment with absolute offsets cannot be moved")
    at = 12 if flags & 2 else 8
    values: list[int | None] = []
    for flag in (8, 0x10, 0x20):
        values.append(fields("I", moof, tfhd, at)[0] if flags & flag else None)
        at += 4 if flags & flag else 0
    return track_id, Defaults(*values)


def _read_tfdt(moof: bytes, traf: Box) -> int:
    """The decode time of the first sample (s8.8.12)."""
    tfdt = require(moof, "tfdt", within=traf)
    (time,) = fields("q" if fields("B", moof, tfdt)[0] else "I", moof, tfdt, 4)
    return int(time)


def _read_trun(moof: bytes, trun: Box, defaults: Defaults, limit: int) -> tuple[int | None, Iterable[Sample]]:
    """The data offset, if given, and the samples of one run (s8.8.8)."""
    flags, count = fields("II", moof, trun)
    if count > limit:
        raise AbsurdMedia(f"a fragment claims {count} samples")
    at = 8
    data_offset = None
    if flags & 1:
        (data_offset,) = fields("i", moof, trun, at)
        at += 4
    first_flags = None
    if flags & 4:
        (first_flags,) = fields("I", moof, trun, at)
        at += 4
    given = [flag for flag in (0x100, 0x200, 0x400, 0x800) if flags & flag]
    words = column("I", moof, trun, at, count * len(given))
    columns = {flag: words[number :: len(given)] for number, flag in enumerate(given)}

    def values(flag: int, default: int | None) -> Iterable[int]:
        if flag in columns:
            return columns[flag]
        if default is None and count:
            raise BrokenMedia("a fragment leaves the durations, sizes or flags of its samples unsaid")
        return repeat(default or 0, count)

    sample_flags = list(values(0x400, defaults.flags))
    if first_flags is not None and sample_flags:
        sample_flags[0] = first_flags
    # Version 0 says unsigned, but writers put negative offsets there all the same, and readers take them as such.
    offsets = array("i", columns[0x800].tobytes()) if 0x800 in columns else repeat(0, count)
    sync = [not flag & _NOT_SYNC for flag in sample_flags]
    rows = zip(values(0x100, defaults.duration), values(0x200, defaults.size), sync, offsets, strict=True)
    return data_offset, list(map(Sample._make, rows))


def _columns(samples: Sequence[Sample]) -> tuple[int, bytes, list[tuple[int, array[int]]]]:
    """tfhd flags and default values, and the trun columns with their flags: a column only where values differ."""
    flags = 0
    defaults = b""
    columns = []
    durations, sizes, syncs, offsets = map(list, zip(*samples, strict=True)) if samples else ([], [], [], [])
    said = [_SYNC_FLAGS if sync else _OTHER_FLAGS for sync in syncs]
    for header_flag, run_flag, values in ((8, 0x100, durations), (0x10, 0x200, sizes), (0x20, 0x400, said)):
        if len(set(values)) == 1:
            flags |= header_flag
            defaults += struct.pack(">I", values[0])
        else:
            columns.append((run_flag, array("I", values)))
    if any(offsets):
        # Read as unsigned, so that all columns interleave as one table of words.
        columns.append((0x800, array("I", array("i", offsets).tobytes())))
    return flags, defaults, columns


def _interleaved(columns: Sequence[tuple[int, array[int]]]) -> Iterable[array[int]]:
    """The columns as one table, row by row."""
    if columns:
        table = array("I", bytes(4 * len(columns) * len(columns[0][1])))
        for number, (_, values) in enumerate(columns):
            table[number :: len(columns)] = values
        yield table
