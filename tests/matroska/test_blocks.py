"""Frames in blocks, laced in all ways (RFC 9559 s10.3)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import BrokenMedia
from media_service.matroska.blocks import read_block
from media_service.matroska.ebml import Window
from tests.matroska.writing import EBML, FIXED, XIPH, block, number, reader


def frames_of(data: bytes, before: bytes = b"") -> tuple[int, list[bytes]]:
    whole = before + data
    track, edges = read_block(Window(reader(whole), len(whole)), len(before), len(whole))
    return track, [whole[first:last] for first, last in pairwise(edges)]


@pytest.mark.parametrize("track", [1, 126, 127, 20_000])
def test_a_block_has_one_frame(track: int) -> None:
    assert frames_of(block(track, b"frame"), b"something") == (track, [b"frame"])
    assert frames_of(block(track)) == (track, [b""])


@pytest.mark.parametrize("lacing", [XIPH, EBML])
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=40))
def test_laced_frames_are_told_apart(lacing: int, sizes: list[int]) -> None:
    frames = [bytes([at % 256]) * size for at, size in enumerate(sizes)]
    assert frames_of(block(5, *frames, lacing=lacing), b"x") == (5, frames)


def test_the_example_of_the_standard_is_read() -> None:
    """Three frames of 800, 500 and 1000 bytes."""
    frames = [b"a" * 800, b"b" * 500, b"c" * 1000]
    xiph = b"\x81\0\0\x02\x02" + b"\xff\xff\xff\x23\xff\xf5" + b"".join(frames)
    ebml = b"\x81\0\0\x06\x02" + b"\x43\x20\x5e\xd3" + b"".join(frames)
    assert frames_of(xiph) == frames_of(ebml) == (1, frames)


def test_frames_of_one_size_are_told_apart() -> None:
    assert frames_of(block(1, b"aa", b"bb", b"cc", lacing=FIXED)) == (1, [b"aa", b"bb", b"cc"])
    with pytest.raises(BrokenMedia):
        frames_of(block(1, b"aa", b"bbb", lacing=FIXED))


@pytest.mark.parametrize(
    "data",
    [
        b"\x81",
        b"\x81\0\0",
        number(None) + b"\0\0\x80abc",
        b"\x81\0\0\x02",
        b"\x81\0\0\x02\x01",
        b"\x81\0\0\x02\x01\xff\xff",
        b"\x81\0\0\x02\x01\x09abc",
        b"\x81\0\0\x06\x01\x89abc",
        b"\x81\0\0\x06\x01\xffabc",
        b"\x81\0\0\x06\x02\x81\x80abc",
        b"\x81\0\0\x02\x01" + b"\xff" * 9000,
    ],
)
def test_what_is_no_block_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        frames_of(data)


@given(st.binary(min_size=1, max_size=60))
def test_any_block_has_frames_in_order_within_it_or_is_broken(data: bytes) -> None:
    try:
        _, edges = read_block(Window(reader(data), len(data)), 0, len(data))
    except BrokenMedia:
        return
    assert edges == sorted(edges)
    assert 0 < edges[0] <= edges[-1] == len(data)
