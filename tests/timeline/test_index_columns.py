"""Columns as few bytes, and bytes that are none."""

from __future__ import annotations

import zlib
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.index_columns import (
    IndexCorrupt,
    deflate,
    from_bytes,
    inflate,
    pack_columns,
    to_bytes,
    unpack_columns,
)

numbers = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-200, 200) | st.integers(-40_000, 40_000)


@given(columns=st.lists(st.lists(numbers, min_size=5, max_size=5), max_size=4))
def test_columns_come_back_as_they_were_packed(columns: list[list[int]]) -> None:
    packed = pack_columns(array("q", column) for column in columns)
    assert [column.tolist() for column in unpack_columns(packed, len(columns), 5)] == columns


@pytest.mark.parametrize(
    ("number", "bytes_each"),
    [(127, 1), (-128, 1), (128, 2), (-129, 2), (32768, 4), (-(1 << 31), 4), (1 << 31, 8), (-(1 << 63), 8)],
)
def test_a_column_is_as_narrow_as_its_numbers_allow(number: int, bytes_each: int) -> None:
    assert len(pack_columns([array("q", [number, 0])])) == 1 + 2 * bytes_each


@pytest.mark.parametrize("data", [b"", b"x\0\0", b"b\0", b"b\0\0\0", b"B\0\0", b"h\0\0\0"])
def test_bytes_that_are_no_columns_are_corrupt(data: bytes) -> None:
    with pytest.raises(IndexCorrupt):
        unpack_columns(data, 1, 2)


def test_nothing_inflates_beyond_its_limit() -> None:
    bomb = memoryview(zlib.compress(bytes(50_000_000)))
    for exact in (True, False):
        with pytest.raises(IndexCorrupt):
            inflate(bomb, 1000, exact=exact)
    assert inflate(memoryview(deflate(b"abc")), 3) == b"abc"
    assert inflate(memoryview(deflate(b"")), 0) == b""
    assert inflate(memoryview(deflate(b"abc")), 9, exact=False) == b"abc"
    for data in (deflate(b"abc") + b"x", deflate(b"abc")[:-1], b"", b"abc"):
        with pytest.raises(IndexCorrupt):
            inflate(memoryview(data), 3)


@given(column=st.lists(st.integers(-(1 << 63), (1 << 63) - 1)))
def test_wide_columns_come_back(column: list[int]) -> None:
    assert from_bytes("q", to_bytes(column)).tolist() == column
