"""The top-level boxes of a file, found with a few small positional reads however large the file is."""

from __future__ import annotations

from collections.abc import Callable

from media_service.errors import AbsurdMedia, TruncatedMedia
from media_service.mp4.boxes import LONG_HEADER, SHORT_HEADER, Box, read_header

Read = Callable[[int, int], bytes]  # the bytes [start, stop) of the file, all of them

MAX_TOP_LEVEL_BOXES = (
    100_000  # a day of fragments of two seconds, each a moof and an mdat, with room to spare
)
MAX_MOOV_BYTES = (
    256 << 20
)  # a moov is read into memory; a day of 60 frames per second with sound needs 100 MiB


def top_level(read: Read, size: int, max_boxes: int = MAX_TOP_LEVEL_BOXES) -> list[Box]:
    """The top-level boxes of a file of `size` bytes (ISO/IEC 14496-12 s4.2: 64-bit sizes; size 0 = to the end).

    Up to seven bytes after the last box are ignored, as every reader does. Raises TruncatedMedia when a box ends
    beyond the file, BrokenMedia for an impossible size, AbsurdMedia for more than `max_boxes` boxes.
    """
    boxes: list[Box] = []
    start = 0
    while size - start >= SHORT_HEADER:
        if len(boxes) == max_boxes:
            raise AbsurdMedia(f"the file has more than {max_boxes} boxes")
        box = read_header(read(start, min(start + LONG_HEADER, size)), start, size)
        if box.stop > size:
            raise TruncatedMedia(
                f"the {box.type!r} box at byte {start} ends {box.stop - size} bytes beyond the file"
            )
        boxes.append(box)
        start = box.stop
    return boxes
