"""Boxes of the ISO base media file format (ISO/IEC 14496-12 s4.2): walk them, cut them out of a stream, write them.

A box is a 32-bit size, a four-character type and a payload; size 1 means that a 64-bit size follows, size 0 that the
box runs to the end of what encloses it. Nothing here recurses, and nothing is allocated on the word of a file: a size
is believed only after it was compared with the bytes that are there.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from media_service.errors import AbsurdMedia, BrokenMedia, TruncatedMedia

SHORT_HEADER = 8  # bytes: size, type
LONG_HEADER = 16  # bytes: 1, type, 64-bit size
MAX_BOXES = (
    2000  # on one level of a moov; real ones have a few dozen, and a film of empty boxes would take minutes
)
LARGEST_SHORT = (1 << 32) - 1  # bytes: what a 32-bit size or chunk offset can say


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies: `start` in bytes from the beginning of what was walked, `size` including the header."""

    type: str
    start: int
    header_size: int
    size: int

    @property
    def stop(self) -> int:
        """The first byte after the box."""
        return self.start + self.size

    @property
    def payload_start(self) -> int:
        """The first byte after the header."""
        return self.start + self.header_size


def read_header(head: bytes, start: int, stop: int) -> Box:
    """The box whose first bytes are `head` (16 where there are as many) at `start`; `stop` ends what encloses it.

    Does not check that the box ends before `stop`: the caller knows what it means when it does not. Raises BrokenMedia
    for a header that is cut or a size smaller than its header.
    """
    if len(head) < SHORT_HEADER:
        raise BrokenMedia(f"{len(head)} stray bytes stand where a box should at byte {start}")
    size, name = struct.unpack_from(">I4s", head)
    header_size = SHORT_HEADER
    if size == 1:
        if len(head) < LONG_HEADER:
            raise BrokenMedia(f"the header of the box at byte {start} is cut")
        header_size = LONG_HEADER
        (size,) = struct.unpack_from(">Q", head, SHORT_HEADER)
    elif size == 0:
        size = stop - start
    if size < header_size:
        raise BrokenMedia(f"the box at byte {start} claims {size} bytes, less than its own header")
    return Box(name.decode("latin-1"), start, header_size, size)


def walk(
    data: bytes, start: int = 0, stop: int | None = None, *, max_boxes: int = MAX_BOXES
) -> Iterator[Box]:
    """The boxes of one level in data[start:stop], in order; positions are positions in `data`.

    Up to seven zero bytes after the last box are passed over: QuickTime ends some lists with a zero word. Raises
    BrokenMedia for a box that leaves its level, AbsurdMedia for more than `max_boxes` on it.
    """
    stop = len(data) if stop is None else stop
    count = 0
    while start < stop:
        if stop - start < SHORT_HEADER and not any(data[start:stop]):
            return
        box = read_header(data[start : min(start + LONG_HEADER, stop)], start, stop)
        if box.stop > stop:
            raise BrokenMedia(f"the {box.type!r} box at byte {start} is larger than what encloses it")
        count += 1
        if count > max_boxes:
            raise AbsurdMedia(f"more than {max_boxes} boxes lie on one level")
        yield box
        start = box.stop


