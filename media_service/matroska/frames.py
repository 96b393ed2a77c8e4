"""Where each frame of a Matroska or WebM film lies: one way through all blocks, over the payloads (RFC 9559 s5.1.3, s10).

Demuxers tell where a block begins; what is served without encoding needs the first byte of each frame. Live streams have
clusters and segments of unknown size, which end where something begins that cannot be inside (RFC 8794 s6.2). A file that
breaks off gives the frames that are whole.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.matroska.blocks import read_block
from media_service.matroska.ebml import LONGEST_HEADER, Read, Window, read_header
from media_service.matroska.tracks import EBML_HEADER, SEGMENT, TRACKS, segment_start

_CLUSTER, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0x1F43B675, 0xA3, 0xA0, 0xA1
# The children of a segment: SeekHead, Info, Tracks, Cluster, Cues, Attachments, Chapters, Tags.
_TOP = {0x114D9B74, 0x1549A966, TRACKS, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
# How many elements deep what matters lies: what is gone into, and what has frames.
_OPENED = {_CLUSTER: 1, _BLOCK_GROUP: 2}
_BLOCKS = {_SIMPLE_BLOCK: 2, _BLOCK: 3}

ELEMENTS_PER_FRAME = 16  # more than any block group has
SPARE_ELEMENTS = 1_000_000  # of clusters, cues, padding


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one track in the order of the file: first byte and size of each ("q")."""

    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))


def find_frames(read: Read, size: int, numbers: Collection[int], *, most: int) -> dict[int, Frames]:
    """The frames of the tracks with these numbers, in a film of `size` bytes; at most as many as it may have.

    Raises BrokenMedia for a file that is damaged, AbsurdMedia for more than `most` frames, or out of all proportion to them.
    """
    file = Window(read, size)
    found = {number: Frames() for number in numbers}
    left = most
    for start, stop in _blocks(file, most * ELEMENTS_PER_FRAME + SPARE_ELEMENTS):
        number, edges = read_block(file, start, stop)
        frames = found.get(number)
        if frames is None:
            continue
        left -= len(edges) - 1
        if left < 0:
            raise AbsurdMedia("the film has more frames than packets")
        for first, last in pairwise(edges):
            frames.offsets.append(first)
            frames.sizes.append(last - first)
    return found


def _blocks(file: Window, most: int) -> Iterator[tuple[int, int]]:
    """The half-open spans of all blocks, in order. Raises BrokenMedia, and AbsurdMedia for more than `most` elements."""
    position, stop = segment_start(file)
    levels = _Levels(file.size, stop)
    for _ in range(most):
        if not levels.has(position):
            return
        data, at = file.at(position, LONGEST_HEADER)
        try:
            name, size, payload = read_header(data, at)
        except BrokenMedia:
            if file.size - position < LONGEST_HEADER:
                return  # the file breaks off in it
            raise
        if name in {EBML_HEADER, SEGMENT}:
            return  # another film behind this one
        levels.begin(name)
        start, deep = position + payload - at, len(levels.ends)
        stop = levels.stop_of(name, start, size)
        if stop > file.size:
            return  # the file breaks off in it
        if _OPENED.get(name) == deep:
            levels.ends.append(stop)
            position = start
            continue
        if _BLOCKS.get(name) == deep:
            yield start, stop
        position = stop
    raise AbsurdMedia("the film has more elements than its frames can need")


class _Levels:
    """Where the segment, the cluster and the group of blocks end that a place is in, as far as it is in them (`ends`)."""

    def __init__(self, file_size: int, stop: int) -> None:
        self.ends = [stop]
        self._file_size = file_size
        self._endless = False  # the cluster is of unknown size

    def has(self, position: int) -> bool:
        """Leave what ends at `position`; False at the end of it all."""
        while len(self.ends) > 1 and position >= self.ends[-1]:
            self.ends.pop()
        return position < self.ends[-1]

    def begin(self, name: int) -> None:
        """An element `name` begins: it ends a cluster of unknown size that it cannot lie in. Raises BrokenMedia."""
        if name in _TOP and len(self.ends) > 1:
            if not self._endless or len(self.ends) > 2:
                raise BrokenMedia("a cluster of Matroska does not end where it should")
            self.ends.pop()

    def stop_of(self, name: int, start: int, size: int | None) -> int:
        """Where the element ends whose payload begins at `start`; behind the file's end when that comes too early.

        What is gone into ends with the file at the latest. Raises BrokenMedia for what leaves that which encloses it.
        """
        around = self.ends[-1]
        if name == _CLUSTER:
            self._endless = size is None
        elif size is None:
            raise BrokenMedia(f"the element {name:X} of Matroska has no size")
        stop = around if size is None else start + size
        if stop > around and around < self._file_size:
            raise BrokenMedia(f"the element {name:X} is larger than what encloses it")
        return min(stop, around) if name in _OPENED else stop
