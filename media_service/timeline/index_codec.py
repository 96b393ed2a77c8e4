"""The index as bytes: a small directory, then each track's sync packets and its packets in blocks, each deflated.

A column is kept as differences to what it would be in the plainest film (decode times one step apart, packets one
behind the other), in the narrowest integers that hold them: about 12 bytes per packet, and deflate finds the rest.
Everything carries a CRC-32 and the size that it inflates to, so that a damaged index is known before it is believed,
and no damage makes it large.

    magic "MSINDEX1", u64 bytes in all, u32 directory stored, u32 inflated, u32 CRC-32 of these and the directory
    directory (deflated msgpack: `Directory`), then sections at the positions that it names
"""

from __future__ import annotations

import struct
import zlib
from array import array
from itertools import accumulate, compress, count, islice
from operator import add, sub

import msgspec

from media_service.timeline.index import MAX_TICKS, Columns, Index, Kind, TrackIndex
from media_service.timeline.index_columns import (
    IndexCorrupt,
    deflate,
    from_bytes,
    inflate,
    pack_columns,
    to_bytes,
    unpack_columns,
)

BLOCK = 2048  # packets: a minute of picture or sound; inflated and added up in about a millisecond
MAX_PACKETS = 1 << 26  # of one track, as the directory may claim

_MAGIC = b"MSINDEX1"
_HEAD = struct.Struct("<8sQIII")
_MAX_DIRECTORY = 16 << 20  # bytes inflated; 72 for each block, and ten million packets are 5,000 blocks
_BLOCK_COLUMNS = 9


class Directory(msgspec.Struct, array_like=True, frozen=True):
    """What opening reads. `origin` is the film's start on the source's clock, in seconds as a fraction."""

    origin: tuple[int, int]
    tracks: tuple[TrackEntry, ...]


