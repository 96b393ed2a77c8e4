"""The boxes that every `moov` of ours begins with, the same bytes for the same input: no clock, no random, no names.

Durations are in the timescale that goes with them. Version 1 of a box (64-bit times) is used only when it must be.
"""

from __future__ import annotations

import struct

from media_service.mp4.boxes import LARGEST_SHORT, build_box, build_full_box

_UNDETERMINED = 0x55C4  # the language "und", three letters of five bits (s8.4.2)
_ENABLED_IN_MOVIE = 3  # tkhd flags (s8.3.2)


def build_ftyp(major: str, *compatible: str) -> bytes:
    """The file type box (ISO/IEC 14496-12 s4.3)."""
    return build_box("ftyp", major.encode(), bytes(4), *(brand.encode() for brand in compatible))


def build_mvhd(*, timescale: int, duration: int, next_track_id: int) -> bytes:
    """The movie header (s8.2.2)."""
    version, times = _times(f"I{_width(duration)}", timescale, duration)
    rest = (
        struct.pack(">IH10x", 0x10000, 0x100)
        + _matrix(0, 0, 0)
        + bytes(24)
        + struct.pack(">I", next_track_id)
    )
    return build_full_box("mvhd", version, 0, times, rest)


def build_tkhd(
    *, track_id: int, duration: int, width: int, height: int, volume: bool, rotation: int = 0
) -> bytes:
    """The track header (s8.3.2); `duration` in the movie's timescale, the sides in pixels before the rotation.

    `rotation` is by how many degrees clockwise a player has to turn the picture: 0, 90, 180 or 270.
    """
    version, times = _times(f"I4x{_width(duration)}", track_id, duration)
    rest = struct.pack(">8xHHHxx", 0, 0, 0x100 if volume else 0) + _matrix(rotation, width, height)
    rest += struct.pack(">II", width << 16, height << 16)
    return build_full_box("tkhd", version, _ENABLED_IN_MOVIE, times, rest)


def build_media(*, timescale: int, duration: int, handler: str, sample_table: bytes) -> bytes:
    """The `mdia` box (s8.4.1) around the content of its `stbl`; `duration` in the track's timescale."""
    version, times = _times(f"I{_width(duration)}", timescale, duration)
    mdhd = build_full_box("mdhd", version, 0, times, struct.pack(">HH", _UNDETERMINED, 0))
    # QuickTime players show the name; parsers of the wild want it to end with a zero.
    name = {"vide": b"VideoHandler\0", "soun": b"SoundHandler\0"}.get(handler, b"\0")
    hdlr = build_full_box("hdlr", 0, 0, bytes(4), handler.encode("latin-1"), bytes(12), name)
    header = {"vide": build_full_box("vmhd", 0, 1, bytes(8)), "soun": build_full_box("smhd", 0, 0, bytes(4))}
    here = build_full_box("url ", 0, 1)  # flag 1: the media is in this very file (s8.7.2)
    dinf = build_box("dinf", build_full_box("dref", 0, 0, struct.pack(">I", 1), here))
    minf = build_box(
        "minf", header.get(handler, build_full_box("nmhd", 0, 0)), dinf, build_box("stbl", sample_table)
    )
    return build_box("mdia", mdhd, hdlr, minf)


def _matrix(rotation: int, width: int, height: int) -> bytes:
    """Turns the picture about its corner, then moves it back to where it began (s6.2.2)."""
    a, b, c, d, x, y = {
        0: (1, 0, 0, 1, 0, 0),
        90: (0, 1, -1, 0, height, 0),
        180: (-1, 0, 0, -1, width, height),
        270: (0, -1, 1, 0, 0, width),
    }[rotation]
    fixed = (number << 16 for number in (a, b, 0, c, d, 0, x, y))
    return struct.pack(">9i", *fixed, 0x40000000)


def _width(duration: int) -> str:
    return "I" if duration <= LARGEST_SHORT else "Q"


def _times(layout: str, *values: int) -> tuple[int, bytes]:
    """Version, and creation and modification time (never said: 0) followed by `values`."""
    version = int(layout.endswith("Q"))
    return version, bytes(16 if version else 8) + struct.pack(">" + layout, *values)
