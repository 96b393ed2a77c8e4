"""Sample entries made by hand from the standards, for tests."""

from __future__ import annotations

import struct

from media_service.mp4.boxes import build_box, build_full_box


def stsd(*entries: bytes, version: int = 0) -> bytes:
    return build_full_box("stsd", version, 0, struct.pack(">I", len(entries)), *entries)


def visual(name: str, *boxes: bytes, width: int = 1920, height: int = 1080) -> bytes:
    fields = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HH", width, height) + bytes(50)
    return build_box(name, fields, *boxes)


def audio(
    name: str, *boxes: bytes, version: int = 0, channels: int = 2, rate: int = 48000, more: bytes = b""
) -> bytes:
    fields = bytes(6) + b"\0\1" + struct.pack(">H6xHHHHI", version, channels, 16, 0, 0, rate << 16)
    return build_box(name, fields, more, *boxes)


def avc_entry() -> bytes:
    return visual("avc1", build_box("avcC", bytes.fromhex("01640028ffe10000")))


def esds(object_type: int, specific: bytes = b"\x11\x90", *, flags: int = 0, extra: bytes = b"") -> bytes:
    decoder = bytes([object_type, 0x15]) + bytes(11) + b"\x05" + bytes([len(specific)]) + specific
    es = bytes([0, 1, flags]) + extra + b"\x04\x80\x80\x80" + bytes([len(decoder)]) + decoder
    return build_full_box("esds", 0, 0, b"\x03" + bytes([len(es)]) + es)
