"""The moov-first view: the same film to every reader, whatever the size and shape of the file."""

from __future__ import annotations

import os
import struct
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import BrokenMedia, MediaRejected, TruncatedMedia
from media_service.mp4.boxes import Box, build_box, build_full_box, column, fields, packed, require, walk
from media_service.mp4.layout import top_level
from media_service.mp4.rewrite import View, moov_first
from tests.support.media import ffmpeg, framemd5
from tests.support.shared import corpus, shared_file

AT_END = [entry["file"] for entry in corpus("ok") if entry.get("boxes", {}).get("moov_after_mdat")]
FTYP = build_box("ftyp", b"isom", bytes(4))


def view_of(data: bytes) -> View | None:
    boxes = list(top_level(lambda start, stop: data[start:stop], len(data)))
    whole = {box.type: data[box.start : box.stop] for box in reversed(boxes)}
    return moov_first(boxes, whole.get("moov", b""), whole.get("ftyp", b""), len(data))


def served(data: bytes, view: View) -> bytes:
    out = view.header + b"".join(data[start:stop] for start, stop in view.spans)
    assert len(out) == view.size
    return out


def chunk_table(name: str, offsets: list[int]) -> bytes:
    numbers = packed(array("I" if name == "stco" else "Q", offsets))
    return build_full_box(name, 0, 0, struct.pack(">I", len(offsets)), numbers)


def moov_of(*tables: bytes) -> bytes:
    traks = [
        build_box("trak", build_box("mdia", build_box("minf", build_box("stbl", table), b"rest"[:0])))
        for table in tables
    ]
    return build_box("moov", build_box("mvhd", b"m"), *traks, build_box("udta", b"kept"))


def offsets_of(moov: bytes) -> list[tuple[str, list[int]]]:
    found = []
    for trak in (box for box in walk(moov, 8) if box.type == "trak"):
        table = next(walk(moov, require(moov, "mdia", "minf", "stbl", within=trak).payload_start))
        _, count = fields("II", moov, table)
        found.append(
            (table.type, column("I" if table.type == "stco" else "Q", moov, table, 8, count).tolist())
        )
    return found


@pytest.mark.parametrize("name", AT_END)
def test_ffmpeg_reads_the_same_packets_from_the_view_as_from_the_original(name: str, tmp_path: Path) -> None:
    original = shared_file(f"corpus/{name}")
    data = original.read_bytes()
    view = view_of(data)
    assert view is not None
    path = tmp_path / "view.mp4"
    path.write_bytes(served(data, view))
    assert [box.type for box in walk(path.read_bytes())][:2] == ["ftyp", "moov"]
    assert framemd5(path) == framemd5(original)
    peer = tmp_path / "peer.mp4"
    ffmpeg("-i", original, "-map", "0", "-c", "copy", "-copyts", "-movflags", "+faststart", peer)
    ours, theirs = ([line.split(",")[-1] for line in framemd5(file)] for file in (path, peer))
    assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize("name", [entry["file"] for entry in corpus("ok") if entry["file"] not in AT_END])
def test_a_file_with_its_moov_in_front_is_served_as_it_is(name: str) -> None:
    path = shared_file(f"corpus/{name}")
    if path.suffix == ".mp4":
        assert view_of(path.read_bytes()) is None


def test_every_box_is_kept_and_several_mdats_move_by_their_own_distance() -> None:
    free, first, second = build_box("free", b"f"), build_box("mdat", b"abcd"), build_box("mdat", b"efgh")
    wide = build_box("wide")
    a = len(FTYP) + len(free) + 8
    moov = moov_of(chunk_table("stco", [a, a + 2]), chunk_table("co64", [0, a + 4]))
    b = len(FTYP) + len(free) + len(first) + len(moov) + len(wide) + 8
    moov = moov_of(chunk_table("stco", [a, b + 2]), chunk_table("co64", [a + 2, b]))
    data = FTYP + free + first + moov + wide + second
    view = view_of(data)
    assert view is not None
    out = served(data, view)
    assert [box.type for box in walk(out)] == ["ftyp", "moov", "free", "mdat", "wide", "mdat"]
    boxes = offsets_of(out[len(FTYP) : len(FTYP) + len(moov)])
    assert [name for name, _ in boxes] == ["stco", "co64"]
    assert [[out[at : at + 2] for at in offsets] for _, offsets in boxes] == [[b"ab", b"gh"], [b"cd", b"ef"]]
    assert b"kept" in out


def test_offsets_that_outgrow_32_bits_become_co64_and_every_size_around_is_right() -> None:
    # The highest offsets pass 2^32 only because the moov moves in front; one table's growth pushes the other over.
    top = (1 << 32) - 1
    mdat_size = (1 << 32) + 1000
    empty = len(moov_of(chunk_table("stco", [0, 0]), chunk_table("stco", [0])))
    moov = moov_of(chunk_table("stco", [100, top - empty + 1]), chunk_table("stco", [top - empty - 7]))
    boxes = [
        Box("ftyp", 0, 8, len(FTYP)),
        Box("mdat", len(FTYP), 16, mdat_size),
        Box("moov", len(FTYP) + mdat_size, 8, len(moov)),
    ]
    view = moov_first(boxes, moov, FTYP, boxes[-1].stop)
    assert view is not None
    assert view.spans == ((len(FTYP), len(FTYP) + mdat_size),)
    header = view.header[len(FTYP) :]
    grown = 4 * 3
    assert len(header) == len(moov) + grown
    moved = len(header)
    assert offsets_of(header) == [
        ("co64", [100 + moved, top - empty + 1 + moved]),
        ("co64", [top - empty - 7 + moved]),
    ]
    assert [box.type for box in walk(header, 8)] == ["mvhd", "trak", "trak", "udta"]


