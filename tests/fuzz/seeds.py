"""Honest bytes to begin with, and which of them tell a reader something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from media_service.matroska.ebml import read_header
from media_service.mp4.boxes import Box, children, walk
from tests.fuzz.mutations import Seed, Span

CONTAINERS = {"moov", "trak", "mdia", "minf", "stbl", "edts", "mvex", "moof", "traf", "dinf", "udta"}
# What readers look for, and what stands there in other files.
BOXES = [
    *(b"moov", b"mdat", b"ftyp", b"free", b"moof", b"traf", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"elst"),
    *(b"stts", b"ctts", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"stss", b"stsd", b"mvex", b"trex", b"tfhd"),
    *(b"tfdt", b"trun", b"sidx", b"mfra", b"cmov", b"avc1", b"avcC", b"hev1", b"hvcC", b"mp4a", b"esds", b"sinf"),
    *(b"encv", b"enca", b"frma", b"wave", b"colr", b"nclx", b"pasp", b"vide", b"soun", b"text", b"sowt", b"uuid"),
]  # fmt: skip
ELEMENTS = [
    bytes.fromhex(text)
    for text in [
        "1A45DFA3",
        "18538067",
        "1549A966",
        "1654AE6B",
        "1F43B675",
        "1C53BB6B",
        "A3",
        "A0",
        "A1",
        "AE",
        "D7",
        "83",
        "86",
        "63A2",
        "6D80",
        "E0",
        "55B0",
        "EC",
        "BF",
        "FF",
        "01FFFFFFFFFFFFFF",
        "80",
        "E7",
    ]
]
_OPENED = {0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0xA0, 0x1549A966}
_MASTER_LIMIT = 20_000  # elements of a seed


def mp4_seed(path: Path) -> Seed:
    """A film in MP4: all of it tells but what is in `mdat`."""
    data = path.read_bytes()
    boxes = list(boxes_of(data))
    telling = [(box.start, box.payload_start if box.type == "mdat" else box.stop) for box in walk(data)]
    return Seed(path.name, data, telling, [(box.start, box.stop) for box in boxes], BOXES)


def boxes_of(data: bytes) -> Iterator[Box]:
    """All boxes, at all depths that readers go to."""
    waiting = list(walk(data))
    while waiting:
        box = waiting.pop(0)
        yield box
        if box.type in CONTAINERS:
            waiting += children(data, box)


def matroska_seed(path: Path) -> Seed:
    """A film in Matroska: all of it tells but the frames, of which only the beginnings do."""
    data = path.read_bytes()
    telling, units = [], []
    for start, payload, stop, opened in _elements(data):
        telling.append((start, payload if opened else min(stop, payload + 64)))
        units.append((start, stop))
    return Seed(path.name, data, telling, units, ELEMENTS)


def _elements(data: bytes) -> Iterator[tuple[int, int, int, bool]]:
    at = 0
    for _ in range(_MASTER_LIMIT):
        if at >= len(data):
            return
        name, size, payload = read_header(data, at)
        stop = len(data) if size is None else payload + size
        opened = name in _OPENED
        yield at, payload, stop, opened
        at = payload if opened else stop


def text_seed(name: str, text: str, *words: str) -> Seed:
    """A header, or several: all of it tells, and what is between its signs are its pieces."""
    data = text.encode()
    units: list[Span] = [match.span() for match in re.finditer(rb"[^\s,;=:/.]+[\s,;=:/.]*", data)]
    return Seed(name, data, [(0, len(data))], units, [word.encode() for word in words])
