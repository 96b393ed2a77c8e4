"""JPEGs of one header stacked into one tall JPEG, without looking at their pixels: each becomes a restart interval.

At a restart marker the prediction of DC coefficients begins anew (ITU-T T.81 F.1.1.5.1, F.2.1.3.1), as at the beginning of
a scan, and the data before it is filled up to a byte, as before EOI. So entropy-coded data of a picture that is whole rows
of MCUs may stand between two of them as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from media_service.jpeg.segments import EOI, Header

LARGEST = 0xFFFF  # what the two bytes of a height or of a restart interval can say

_DRI = b"\xff\xdd\0\x04"
_RST0 = 0xD0

Span = tuple[int, int]


def sheet_header(data: bytes, header: Header, count: int) -> bytes:
    """What stands before the entropy-coded data of `count` pictures stacked, each with the `header` that begins `data`.

    Raises ValueError when they are not whole rows of MCUs, or more than a JPEG can hold.
    """
    height = count * header.height
    if header.height % header.mcu_height or not 1 <= height <= LARGEST or header.mcus > LARGEST:
        raise ValueError(f"{count} pictures of {header.width} x {header.height} cannot be stacked")
    return b"".join(
        (
            data[: header.height_at],
            height.to_bytes(2, "big"),
            data[header.height_at + 2 : header.scan_at],
            _DRI,
            header.mcus.to_bytes(2, "big"),
            data[header.scan_at : header.size],
        )
    )


def stacked(head: bytes, scans: Iterable[Span]) -> Iterator[bytes | Span]:
    """The whole sheet: `head` (of `sheet_header`), and the pictures' entropy-coded data with what goes between them."""
    yield head
    for number, scan in enumerate(scans):
        if number:
            yield bytes((0xFF, _RST0 + (number - 1) % 8))
        yield scan
    yield EOI
