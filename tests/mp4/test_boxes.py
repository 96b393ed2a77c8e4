"""Boxes: walked within strict bounds, cut out of streams under any division, never believed."""

from __future__ import annotations

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia, MediaRejected, TruncatedMedia
from media_service.mp4.boxes import (
    Box,
    BoxCutter,
    CutBox,
    build_box,
    build_full_box,
    build_header,
    children,
    column,
    fields,
    find,
    packed,
    require,
    walk,
)

LONG_FREE = struct.pack(">I4sQ", 1, b"free", 21) + b"hello"
STREAM = build_box("ftyp", b"isom") + LONG_FREE + build_box("moof") + build_box("mdat", b"x" * 40)


def test_boxes_are_walked_in_order_with_their_positions() -> None:
    assert list(walk(STREAM)) == [
        Box("ftyp", 0, 8, 12),
        Box("free", 12, 16, 21),
        Box("moof", 33, 8, 8),
        Box("mdat", 41, 8, 48),
    ]


def test_a_box_of_size_zero_runs_to_the_end_of_its_level() -> None:
    data = b"\0\0\0\0mdat" + b"abc" + b"after"
    assert list(walk(data, 0, 11)) == [Box("mdat", 0, 8, 11)]


def test_a_zero_word_at_the_end_of_a_list_is_passed_over() -> None:
    assert [box.type for box in walk(build_box("udta") + bytes(4))] == ["udta"]


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x09free",
        b"\0\0\0\x07free",
        b"\0\0\0\x08fre",
        b"\0\0\0\1free\0\0\0\0\0\0\0",
        b"\0\0\0\1free\0\0\0\0\0\0\0\x0f",
        b"\0\0\0\1free" + b"\xff" * 8,
    ],
)
def test_a_box_that_leaves_its_level_or_contradicts_itself_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        list(walk(data))


def test_a_path_of_names_finds_the_first_such_box() -> None:
    data = build_box("moov", build_box("trak"), build_box("trak", build_box("tkhd", b"1")))
    assert find(data, "moov", "trak") == Box("trak", 8, 8, 8)
    assert find(data, "moov", "trak", "tkhd") is None
    second = list(children(data, require(data, "moov")))[1]
    assert find(data, "tkhd", within=second) == Box("tkhd", 24, 8, 9)
    with pytest.raises(BrokenMedia, match="missing"):
        require(data, "moov", "mvhd")


def test_fields_and_columns_are_read_only_where_they_are() -> None:
    data = build_full_box("stco", 0, 0, b"\0\0\0\2", b"\0\0\0\7", b"\0\0\1\0")
    box = require(data, "stco")
    assert fields("II", data, box) == (0, 2)
    assert column("I", data, box, 8, 2).tolist() == [7, 256]
    assert packed(column("I", data, box, 8, 2)) == b"\0\0\0\7\0\0\1\0"
    with pytest.raises(BrokenMedia):
        fields("II", data, box, 9)
    with pytest.raises(BrokenMedia):
        column("I", data, box, 8, 3)
    with pytest.raises(BrokenMedia):
        column("Q", data, box, 8, (1 << 32) - 1)


@given(st.lists(st.integers(0, (1 << 32) - 1)))
def test_a_packed_column_reads_back(numbers: list[int]) -> None:
    before = array("I", numbers)
    data = build_box("test", packed(before))
    assert column("I", data, require(data, "test"), 0, len(numbers)) == before


@pytest.mark.parametrize(("payload", "header_size"), [(0, 8), ((1 << 32) - 9, 8), ((1 << 32) - 8, 16)])
def test_a_header_is_64_bit_only_when_it_must_be(payload: int, header_size: int) -> None:
    assert len(build_header("mdat", payload)) == header_size


def cut(pieces: list[bytes]) -> list[CutBox]:
    cutter = BoxCutter(1000)
    boxes = [box for piece in pieces for box in cutter.feed(piece)]
    cutter.finish()
    return boxes


def test_a_stream_is_cut_alike_whole_and_byte_by_byte_and_split_anywhere() -> None:
    whole = cut([STREAM])
    assert [(box.type, box.start, box.payload_start) for box in whole] == [
        ("ftyp", 0, 8),
        ("free", 12, 28),
        ("moof", 33, 41),
        ("mdat", 41, 49),
    ]
    assert b"".join(box.data for box in whole) == STREAM
    assert cut([STREAM[at : at + 1] for at in range(len(STREAM))]) == whole
    for at in range(len(STREAM)):
        assert cut([STREAM[:at], STREAM[at:]]) == whole


def test_a_stream_that_ends_inside_a_box_is_truncated() -> None:
    for at in (1, 8, 11, 13, 27, len(STREAM) - 1):
        cutter = BoxCutter(1000)
        cutter.feed(STREAM[:at])
        with pytest.raises(TruncatedMedia):
            cutter.finish()


def test_a_box_over_the_limit_is_refused_at_its_header() -> None:
    with pytest.raises(AbsurdMedia):
        BoxCutter(1000).feed(build_header("mdat", 993))
    with pytest.raises(AbsurdMedia):
        BoxCutter(1000).feed(struct.pack(">I4sQ", 1, b"mdat", (1 << 64) - 1))


def test_a_box_without_a_size_cannot_be_cut() -> None:
    with pytest.raises(BrokenMedia):
        BoxCutter(1000).feed(b"\0\0\0\0mdat")


@given(st.binary(max_size=200), st.lists(st.integers(1, 20)))
def test_any_bytes_give_whole_boxes_or_an_error_of_the_table(data: bytes, sizes: list[int]) -> None:
    cutter = BoxCutter(100)
    got = b""
    try:
        for size in [*sizes, 200]:
            got += b"".join(box.data for box in cutter.feed(data[:size]))
            data = data[size:]
        cutter.finish()
        list(walk(got))
    except MediaRejected:
        pass