class TrackEntry(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """One track. `sync` and `blocks` say where its sections lie."""

    stream: int
    kind: Kind
    timescale: int
    start: int
    stop: int
    exact_offsets: bool
    count: int
    shown: int  # how many packets are shown
    size: int  # bytes of all packets
    all_sync: bool  # then there is no list of them
    sync: tuple[int, int, int, int]  # number of sync packets, position, bytes stored, CRC-32
    blocks: bytes  # `BlockTable`, column by column, 64 bits each


class BlockTable(msgspec.Struct, frozen=True):
    """One number per block in each column ("q"). Times are of what is shown; `low` > `high` where nothing is."""

    position: array[int]
    stored: array[int]
    checksum: array[int]
    decode_start: array[int]  # decode time of the first packet
    offset_start: array[int]  # offset of the first packet
    low: array[int]  # earliest presentation time
    high: array[int]  # latest presentation time
    byte_start: array[int]  # where its packets lie in the film; -1 where nobody knows
    byte_stop: array[int]


class SyncPoints(msgspec.Struct, frozen=True):
    """The packets at which decoding can begin, in decoding order ("q"): number, presentation time, whether shown.

    `leading` is how many packets follow it in decoding order but are shown before it (an open group of pictures).
    """

    numbers: array[int]
    times: array[int]
    shown: array[int]
    leading: array[int]


def encode(index: Index) -> bytes:
    """The index as bytes, for `StoredIndex` to read."""
    sections: list[bytes] = []
    # Positions count from the end of the directory, whose size depends on what is in it.
    entries, position = [], 0
    for track in index.tracks:
        entry, stored = _encode_track(track, position)
        entries.append(entry)
        sections += stored
        position += sum(map(len, stored))
    raw = msgspec.msgpack.encode(Directory(index.origin.as_integer_ratio(), tuple(entries)))
    directory = deflate(raw)
    total = _HEAD.size + len(directory) + position
    head = _HEAD.pack(_MAGIC, total, len(directory), len(raw), 0)
    checksum = zlib.crc32(directory, zlib.crc32(head))
    return b"".join((_HEAD.pack(_MAGIC, total, len(directory), len(raw), checksum), directory, *sections))


def open_directory(data: memoryview) -> tuple[Directory, int]:
    """The directory, and where the sections begin. Raises IndexCorrupt."""
    if len(data) < _HEAD.size:
        raise IndexCorrupt(f"{len(data)} bytes are too few for an index")
    magic, total, stored, size, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC or total != len(data) or size > _MAX_DIRECTORY:
        raise IndexCorrupt("it does not begin as an index of this length does")
    start = _HEAD.size + stored
    head = _HEAD.pack(magic, total, stored, size, 0)
    if zlib.crc32(data[_HEAD.size : start], zlib.crc32(head)) != checksum:
        raise IndexCorrupt("its directory is damaged")
    try:
        directory = msgspec.msgpack.decode(inflate(data[_HEAD.size : start], size), type=Directory)
    except msgspec.DecodeError as error:
        raise IndexCorrupt("its directory is none") from error
    if directory.origin[1] <= 0:
        raise IndexCorrupt("the film begins at no time")
    for track in directory.tracks:
        if not (
            0 <= track.count <= MAX_PACKETS and track.timescale > 0 and 0 <= track.sync[0] <= track.count
        ):
            raise IndexCorrupt("its directory claims what no film has")
    return directory, start


def read_section(data: memoryview, position: int, stored: int, checksum: int, limit: int) -> bytes:
    """A section inflated, at most `limit` bytes. Raises IndexCorrupt."""
    if not 0 <= position <= position + stored <= len(data):
        raise IndexCorrupt("a section lies outside the index")
    section = data[position : position + stored]
    if zlib.crc32(section) != checksum:
        raise IndexCorrupt("a section is damaged")
    return inflate(section, limit, exact=False)


def block_table(entry: TrackEntry) -> BlockTable:
    """The track's blocks. Raises IndexCorrupt when they are not as many as its packets need."""
    number = -(-entry.count // BLOCK)
    if len(entry.blocks) != number * _BLOCK_COLUMNS * 8:
        raise IndexCorrupt("its directory does not have a row for each block")
    numbers = from_bytes("q", entry.blocks)
    return BlockTable(*(numbers[at * number : (at + 1) * number] for at in range(_BLOCK_COLUMNS)))


def read_block(data: memoryview, start: int, table: BlockTable, number: int, length: int) -> Columns:
    """The `length` packets of block `number`; `start` is where the sections begin. Raises IndexCorrupt."""
    where = start + table.position[number], table.stored[number], table.checksum[number]
    raw = read_section(data, *where, limit=5 * (1 + 8 * length))
    steps, shifts, sizes, gaps, flags = unpack_columns(raw, 5, length)
    if flags.typecode != "b":
        raise IndexCorrupt("a block has flags that do not exist")
    try:
        decode_times = array("q", accumulate(islice(steps, 1, None), initial=table.decode_start[number]))
        ahead = map(add, islice(gaps, 1, None), sizes)
        offsets = array("q", accumulate(ahead, initial=table.offset_start[number]))
        times = array("q", map(add, decode_times, shifts))
        return Columns(times, decode_times, array("q", sizes), offsets, bytes(flags))
    except (ValueError, OverflowError) as error:
        raise IndexCorrupt("a block does not add up") from error


def read_sync(data: memoryview, start: int, entry: TrackEntry) -> SyncPoints:
    """The list of sync packets of a track that has one; `start` is where the sections begin. Raises IndexCorrupt."""
    number, position, stored, checksum = entry.sync
    raw = read_section(data, start + position, stored, checksum, limit=4 * (1 + 8 * number))
    steps, time_steps, shown, leading = unpack_columns(raw, 4, number)
    try:
        return SyncPoints(array("q", accumulate(steps)), array("q", accumulate(time_steps)), shown, leading)
    except OverflowError as error:
        raise IndexCorrupt("the list of sync packets does not add up") from error


def sync_points(columns: Columns) -> SyncPoints:
    """The sync packets among these, which are all of a track."""
    sync = columns.sync
    numbers = array("q", compress(count(), sync))
    times = array("q", compress(columns.times, sync))
    shown = array("q", compress(columns.shown, sync))
    ends = [*numbers, len(columns)][1:]
    groups = (columns.times[first + 1 : stop] for first, stop in zip(numbers, ends, strict=True))
    leading = array("q", (sum(map(time.__gt__, group)) for time, group in zip(times, groups, strict=True)))
    return SyncPoints(numbers, times, shown, leading)


def _encode_track(track: TrackIndex, position: int) -> tuple[TrackEntry, list[bytes]]:
    """The track's entry and its sections, the first of which lies at `position`."""
    columns, total = track.columns, len(track.columns)
    all_sync = bool(total) and total == sum(columns.sync)
    sections: list[bytes] = []
    sync = (0, 0, 0, 0)
    if not all_sync:
        points = sync_points(columns)
        steps = (_steps(points.numbers), _steps(points.times), points.shown, points.leading)
        sections.append(deflate(pack_columns(steps)))
        sync = (len(points.numbers), position, len(sections[0]), zlib.crc32(sections[0]))
        position += len(sections[0])
    rows: list[tuple[int, ...]] = []
    for start in range(0, total, BLOCK):
        block = columns.slice(start, start + BLOCK)
        section = _encode_block(block)
        shown = array("q", block.shown_times())
        low, high = (min(shown), max(shown)) if shown else (MAX_TICKS, -MAX_TICKS)
        span = block.byte_span() or (-1, -1)
        base = (block.decode_times[0], block.offsets[0])
        rows.append((position, len(section), zlib.crc32(section), *base, low, high, *span))
        sections.append(section)
        position += len(section)
    entry = TrackEntry(
        stream=track.stream,
        kind=track.kind,
        timescale=track.timescale,
        start=track.start,
        stop=track.stop,
        exact_offsets=track.exact_offsets,
        count=total,
        shown=sum(columns.shown),
        size=sum(columns.sizes),
        all_sync=all_sync,
        sync=sync,
        blocks=b"".join(to_bytes(column) for column in zip(*rows, strict=True)),
    )
    return entry, sections


def _encode_block(block: Columns) -> bytes:
    gaps = map(sub, _steps(block.offsets)[1:], block.sizes)
    return deflate(
        pack_columns(
            (
                array("q", (0, *_steps(block.decode_times)[1:])),
                array("q", map(sub, block.times, block.decode_times)),
                block.sizes,
                array("q", (0, *gaps)),
                array("b", block.flags),
            )
        )
    )


def _steps(column: array[int]) -> array[int]:
    """The first number, then how far each is from the one before."""
    return array("q", (*column[:1], *map(sub, column[1:], column)))
