"""What is a plain baseline JPEG, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import BrokenMedia
from media_service.jpeg.segments import EOI, Header, read_header, read_jpeg
from tests.jpeg.pictures import HEADER, JPEG, ffmpeg_tiles, segment


def test_a_header_says_how_large_the_picture_is_and_where_its_data_begins() -> None:
    header = read_jpeg(JPEG)
    assert header == Header(
        size=len(HEADER),
        width=32,
        height=48,
        height_at=HEADER.index(b"\0\x30\0\x20"),
        scan_at=HEADER.index(b"\xff\xda"),
        mcu_width=16,
        mcu_height=16,
    )
    assert header.mcus == 6


def test_a_header_alone_can_be_read() -> None:
    assert read_header(HEADER) == read_jpeg(JPEG)
    with pytest.raises(BrokenMedia):
        read_jpeg(HEADER)


@pytest.mark.parametrize(("size", "mcus"), [((256, 144), 144), ((250, 144), 144), ((144, 256), 144)])
def test_what_ffmpeg_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, size: tuple[int, int], mcus: int
) -> None:
    (tile, *_) = ffmpeg_tiles(tmp_path_factory.mktemp("tiles"), size, count=1)
    header = read_jpeg(tile)
    assert (header.width, header.height) == size
    assert header.mcus == mcus
    assert (header.mcu_width, header.mcu_height) == (16, 16)


def test_a_grey_picture_has_blocks_for_mcus() -> None:
    grey = HEADER.replace(
        segment(0xC0, "08 0030 0020 03 01 22 00 02 11 01 03 11 01"), segment(0xC0, "08 0030 0020 01 01 22 00")
    )
    grey = grey.replace(segment(0xDA, "03 01 00 02 11 03 11 00 3f 00"), segment(0xDA, "01 01 00 00 3f 00"))
    assert read_header(grey).mcus == 24


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("ff d8", "ff d9", id="no SOI"),
        pytest.param("ff c0", "ff c2", id="progressive"),
        pytest.param("ff c0", "ff c9", id="arithmetic"),
        pytest.param("ff c0", "ff e1", id="no frame"),
        pytest.param("ff c4", "ff fe", id="no Huffman tables"),
        pytest.param("ff db", "ff fe", id="no quantisation tables"),
        pytest.param("ff c4 00 05 00 01 02", "ff dd 00 04 00 06", id="restart interval"),
        pytest.param("ff db 00 04", "ff db 00 01", id="a segment shorter than its length"),
        pytest.param("ff db", "fe db", id="no marker"),
        pytest.param("08 00 30 00 20", "0c 00 30 00 20", id="twelve bits"),
        pytest.param("08 00 30 00 20", "08 00 00 00 20", id="a height that comes later"),
        pytest.param("08 00 30 00 20", "08 00 30 00 00", id="no width"),
        pytest.param("03 01 22 00", "03 01 02 00", id="sampling by nothing"),
        pytest.param("03 01 22 00", "04 01 22 00", id="four components"),
        pytest.param(
            "03 01 00 02 11 03 11 00 3f 00", "03 01 00 02 11 04 11 00 3f 00", id="a scan of another component"
        ),
        pytest.param(
            "03 01 00 02 11 03 11 00 3f 00", "03 01 00 02 11 03 11 00 05 00", id="a scan of some coefficients"
        ),
    ],
)
def test_anything_else_is_refused(old: str, new: str) -> None:
    before = bytes.fromhex(old)
    assert before in JPEG
    with pytest.raises(BrokenMedia):
        read_jpeg(JPEG.replace(before, bytes.fromhex(new), 1))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(JPEG[:-2], id="no EOI"),
        pytest.param(JPEG + b"\0", id="something behind it"),
        pytest.param(HEADER + b"\x12\xff\xd0\x34" + EOI, id="a restart marker"),
        pytest.param(HEADER + b"\x12\xff\xff\x00" + EOI, id="a fill byte"),
        pytest.param(HEADER + b"\x12" + HEADER[2:] + EOI, id="a second frame"),
    ],
)
def test_data_goes_on_until_eoi_and_has_no_marker(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        read_jpeg(data)


def test_a_cut_header_is_refused_wherever_it_is_cut() -> None:
    for length in range(len(HEADER)):
        with pytest.raises(BrokenMedia):
            read_header(HEADER[:length])


@given(st.integers(0, len(JPEG) - 1), st.binary(max_size=6), st.integers(0, 8))
def test_no_bytes_make_it_fail_in_another_way(at: int, inserted: bytes, removed: int) -> None:
    data = JPEG[:at] + inserted + JPEG[at + removed :]
    try:
        header = read_jpeg(data)
    except BrokenMedia:
        return
    assert 0 < header.scan_at < header.size <= len(data) - 2
    assert data[header.scan_at : header.scan_at + 2] == b"\xff\xda"
    assert int.from_bytes(data[header.height_at : header.height_at + 2]) == header.height
