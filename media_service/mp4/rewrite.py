"""Any MP4 with its `moov` in front, without copying the film: a new header plus spans of the original bytes.

A player must have the `moov` before it can seek; phones, cameras and editors write it last. Moving it to the front
moves everything else back, so each chunk offset in it (`stco`, `co64`; ISO/IEC 14496-12 s8.7.5) is re-written.
Offsets may outgrow 32 bits on the way: then `stco` becomes `co64`, which makes the `moov` larger, which moves
everything again. That only ever grows, so it settles after at most one round per track.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media_service.errors import AbsurdMedia, BrokenMedia, TruncatedMedia
from media_service.mp4.boxes import (
    LARGEST_SHORT,
    LONG_HEADER,
    SHORT_HEADER,
    Box,
    build_full_box,
    children,
    column,
    fields,
    find,
    packed,
    require,
)


@dataclass(frozen=True, slots=True)
class View:
    """A file to serve: `header`, then the half-open `spans` of the original, in bytes."""

    header: bytes
    spans: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.header) + sum(stop - start for start, stop in self.spans)


@dataclass(frozen=True, slots=True)
class _ChunkTable:
    """One `stco` or `co64` in the moov, with the boxes around it from the outside in."""

    box: Box
    around: tuple[Box, ...]
    offsets: array[int]

    @property
    def highest(self) -> int:
        return max(self.offsets, default=0)

    def growth(self, *, wide: bool) -> int:
        """Bytes that the box gains when written anew; negative if it had slack after its last entry."""
        width = 8 if wide or self.box.type == "co64" else 4
        return SHORT_HEADER + 8 + width * len(self.offsets) - self.box.size


def moov_first(boxes: Sequence[Box], moov: bytes, ftyp: bytes, size: int) -> View | None:
    """The view of a file of `size` bytes with these top-level `boxes` that has its moov before all media data.

    `moov` and `ftyp` are those boxes whole, headers included (`ftyp` is empty where there is none). None when the file is
    best served as it is: moov in front already, fragmented, no moov or no media data, or a compressed moov. Raises
    BrokenMedia or TruncatedMedia when a chunk lies where no media data can be.
    """
    names = [box.type for box in boxes]
    if "moov" not in names or "mdat" not in names or "moof" in names:
        return None
    if names.index("moov") < names.index("mdat"):
        return None
    outer = require(moov, "moov")
    inside = {box.type for box in children(moov, outer)}
    if inside & {"mvex", "cmov"}:
        return None
    moved = [boxes[names.index(name)] for name in ("ftyp", "moov") if name in names]
    spans = _kept(sorted(moved, key=lambda box: box.start), size)
    tables = list(_chunk_tables(moov, outer))
    wide = [False] * len(tables)
    while True:
        grown = sum(table.growth(wide=flag) for table, flag in zip(tables, wide, strict=True))
        moves = _Moves(spans, len(ftyp) + len(moov) + grown)
        needed = [
            flag or moves.moved(table.highest) > LARGEST_SHORT
            for table, flag in zip(tables, wide, strict=True)
        ]
        if needed == wide:
            return View(ftyp + _rewritten(moov, outer, tables, wide, moves), spans)
        wide = needed


class _Moves:
    """Where each byte of the original goes: constant within a span, and order-preserving over all."""

    def __init__(self, spans: Sequence[tuple[int, int]], header_size: int) -> None:
        self._spans = spans
        self._starts = [start for start, _ in spans]
        self._by = []
        position = header_size
        for start, stop in spans:
            self._by.append(position - start)
            position += stop - start

    def moved(self, offset: int) -> int:
        """The new position of the byte at `offset`."""
        return offset + self._by[self._number(offset)] if offset else 0

    def all_moved(self, offsets: array[int]) -> Iterator[int]:
        """The new positions of all `offsets`."""
        if not offsets:
            return iter(())
        low, high = self._number(min(offsets)), self._number(max(offsets))
        if low == high and min(offsets):
            # Nearly every file: all chunks in one mdat. Half a million of them take milliseconds this way.
            return map(self._by[low].__add__, offsets)
        return map(self.moved, offsets)

    def _number(self, offset: int) -> int:
        """The number of the span that holds the byte at `offset`."""
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            # Offset 0 of an empty chunk, or of one in another file, is a habit of some writers: it stays 0.
            if offset == 0:
                return 0
            raise BrokenMedia(f"a chunk begins at byte {offset}, inside the file's own header")
        # A chunk may begin right at the end of a span only if it is empty.
        if offset > self._spans[number][1]:
            if number == len(self._spans) - 1:
                raise TruncatedMedia(f"a chunk begins at byte {offset}, beyond the end of the media data")
            raise BrokenMedia(f"a chunk begins at byte {offset}, inside the file's own header")
        return number


def _kept(moved: Sequence[Box], size: int) -> tuple[tuple[int, int], ...]:
    """What is left of [0, size) without the boxes that go to the front (sorted by position)."""
    edges = [0, *(edge for box in moved for edge in (box.start, box.stop)), size]
    return tuple((start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop)


def _chunk_tables(moov: bytes, outer: Box) -> Iterator[_ChunkTable]:
    for trak in children(moov, outer):
        if trak.type != "trak":
            continue
        around = [outer, trak]
        for name in ("mdia", "minf", "stbl"):
            inner = find(moov, name, within=around[-1])
            if inner is None:
                break
            around.append(inner)
        else:
            for box in children(moov, around[-1]):
                if box.type in {"stco", "co64"}:
                    _, count = fields("II", moov, box)
                    offsets = column("I" if box.type == "stco" else "Q", moov, box, 8, count)
                    yield _ChunkTable(box, tuple(around), offsets)


def _rewritten(
    moov: bytes, outer: Box, tables: Sequence[_ChunkTable], wide: Sequence[bool], moves: _Moves
) -> bytes:
    """The moov with its chunk offsets moved and the size of every box around a grown table put right."""
    growths: dict[Box, int] = dict.fromkeys(
        [outer], 0
    )  # the moov may have said "to the end": always said anew
    pieces: list[tuple[int, int, bytes]] = []  # replace moov[start:stop] by these bytes
    for table, flag in zip(tables, wide, strict=True):
        for box in table.around:
            growths[box] = growths.get(box, 0) + table.growth(wide=flag)
        long = flag or table.box.type == "co64"
        numbers = array("Q" if long else "I", moves.all_moved(table.offsets))
        entries = struct.pack(">I", len(numbers)) + packed(numbers)
        pieces.append(
            (table.box.start, table.box.stop, build_full_box("co64" if long else "stco", 0, 0, entries))
        )
    pieces += [
        (box.start, box.payload_start, _sized(moov, box, box.size + growth))
        for box, growth in growths.items()
    ]
    parts: list[bytes] = []
    position = 0
    for start, stop, data in sorted(pieces, key=lambda piece: piece[0]):
        parts += (moov[position:start], data)
        position = stop
    return b"".join((*parts, moov[position:]))


def _sized(moov: bytes, box: Box, size: int) -> bytes:
    """The header of `box` with another size."""
    name = moov[box.start + 4 : box.start + 8]
    if box.header_size == LONG_HEADER:
        return struct.pack(">I4sQ", 1, name, size)
    if size > LARGEST_SHORT:
        raise AbsurdMedia("the file's header is larger than 4 GiB")
    return struct.pack(">I4s", size, name)
