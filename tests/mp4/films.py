"""Small `moov` boxes made by hand, to say in them whatever a file may say."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

from media_service.mp4.boxes import build_box, build_full_box, packed
from tests.mp4.sample_entries import audio, avc_entry, stsd


def words(*numbers: int) -> bytes:
    return packed(array("I", numbers))


def table(name: str, *rows: Sequence[int], version: int = 0) -> bytes:
    return build_full_box(name, version, 0, words(len(rows), *(number for row in rows for number in row)))


def stbl(
    *,
    sizes: Sequence[int] | None = None,
    uniform: tuple[int, int] | None = None,
    chunks: Sequence[int] = (100,),
    per_chunk: Sequence[tuple[int, int, int]] = ((1, 3, 1),),
    times: Sequence[tuple[int, int]] = ((3, 10),),
    more: bytes = b"",
    entry: bytes | None = None,
) -> bytes:
    """The boxes of a sample table; the default has three samples of 10, 20 and 30 bytes in one chunk at 100."""
    sizes = (10, 20, 30) if sizes is None else sizes
    size, count = uniform or (0, len(sizes))
    stsz = build_full_box("stsz", 0, 0, words(size, count, *([] if uniform else sizes)))
    stco = table("stco", *((chunk,) for chunk in chunks))
    boxes = stsd(entry or avc_entry()), table("stts", *times), table("stsc", *per_chunk), stsz, stco, more
    return build_box("stbl", *boxes)


def elst(*edits: tuple[int, int], version: int = 0) -> bytes:
    layout = ">QqI" if version else ">IiI"
    entries = b"".join(struct.pack(layout, *edit, 0x10000) for edit in edits)
    return build_box("edts", build_full_box("elst", version, 0, words(len(edits)), entries))


def trak(
    sample_table: bytes, *, handler: bytes = b"vide", edits: bytes = b"", timescale: int = 1000
) -> bytes:
    tkhd = build_full_box("tkhd", 0, 3, bytes(8), words(7), bytes(68))
    mdhd = build_full_box("mdhd", 0, 0, bytes(8), words(timescale, 0, 0))
    hdlr = build_full_box("hdlr", 0, 0, bytes(4), handler, bytes(13))
    return build_box("trak", tkhd, edits, build_box("mdia", mdhd, hdlr, build_box("minf", sample_table)))


def moov(*boxes: bytes, timescale: int = 600) -> bytes:
    mvhd = build_full_box("mvhd", 0, 0, bytes(8), words(timescale, 1200), bytes(80))
    return build_box("moov", mvhd, *boxes)


def raw_sound(
    *, size: int, count: int, chunks: Sequence[int], per_chunk: Sequence[tuple[int, int, int]]
) -> bytes:
    inside = stbl(
        uniform=(size, count), chunks=chunks, per_chunk=per_chunk, times=((count, 1),), entry=audio("sowt")
    )
    return trak(inside, handler=b"soun", timescale=48000)