def children(data: bytes, box: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes directly inside `box`, after `skip` bytes of fields of its own."""
    return walk(data, box.payload_start + skip, box.stop)


def find(data: bytes, *path: str, within: Box | None = None) -> Box | None:
    """The first box reached by `path` ("moov", "trak", "tkhd"), looked for in `data` or inside the box `within`."""
    found = within
    for name in path:
        level = walk(data) if found is None else children(data, found)
        found = next((box for box in level if box.type == name), None)
        if found is None:
            return None
    return found


def require(data: bytes, *path: str, within: Box | None = None) -> Box:
    """As `find`, but raises BrokenMedia where there is none."""
    found = find(data, *path, within=within)
    if found is None:
        raise BrokenMedia(f"the {'/'.join(path)!r} box is missing")
    return found


def fields(layout: str, data: bytes, box: Box, at: int = 0) -> tuple[Any, ...]:
    """Unpack `layout` (as `struct`, without byte order) `at` bytes into the payload. Raises BrokenMedia if it is cut."""
    layout = ">" + layout
    position = box.payload_start + at
    if position + struct.calcsize(layout) > box.stop:
        raise BrokenMedia(f"the {box.type!r} box is shorter than its fields")
    return struct.unpack_from(layout, data, position)


def column(typecode: str, data: bytes, box: Box, at: int, count: int) -> array[int]:
    """`count` big-endian numbers of `array` type `typecode` from `at` bytes into the payload, read in one go.

    Raises BrokenMedia when the box does not hold that many, before anything is allocated.
    """
    numbers = array(typecode)
    position = box.payload_start + at
    length = count * numbers.itemsize
    if position + length > box.stop:
        raise BrokenMedia(f"the {box.type!r} box claims {count} entries and has no room for them")
    numbers.frombytes(memoryview(data)[position : position + length])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def packed(numbers: array[int]) -> bytes:
    """The numbers as big-endian bytes: the inverse of `column`."""
    if sys.byteorder == "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def build_box(name: str, *payload: bytes) -> bytes:
    """A box with a 32-bit size."""
    return struct.pack(">I4s", SHORT_HEADER + sum(map(len, payload)), name.encode("latin-1")) + b"".join(
        payload
    )


def build_full_box(name: str, version: int, flags: int, *payload: bytes) -> bytes:
    """A box that begins with a version and 24 bits of flags (s4.2 FullBox)."""
    return build_box(name, struct.pack(">I", version << 24 | flags), *payload)


def build_header(name: str, payload_size: int) -> bytes:
    """The header of a box with a payload of that many bytes; 64-bit only when it must be."""
    size = SHORT_HEADER + payload_size
    if size <= LARGEST_SHORT:
        return struct.pack(">I4s", size, name.encode("latin-1"))
    return struct.pack(">I4sQ", 1, name.encode("latin-1"), LONG_HEADER + payload_size)


@dataclass(frozen=True, slots=True)
class CutBox:
    """A whole box cut out of a stream: `start` is its position in the stream, `data` its bytes with the header."""

    type: str
    start: int
    data: bytes

    @property
    def header_size(self) -> int:
        """Bytes before the payload."""
        return LONG_HEADER if self.data[:4] == b"\0\0\0\1" else SHORT_HEADER

    @property
    def payload_start(self) -> int:
        """Position of the payload in the stream."""
        return self.start + self.header_size


class BoxCutter:
    """Cuts a stream into its top-level boxes, however the stream is divided; holds at most one box."""

    def __init__(self, max_box_bytes: int) -> None:
        """`max_box_bytes`: the largest box taken, header included."""
        self._limit = max_box_bytes
        self._pending = bytearray()
        self._start = 0  # of the first pending byte in the stream

    def feed(self, data: bytes) -> list[CutBox]:
        """The boxes that `data` completes. Raises AbsurdMedia for a box over the limit, BrokenMedia for a bad header."""
        self._pending += data
        boxes = []
        while (size := self._next_size()) is not None and size <= len(self._pending):
            whole = bytes(memoryview(self._pending)[:size])
            boxes.append(CutBox(whole[4:8].decode("latin-1"), self._start, whole))
            del self._pending[:size]
            self._start += size
        return boxes

    def finish(self) -> None:
        """The stream has ended. Raises TruncatedMedia inside a box."""
        if self._pending:
            raise TruncatedMedia(f"the stream ended inside the box that begins at byte {self._start}")

    def _next_size(self) -> int | None:
        """Size of the box at the front in bytes; None while its header is not there yet."""
        head = bytes(self._pending[:LONG_HEADER])
        if len(head) < SHORT_HEADER:
            return None
        announced = int.from_bytes(head[:4], "big")
        if announced == 0:
            raise BrokenMedia("a box without a size cannot be cut out of a stream")
        if announced == 1 and len(head) < LONG_HEADER:
            return None
        box = read_header(head, self._start, self._start)
        if box.size > self._limit:
            raise AbsurdMedia(f"a {box.type!r} box of {box.size} bytes is over the limit of {self._limit}")
        return box.size
