"""AVIF: one AV1 frame as a picture (AV1 Image File Format s2; HEIF, ISO/IEC 23008-12; items, ISO/IEC 14496-12 s8.11)."""

from __future__ import annotations

import struct

from media_service.errors import BrokenMedia
from media_service.mp4.boxes import (
    build_box,
    build_full_box,
    build_header,
    require,
)
from media_service.mp4.fragments import read_fragment
from media_service.mp4.init_segment import read_init
from media_service.mp4.movie_boxes import build_ftyp
from media_service.mp4.plain_entry import build_colr
from media_service.mp4.sample_entry import entry_boxes

_ITEM = 1
_BITS = bytes((3, 8, 8, 8))  # three channels of 8 bits
_SRGB = 13  # transfer function, as players show BT.709 (ISO/IEC 23091-2)


def avif(film: bytes, width: int, height: int) -> bytes:
    """The first frame of a fragmented MP4 of AV1 in BT.709, limited range, as an AVIF picture of that size in pixels.

    Raises BrokenMedia where it is not there.
    """
    moof = require(film, "moof")
    frame = read_fragment(film[moof.start : moof.stop])
    if not frame.samples:
        raise BrokenMedia("a fragment without a frame")
    begin = moof.start + frame.data_offset
    data = film[begin : begin + frame.samples[0].size]
    if len(data) != frame.samples[0].size:
        raise BrokenMedia("the frame is cut off")
    properties = (
        build_full_box("ispe", 0, 0, struct.pack(">II", width, height)),
        build_full_box("pixi", 0, 0, _BITS),
        _configuration(film),
        build_colr(1, _SRGB, 1, full_range=False),
    )
    head = build_ftyp("avif", "avif", "mif1", "miaf")
    size = len(head) + len(_meta(properties, 0, len(data)))
    mdat = build_header("mdat", len(data))
    return head + _meta(properties, size + len(mdat), len(data)) + mdat + data


def _configuration(film: bytes) -> bytes:
    """The `av1C` of the track (AV1 in ISOBMFF s2.3)."""
    moov = require(film, "moov")
    stsd = read_init(film[moov.start : moov.stop]).stsd
    _, boxes = entry_boxes(stsd, require(stsd, "stsd"), "vide")
    for box in boxes:
        if box.type == "av1C" and box.stop > box.payload_start:
            return stsd[box.start : box.stop]
    raise BrokenMedia("the frame is not AV1")


def _meta(properties: tuple[bytes, ...], offset: int, size: int) -> bytes:
    """What says that the picture is `size` bytes from `offset` of the file on; itself of the same length whatever these are."""
    place = struct.pack(">HHHHHII", 0x4400, 1, _ITEM, 0, 1, offset, size)  # offsets and lengths of 4 bytes
    entry = build_full_box("infe", 2, 0, struct.pack(">HH4sB", _ITEM, 0, b"av01", 0))
    # Which properties the picture has, counted from 1. Without its configuration nobody may decode it: essential.
    associations = bytes((1, 2, 3 | 0x80, 4))
    of_item = struct.pack(">IHB", 1, _ITEM, len(associations)) + associations
    return build_full_box(
        "meta",
        0,
        0,
        build_full_box("hdlr", 0, 0, struct.pack(">I4s12xx", 0, b"pict")),
        build_full_box("pitm", 0, 0, struct.pack(">H", _ITEM)),
        build_full_box("iloc", 0, 0, place),
        build_full_box("iinf", 0, 0, struct.pack(">H", 1), entry),
        build_box("iprp", build_box("ipco", *properties), build_full_box("ipma", 0, 0, of_item)),
    )
