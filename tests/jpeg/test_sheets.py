"""Stacked pictures are the pictures, to the pixel, as real decoders see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_service.jpeg.segments import read_jpeg
from media_service.jpeg.sheets import sheet_header, stacked
from tests.jpeg.pictures import JPEG, ffmpeg_tiles, pixels


def sheet(tiles: list[bytes]) -> bytes:
    """The tiles as one JPEG."""
    header = read_jpeg(tiles[0])
    blob = b"".join(tiles)
    scans, at = [], 0
    for tile in tiles:
        scans.append((at + header.size, at + len(tile) - 2))
        at += len(tile)
    head = sheet_header(tiles[0], header, len(tiles))
    return b"".join(part if isinstance(part, bytes) else blob[slice(*part)] for part in stacked(head, scans))


def planes(data: bytes, width: int, height: int) -> tuple[bytes, bytes, bytes]:
    luma, chroma = width * height, (width + 1) // 2 * (height // 2)
    return data[:luma], data[luma : luma + chroma], data[luma + chroma :]


@pytest.mark.parametrize(
    ("size", "count"), [((256, 144), 25), ((250, 144), 3), ((144, 256), 16), ((640, 16), 9), ((192, 144), 1)]
)
def test_a_sheet_decodes_to_its_tiles_one_below_the_other(
    tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    (tmp_path / "tiles").mkdir()
    tiles = ffmpeg_tiles(tmp_path / "tiles", size, count)
    width, height = size
    each = [planes(pixels(tmp_path, tile), width, height) for tile in tiles]
    assert len(set(each)) == count
    whole = planes(pixels(tmp_path, sheet(tiles)), width, count * height)
    for number, plane in enumerate(whole):
        assert plane == b"".join(one[number] for one in each)


def test_a_sheet_says_its_height_and_where_its_tiles_end(tmp_path: Path) -> None:
    tiles = ffmpeg_tiles(tmp_path, (256, 144), 12)
    made = sheet(tiles)
    header = read_jpeg(tiles[0])
    assert int.from_bytes(made[header.height_at : header.height_at + 2]) == 12 * 144
    assert made[header.scan_at : header.scan_at + 6] == b"\xff\xdd\0\x04" + (16 * 9).to_bytes(2)
    marks = [made[at + 1] for at in range(header.size + 6, len(made)) if made[at] == 0xFF and made[at + 1]]
    assert marks == [*range(0xD0, 0xD8), 0xD0, 0xD1, 0xD2, 0xD9]
    # Nothing else is in it: a byte more for each tile would be a copy of its header.
    assert len(made) == header.size + 6 + sum(len(tile) - header.size - 2 for tile in tiles) + 2 * 11 + 2


def test_pictures_that_cannot_be_stacked_are_refused() -> None:
    header = read_jpeg(JPEG)
    for count in (0, 0xFFFF // header.height + 1):
        with pytest.raises(ValueError, match="cannot be stacked"):
            sheet_header(JPEG, header, count)
    odd = JPEG.replace(b"\0\x30\0\x20", b"\0\x31\0\x20")
    with pytest.raises(ValueError, match="cannot be stacked"):
        sheet_header(odd, read_jpeg(odd), 2)
