"""Packs of previews: which tile is shown when, how large tiles are, and packs as bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.index_columns import IndexCorrupt
from media_service.timeline.previews import (
    LONG_SIDE,
    MOST_TILES,
    ROWS,
    Pack,
    Tile,
    longest_us,
    pack_tiles,
    size_of,
    spacing_us,
    tile_at,
    unpack_tiles,
)

SECOND = 1_000_000


def pack(*seconds: float, film: float = 10.0) -> Pack:
    tiles = tuple(Tile(round(at * SECOND), 100 * number, 99) for number, at in enumerate(seconds))
    return Pack("v", 256, 144, 50, True, round(film * SECOND), tiles)


@pytest.mark.parametrize(
    ("at", "number"), [(-1.0, 0), (0.0, 0), (2.9, 0), (3.0, 1), (5.9, 1), (6.0, 2), (99.0, 2)]
)
def test_a_tile_is_shown_from_its_time_and_the_first_one_from_the_beginning(at: float, number: int) -> None:
    assert tile_at(pack(1.0, 3.0, 6.0), round(at * SECOND)) == number


@pytest.mark.parametrize(
    ("seconds", "film", "longest"),
    [((0.0, 1.0, 3.0), 4.0, 2.0), ((4.0, 5.0), 6.0, 5.0), ((0.0, 1.0), 9.0, 8.0), ((0.0,), 0.5, 0.5)],
)
def test_the_longest_time_that_a_tile_is_shown_counts_both_ends(
    seconds: tuple[float, ...], film: float, longest: float
) -> None:
    assert longest_us(pack(*seconds, film=film)) == longest * SECOND


@pytest.mark.parametrize(
    ("display", "size"),
    [
        ((1920, 1080), (256, 144)),
        ((640, 480), (192, 144)),
        ((720, 720), (144, 144)),
        ((1080, 1920), (144, 256)),
        ((288, 352), (144, 176)),
        ((161, 121), (192, 144)),
        ((2048, 858), (344, 144)),
        ((4096, 512), (640, 80)),
        ((4096, 16), (640, 16)),
        ((16, 4096), (2, 640)),
        ((0, 0), (144, 144)),
    ],
)
def test_tiles_have_the_shape_of_the_film(display: tuple[int, int], size: tuple[int, int]) -> None:
    assert size_of(*display) == size


@given(across=st.integers(16, 16384), down=st.integers(16, 16384))
def test_tiles_of_any_film_are_whole_rows_of_blocks_and_bounded(across: int, down: int) -> None:
    width, height = size_of(across, down)
    assert height % ROWS == 0
    assert width % 2 == 0
    assert ROWS <= height <= LONG_SIDE
    assert 2 <= width <= LONG_SIDE
    if 1 / 3 <= across / down <= 3:
        assert width / height == pytest.approx(across / down, rel=0.02)


@pytest.mark.parametrize(
    ("film", "spacing"), [(1, 1), (600, 1), (601, 2), (7200, 2), (10_800, 3), (36_000, 10), (86_400, 24)]
)
def test_tiles_of_long_films_are_further_apart(film: int, spacing: int) -> None:
    assert spacing_us(film * SECOND) == spacing * SECOND


TILES = st.lists(
    st.builds(Tile, st.integers(0, 1 << 50), st.integers(0, 1 << 40), st.integers(1, 1 << 20)), min_size=1
)


@given(TILES)
def test_tiles_come_back_from_their_bytes(tiles: list[Tile]) -> None:
    assert unpack_tiles(pack_tiles(tuple(tiles))) == tuple(tiles)


def test_four_thousand_tiles_take_a_few_kilobytes() -> None:
    tiles = tuple(Tile(number * 2_002_000, number * 5_000 + number % 7, 4_990) for number in range(4000))
    assert len(pack_tiles(tiles)) < 40_000


@given(st.binary(max_size=200))
def test_other_bytes_are_no_pack(data: bytes) -> None:
    with pytest.raises(IndexCorrupt):
        unpack_tiles(data)


@given(TILES, st.data())
def test_a_damaged_pack_is_refused_or_still_one(tiles: list[Tile], data: st.DataObject) -> None:
    packed = bytearray(pack_tiles(tuple(tiles)))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(IndexCorrupt):
        assert len(unpack_tiles(bytes(packed))) <= MOST_TILES
