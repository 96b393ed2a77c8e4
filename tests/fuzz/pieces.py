"""Small things to be damaged, of which each byte tells: what comes out of converters' pipes, EBML, sample tables."""

from __future__ import annotations

from pathlib import Path

from media_service.errors import MediaRejected
from media_service.matroska import ebml
from media_service.mp4.boxes import BoxCutter, build_header, walk
from media_service.mp4.fragments import (
    Defaults,
    build_fragment,
    pack_samples,
    read_fragment,
    read_track,
    unpack_samples,
)
from media_service.mp4.init_segment import build_init, read_init
from media_service.mp4.samples import read_movie
from tests.fuzz.mutations import Seed
from tests.fuzz.seeds import BOXES, ELEMENTS, boxes_of, mp4_seed
from tests.fuzz.watched import Target
from tests.mp4.films import elst, moov, raw_sound, stbl, table, trak

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
    alone = build_fragment(sequence=1, track_id=1, base_time=found[0], samples=found[1])
    alone = alone[: -len(build_header("mdat", 0))]
    single = Seed(
        "moof of one", alone, [(0, len(alone))], [(box.start, box.stop) for box in boxes_of(alone)], BOXES
    )
    packed = pack_samples(found[1])
    head = bytes.fromhex("1A45DFA3 84 4286 81 01 18538067 8C 1654AE6B 87 AE 85 D7 81 01 83 81")
    return [
        Target("init segments", [whole], _init, (MediaRejected,)),
        Target("fragments", [fragment, single], _fragment, (MediaRejected,), most_bytes=FRAGMENT_BYTES),
        Target("pipes", [whole], _pipe, (MediaRejected,)),
        Target("samples", [Seed("samples", packed, [(0, len(packed))])], unpack_samples, (MediaRejected,)),
        Target("tables", _tables(), _movie, (MediaRejected,)),
        Target("ebml", [Seed("ebml", head, [(0, len(head))], [(0, 4), (4, 9)], ELEMENTS)], _elements, (MediaRejected,)),
    ]  # fmt: skip


FILE_BYTES = 1000  # of the film that the tables are of


def _tables() -> list[Seed]:
    """Movies of a few samples, with every kind of table that is read."""
    offsets = table("ctts", (1, 20), (2, 0))
    signed = table("ctts", (3, 0xFFFFFFF6), version=1)
    sync = table("stss", (1,), (3,))
    edits = elst((100, 0), (50, 10), version=1)
    made = {
        "plain": moov(trak(stbl(more=offsets + sync), edits=elst((600, 20)))),
        "signed": moov(
            trak(stbl(more=signed + sync, chunks=(100, 130), per_chunk=((1, 2, 1), (2, 1, 1))), edits=edits)
        ),
        "uniform": moov(trak(stbl(uniform=(20, 40), times=((39, 10), (1, 5)), per_chunk=((1, 40, 1),)))),
        "raw sound": moov(raw_sound(size=4, count=60, chunks=(100, 200), per_chunk=((1, 30, 1),))),
        "two": moov(trak(stbl()), trak(stbl(), handler=b"soun"), timescale=1000),
    }
    found = []
    for name, data in made.items():
        units = [(box.start, box.stop) for box in boxes_of(data)]
        found.append(Seed(name, data, [(0, len(data))], units, BOXES))
    return found


def _movie(data: bytes) -> None:
    movie = read_movie(data, file_size=FILE_BYTES)
    for track in movie.tracks:
        times, span = track.presentation_times(), track.presentation_span()
        assert len(times) == track.count
        assert span is None or span[0] <= span[1]


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
