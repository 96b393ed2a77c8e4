"""EBML (RFC 8794): the elements that Matroska and WebM are made of, one inside another.

An element is an ID, a size and a payload. The numbers are of variable width: as many zero bits in front as bytes follow
the first one (s4). A size of ones only says that nobody knew it when it was written, as in a live stream (s6.2). Nothing
here recurses, and nothing is read or allocated on the word of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from media_service.errors import AbsurdMedia, BrokenMedia

Read = Callable[
    [int, int], bytes
]  # (start, stop) of the file -> its bytes there, which end where the file does

LONGEST_HEADER = (
    12  # bytes: an ID of four, a size of eight; EBMLMaxIDLength and EBMLMaxSizeLength of Matroska
)
WINDOW = (
    16 << 10
)  # bytes that are read at once: a dozen blocks of sound, and few of the picture that is jumped over
MAX_ELEMENTS = 2000  # in memory on one level; a track has a few dozen

# Bytes of a number by its first byte; 0 for a byte of zeros, which begins none that is this short.
_WIDTHS = bytes(9 - first.bit_length() if first else 0 for first in range(256))


class Window:
    """A file read at any place, a piece at a time. `size` is the file's, in bytes."""

    def __init__(self, read: Read, size: int) -> None:
        self.size = size
        self._read = read
        self._start = 0
        self._data = b""

    def at(self, position: int, length: int) -> tuple[bytes, int]:
        """Some bytes of the file, and where among them `position` is; `length` follow it unless the file ends before."""
        within = position - self._start
        if within < 0 or within + length > len(self._data):
            self._data = self._read(position, min(position + max(length, WINDOW), self.size))
            self._start, within = position, 0
        return self._data, within


def read_header(data: bytes, at: int) -> tuple[int, int | None, int]:
    """The element that begins at `at`: its ID with the marker, its size (None where unknown), where its payload begins.

    Raises BrokenMedia for what is no header, or cut.
    """
    try:
        width = _WIDTHS[data[at]]
        if not 1 <= width <= 4:
            raise BrokenMedia("something else stands where an element of Matroska should")
        name = int.from_bytes(data[at : at + width], "big")
        size, payload = read_number(data, at + width)
    except IndexError as error:
        raise BrokenMedia("the header of an element of Matroska is cut") from error
    return name, size, payload


def read_number(data: bytes, at: int) -> tuple[int | None, int]:
    """The number at `at` (None where all its bits are ones) and where it ends. Raises BrokenMedia, IndexError when cut."""
    width = _WIDTHS[data[at]]
    stop = at + width
    if not width:
        raise BrokenMedia("a number of Matroska is wider than any")
    if stop > len(data):
        raise IndexError(stop)
    ones = (1 << 7 * width) - 1
    value = int.from_bytes(data[at:stop], "big") & ones
    return None if value == ones else value, stop


def walk(data: bytes, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, int, int]]:
    """The elements of one level in data[start:stop] as (ID, payload start, payload stop).

    Raises BrokenMedia for one that leaves its level or has no size, AbsurdMedia for more than MAX_ELEMENTS.
    """
    stop = len(data) if stop is None else stop
    for _ in range(MAX_ELEMENTS):
        if start >= stop:
            return
        name, size, payload = read_header(data, start)
        if size is None or payload + size > stop:
            raise BrokenMedia(f"the element {name:X} is larger than what encloses it")
        yield name, payload, payload + size
        start = payload + size
    if start < stop:
        raise AbsurdMedia(f"more than {MAX_ELEMENTS} elements of Matroska lie on one level")
