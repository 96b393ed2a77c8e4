"""Blocks of Matroska (RFC 9559 s10): one frame of a track, or several that are laced together to save their headers.

A block is the track's number, a time, flags, and where it is laced how many frames there are and how large each is. Only
the place of the frames is read; when they are shown, a demuxer tells better.
"""

from __future__ import annotations

from itertools import accumulate

from media_service.errors import BrokenMedia
from media_service.matroska.ebml import Window, read_number

# Bytes of a block within which it says all of itself: 255 sizes in the widest way of EBML are 2 kB, in Xiph's as much as
# frames of half a megabyte together need.
LONGEST_HEAD = 4096

_LACING = 0x06
_XIPH, _FIXED = 0x02, 0x04
_FIELDS = 12  # bytes at most: the track's number, time, flags, how many frames


def read_block(file: Window, start: int, stop: int) -> tuple[int, list[int]]:
    """The number of the track, and the edges of the frames of the block that lies in [start, stop).

    Frame n lies in [edges[n], edges[n + 1]). Raises BrokenMedia for a block that is none.
    """
    data, at = file.at(start, min(stop - start, _FIELDS))
    try:
        number, flags = read_number(data, at)
        flags += 2
        first = start + flags + 1 - at
        if number is None or first > stop:
            raise BrokenMedia("a block of Matroska is of no track, or cut")
        if not data[flags] & _LACING:
            return number, [first, stop]
        return number, _laced(file, data[flags] & _LACING, first, stop)
    except IndexError as error:
        raise BrokenMedia("a block of Matroska is cut") from error


def _laced(file: Window, lacing: int, start: int, stop: int) -> list[int]:
    """The edges of frames of which there are several (s10.3). `start`: of their number. Raises IndexError when cut."""
    length = min(stop - start, LONGEST_HEAD)
    data, at = file.at(start, length)
    head = data[at : at + length]
    frames = head[0] + 1
    if lacing == _XIPH:
        sizes, used = _xiph(head, 1, frames)
    elif lacing == _FIXED:
        sizes, used = _fixed(stop - start - 1, frames), 1
    else:
        sizes, used = _ebml(head, 1, frames)
    edges = list(accumulate(sizes, initial=start + used))
    if min(sizes, default=0) < 0 or edges[-1] > stop:
        raise BrokenMedia("frames of Matroska are larger than the block that they lie in")
    return [*edges, stop]


def _xiph(data: bytes, at: int, frames: int) -> tuple[list[int], int]:
    """The sizes of all frames but the last, and where they end (s10.3.2): bytes are added up to the first that is not 255."""
    sizes = []
    for _ in range(frames - 1):
        size = 0
        while data[at] == 255:
            size, at = size + 255, at + 1
        sizes.append(size + data[at])
        at += 1
    return sizes, at


def _ebml(data: bytes, at: int, frames: int) -> tuple[list[int], int]:
    """The same for s10.3.3: the first size is a number, each other one a difference, moved so that none is negative."""
    sizes: list[int] = []
    for _ in range(frames - 1):
        start = at
        number, at = read_number(data, at)
        if number is None:
            raise BrokenMedia("a frame of Matroska is of no size")
        moved = (1 << 7 * (at - start) - 1) - 1
        sizes.append(sizes[-1] + number - moved if sizes else number)
    return sizes, at


def _fixed(size: int, frames: int) -> list[int]:
    """The sizes alone for s10.3.4: all frames are equally large, `size` bytes together."""
    size, rest = divmod(size, frames)
    if rest:
        raise BrokenMedia("frames of one size do not fill their block")
    return [size] * (frames - 1)
