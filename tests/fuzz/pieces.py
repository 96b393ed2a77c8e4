"""What comes out of converters' pipes, to be damaged: init segments, fragments, packed samples; and EBML by itself."""

from __future__ import annotations

from pathlib import Path

from media_service.errors import MediaRejected
from media_service.matroska import ebml
from media_service.mp4.boxes import BoxCutter, walk
from media_service.mp4.fragments import Defaults, pack_samples, read_fragment, read_track, unpack_samples
from media_service.mp4.init_segment import build_init, read_init
from tests.fuzz.mutations import Seed
from tests.fuzz.seeds import BOXES, ELEMENTS, mp4_seed
from tests.fuzz.watched import Target

MOST_BOX_BYTES = 1 << 24
# A trun may claim 200,000 samples in twenty bytes; each is a tuple of four numbers.
FRAGMENT_BYTES = 96 << 20


def targets(fragmented: Path) -> list[Target]:
    """Those of a fragmented film of two tracks."""
    data = fragmented.read_bytes()
    whole = mp4_seed(fragmented)
    boxes = list(walk(data))
    moof = next(box for box in boxes if box.type == "moof")
    of_moof = [
        (start - moof.start, stop - moof.start)
        for start, stop in whole.units
        if moof.start <= start < moof.stop
    ]
    fragment = Seed("moof", data[moof.start : moof.stop], [(0, moof.size)], of_moof, BOXES)
    found = read_track(fragment.data, 1, Defaults(512, 1, 0))
    assert found is not None
    packed = pack_samples(found[1])
    head = bytes.fromhex("1A45DFA3 84 4286 81 01 18538067 8C 1654AE6B 87 AE 85 D7 81 01 83 81")
    return [
        Target("init segments", [whole], _init, (MediaRejected,)),
        Target("fragments", [fragment], _fragment, (MediaRejected,), most_bytes=FRAGMENT_BYTES),
        Target("pipes", [whole], _pipe, (MediaRejected,)),
        Target("samples", [Seed("samples", packed, [(0, len(packed))])], unpack_samples, (MediaRejected,)),
        Target("ebml", [Seed("ebml", head, [(0, len(head))], [(0, 4), (4, 9)], ELEMENTS)], _elements, (MediaRejected,)),
    ]  # fmt: skip


def _init(data: bytes) -> None:
    build_init(read_init(data))


def _fragment(data: bytes) -> None:
    read_track(data, 1, Defaults(512, 1, 0))
    # Of several tracks it refuses all, of one it reads the same.
    read_fragment(data)


def _pipe(data: bytes) -> None:
    cutter = BoxCutter(MOST_BOX_BYTES)
    at = 0
    for at in range(0, len(data), 4099):
        cutter.feed(data[at : at + 4099])
    cutter.finish()


def _elements(data: bytes) -> None:
    for _, start, stop in ebml.walk(data):
        for _ in ebml.walk(data, start, stop):
            pass
