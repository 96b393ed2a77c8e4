"""What a file's first bytes announce. Only to say why a file was refused: what it is, the demuxers decide."""

from __future__ import annotations

from collections.abc import Mapping

_MAGIC: Mapping[str, tuple[tuple[int, bytes], ...]] = {
    "an MP4 or QuickTime film": tuple(
        (4, box) for box in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
    ),
    "a Matroska or WebM film": ((0, b"\x1aE\xdf\xa3"),),
    "an AVI film": ((8, b"AVI "),),
    "an MPEG film": ((0, b"\0\0\1\xba"), (0, b"\0\0\1\xb3")),
    "a Flash film": ((0, b"FLV"),),
    "an Ogg film": ((0, b"OggS"),),
    "a Windows Media film": ((0, b"0&\xb2u\x8ef\xcf\x11"),),
}


def container_of(head: bytes) -> str | None:
    """What the file's first bytes announce, in words for a person; None for anything that is not read here."""
    for name, marks in _MAGIC.items():
        if any(head.startswith(mark, offset) for offset, mark in marks):
            return name
    packets = [head[offset : offset + 1] for offset in (0, 188, 376)]  # ISO/IEC 13818-1 s2.4.3.2: sync byte
    return "an MPEG transport stream" if packets == [b"\x47"] * 3 else None
