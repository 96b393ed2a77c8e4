"""Matroska by hand: elements, blocks and films out of bytes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

EBML_HEADER = 0x1A45DFA3
SEGMENT = 0x18538067
TRACKS = 0x1654AE6B
CLUSTER = 0x1F43B675
SIMPLE_BLOCK = 0xA3
BLOCK_GROUP = 0xA0
BLOCK = 0xA1
VOID = 0xEC
CUES = 0x1C53BB6B

XIPH, FIXED, EBML = 0x02, 0x04, 0x06


def number(value: int | None, width: int = 0) -> bytes:
    """A number of variable width; None: all ones."""
    if value is None:
        return ((1 << 7 * (width or 1) + 1) - 1).to_bytes(width or 1, "big")
    width = width or next(wide for wide in range(1, 9) if value < (1 << 7 * wide) - 1)
    return (1 << 7 * width | value).to_bytes(width, "big")


def element(name: int, *payload: bytes, width: int = 0, unknown: bool = False) -> bytes:
    content = b"".join(payload)
    size = number(None, width or 8) if unknown else number(len(content), width)
    return name.to_bytes(-(-name.bit_length() // 8), "big") + size + content


def block(track: int, *frames: bytes, lacing: int = 0) -> bytes:
    """What is in a block."""
    head = number(track) + b"\0\0" + bytes([0x80 | lacing])
    if not lacing:
        return head + b"".join(frames)
    sizes = [len(frame) for frame in frames]
    head += bytes([len(frames) - 1])
    if lacing == XIPH:
        head += b"".join(b"\xff" * (size // 255) + bytes([size % 255]) for size in sizes[:-1])
    elif lacing == EBML and len(sizes) > 1:
        head += number(sizes[0])
        head += b"".join(number(after - before + 0x1FFF, 2) for before, after in pairwise(sizes[:-1]))
    return head + b"".join(frames)


def track(
    number: int, kind: int = 1, codec: bytes = b"V_AV1", *more: bytes, private: bytes = b"\x81\0\0\0"
) -> bytes:
    """A TrackEntry."""
    fields = (element(0xD7, bytes([number])), element(0x83, bytes([kind])), element(0x86, codec))
    return element(0xAE, *fields, element(0x63A2, private), *more)


def film(*inside: bytes, unknown: bool = False) -> bytes:
    """A file with one segment."""
    return element(EBML_HEADER, element(0x4282, b"matroska")) + element(SEGMENT, *inside, unknown=unknown)


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """How a file of these bytes is read; reading outside of it is a mistake."""

    def read(start: int, stop: int) -> bytes:
        assert 0 <= start <= stop <= len(data)
        return data[start:stop]

    return read
