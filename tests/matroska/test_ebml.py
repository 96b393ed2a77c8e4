"""Elements and numbers of EBML, by the examples of RFC 8794 and from bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.matroska.ebml import MAX_ELEMENTS, WINDOW, Window, read_header, read_number, walk
from tests.matroska.writing import VOID, element, number, reader


@pytest.mark.parametrize(
    "data", [b"\x82", b"\x40\x02", b"\x20\0\x02", b"\x10\0\0\x02", b"\x01\0\0\0\0\0\0\x02"]
)
def test_a_number_may_be_of_any_width(data: bytes) -> None:
    assert read_number(data, 0) == (2, len(data))  # RFC 8794 s4.4


@given(st.integers(0, (1 << 56) - 2))
def test_a_number_is_read_as_it_was_written(value: int) -> None:
    data = number(value)
    assert read_number(b"x" + data, 1) == (value, 1 + len(data))


@pytest.mark.parametrize("width", range(1, 9))
def test_all_ones_are_an_unknown_size(width: int) -> None:
    assert read_header(b"\xec" + number(None, width), 0) == (VOID, None, 1 + width)


@pytest.mark.parametrize(
    "data", [b"", b"\0\x81", b"\x08\0\0\0\0\x81", b"\xec", b"\xec\0", b"\xec\x40", b"\x1f\x43"]
)
def test_what_is_no_header_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        read_header(data, 0)


def test_a_level_is_walked_in_order() -> None:
    data = element(VOID, b"abc") + element(0x4282, b"webm", width=8)
    assert [(name, data[start:stop]) for name, start, stop in walk(data)] == [
        (VOID, b"abc"),
        (0x4282, b"webm"),
    ]


@pytest.mark.parametrize("data", [b"\xec\x83ab", element(VOID, unknown=True) + b"abc"])
def test_what_leaves_its_level_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        list(walk(data))


def test_no_level_has_thousands() -> None:
    with pytest.raises(AbsurdMedia):
        list(walk(element(VOID) * (MAX_ELEMENTS + 1)))


@given(st.binary(max_size=200))
def test_walking_any_bytes_ends(data: bytes) -> None:
    try:
        for _, start, stop in walk(data):
            assert 0 < start <= stop <= len(data)
    except (BrokenMedia, AbsurdMedia):
        pass


@given(st.lists(st.tuples(st.integers(0, 3 * WINDOW), st.integers(0, 20)), max_size=8))
def test_a_window_shows_the_file(places: list[tuple[int, int]]) -> None:
    data = bytes(number % 251 for number in range(3 * WINDOW))
    file = Window(reader(data), len(data))
    for position, length in places:
        if position < len(data):
            seen, at = file.at(position, length)
            assert seen[at : at + length] == data[position : position + length]