def with_far_offsets(moov: bytes, distance: int) -> bytes:
    """The moov of a film of one track with its stco as a co64 of offsets `distance` bytes further on."""
    around = [require(moov, *("moov", "trak", "mdia", "minf", "stbl")[:depth]) for depth in range(1, 6)]
    stco = require(moov, "stco", within=around[-1])
    offsets = column("I", moov, stco, 8, fields("II", moov, stco)[1])
    co64 = chunk_table("co64", [offset + distance for offset in offsets])
    data = bytearray(moov)
    for box in around:
        struct.pack_into(">I", data, box.start, box.size + len(co64) - stco.size)
    data[stco.start : stco.stop] = co64
    return bytes(data)


def test_ffmpeg_reads_a_view_of_more_than_4_gib(tmp_path: Path) -> None:
    """The original has a hole of 5 GiB in its mdat; sparse files make that free."""
    small, huge, out = tmp_path / "small.mp4", tmp_path / "huge.mp4", tmp_path / "view.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2", "-c:v", "libx264", small)
    data = small.read_bytes()
    ftyp, mdat, old = (require(data, name) for name in ("ftyp", "mdat", "moov"))
    payload = data[mdat.payload_start : mdat.stop]
    start = 5 << 30
    moov = with_far_offsets(data[old.start : old.stop], start - mdat.payload_start)
    with huge.open("wb") as file:
        file.write(data[: ftyp.stop] + struct.pack(">I4sQ", 1, b"mdat", start + len(payload) - ftyp.stop))
        file.seek(start)
        file.write(payload + moov)
    assert framemd5(huge) == framemd5(small)
    size = huge.stat().st_size
    with huge.open("rb") as file:
        boxes = top_level(lambda a, b: os.pread(file.fileno(), b - a, a), size)
    view = moov_first(boxes, moov, data[: ftyp.stop], size)
    assert view is not None
    assert view.spans == ((ftyp.stop, start + len(payload)),)
    with out.open("wb") as file:
        file.write(view.header)
        file.write(struct.pack(">I4sQ", 1, b"mdat", start + len(payload) - ftyp.stop))
        file.seek(len(view.header) + start - ftyp.stop)
        file.write(payload)
    assert out.stat().st_size == view.size
    assert framemd5(out) == framemd5(small)


def test_a_chunk_table_that_fits_in_32_bits_stays_as_it_is() -> None:
    moov = moov_of(chunk_table("stco", [len(FTYP) + 8]))
    data = FTYP + build_box("mdat", b"abcd") + moov
    view = view_of(data)
    assert view is not None
    assert len(view.header) == len(FTYP) + len(moov)
    assert offsets_of(view.header[len(FTYP) :]) == [("stco", [len(FTYP) + 8 + len(moov)])]


def test_a_moov_that_runs_to_the_end_gets_a_size_of_its_own() -> None:
    moov = moov_of(chunk_table("stco", [len(FTYP) + 8]))
    data = FTYP + build_box("mdat", b"abcd") + bytes(4) + moov[4:]
    view = view_of(data)
    assert view is not None
    assert [box.type for box in walk(served(data, view))] == ["ftyp", "moov", "mdat"]


def test_half_a_million_chunks_take_well_under_a_second() -> None:
    count = 500_000
    offsets = list(range(len(FTYP) + 16, len(FTYP) + 16 + count))
    moov = moov_of(chunk_table("stco", offsets))
    boxes = [Box("ftyp", 0, 8, len(FTYP)), Box("mdat", len(FTYP), 16, 1 << 30)]
    boxes.append(Box("moov", boxes[-1].stop, 8, len(moov)))
    view = moov_first(boxes, moov, FTYP, boxes[-1].stop)
    assert view is not None
    assert offsets_of(view.header[len(FTYP) :]) == [("stco", [at + len(moov) for at in offsets])]


@pytest.mark.parametrize(
    "names", [["ftyp", "mdat"], ["ftyp", "moov"], ["moov", "mdat"], ["moof", "mdat", "moov"]]
)
def test_a_file_without_something_to_move_has_no_view(names: list[str]) -> None:
    data = b"".join(moov_of() if name == "moov" else build_box(name) for name in names)
    assert view_of(data) is None


def test_fragmented_and_compressed_moovs_are_left_alone() -> None:
    for name in ("mvex", "cmov"):
        assert view_of(FTYP + build_box("mdat") + build_box("moov", build_box(name))) is None


def test_a_chunk_beyond_the_file_or_in_its_header_is_an_error() -> None:
    mdat = build_box("mdat", b"abcd")
    for offset, error in [(5, BrokenMedia), (len(FTYP) + len(mdat) + 1, TruncatedMedia)]:
        with pytest.raises(error):
            view_of(FTYP + mdat + moov_of(chunk_table("stco", [offset])))


def test_the_offset_zero_of_a_chunk_that_is_not_there_stays_zero() -> None:
    data = FTYP + build_box("mdat", b"abcd") + moov_of(chunk_table("stco", [0, len(FTYP) + 8]))
    view = view_of(data)
    assert view is not None
    assert offsets_of(view.header[len(FTYP) :])[0][1][0] == 0


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_give_a_view_or_an_error_of_the_table(data: st.DataObject) -> None:
    mdat = build_box("mdat", bytes(50))
    film = bytearray(FTYP + mdat + moov_of(chunk_table("stco", [30, 40]), chunk_table("co64", [50])))
    for _ in range(data.draw(st.integers(1, 4))):
        film[data.draw(st.integers(0, len(film) - 1))] = data.draw(st.integers(0, 255))
    try:
        view = view_of(bytes(film))
    except MediaRejected:
        return
    if view is not None:
        assert len(served(bytes(film), view)) == view.size
