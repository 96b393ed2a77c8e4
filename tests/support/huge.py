"""Films of many gigabytes that cost nothing: a small one with a hole in it, in a sparse file."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

from media_service.mp4.boxes import build_full_box, column, fields, packed, require


def with_hole(film: Path, path: Path, size: int) -> Path:
    """Write to `path` the film (MP4 of one track, `moov` at its end) made about `size` bytes long, and return it.

    The hole lies in front of the pictures, inside the `mdat`: they begin near the end, their offsets have 64 bits.
    """
    data = film.read_bytes()
    ftyp, mdat, old = (require(data, name) for name in ("ftyp", "mdat", "moov"))
    payload = data[mdat.payload_start : mdat.stop]
    start = size - len(payload) - (old.stop - old.start)
    with path.open("wb") as file:
        file.write(data[: ftyp.stop] + struct.pack(">I4sQ", 1, b"mdat", start + len(payload) - ftyp.stop))
        file.seek(start)
        file.write(payload + _moved(data[old.start : old.stop], start - mdat.payload_start))
    return path


def _moved(moov: bytes, distance: int) -> bytes:
    """The `moov` with its `stco` as a `co64` of offsets `distance` further on."""
    around = [require(moov, *("moov", "trak", "mdia", "minf", "stbl")[:depth]) for depth in range(1, 6)]
    stco = require(moov, "stco", within=around[-1])
    count = fields("II", moov, stco)[1]
    offsets = array("Q", (offset + distance for offset in column("I", moov, stco, 8, count)))
    co64 = build_full_box("co64", 0, 0, struct.pack(">I", count), packed(offsets))
    data = bytearray(moov)
    for box in around:
        struct.pack_into(">I", data, box.start, box.size + len(co64) - stco.size)
    data[stco.start : stco.stop] = co64
    return bytes(data)
