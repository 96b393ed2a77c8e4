"""The stored form of extents: what goes in comes out."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.layout import Layout, pack, unpack
from media_service.wire.representation import BlobExtent, MemoryExtent, Representation, Span

extents = st.lists(
    st.builds(
        BlobExtent,
        st.sampled_from(["a/original", "a/header", "b"]),
        st.integers(0, 2**40),
        st.integers(0, 2**40),
    ),
    max_size=50,
)


@given(extents)
def test_extents_survive_being_stored(given_extents: list[BlobExtent]) -> None:
    assert tuple(unpack(pack(given_extents))) == tuple(given_extents)


@given(extents, st.binary(max_size=3))
def test_a_layout_is_the_sequence_that_it_was_made_of(given_extents: list[BlobExtent], head: bytes) -> None:
    layout = Layout.of(given_extents, head=head)
    expected = ([MemoryExtent(head)] if head else []) + given_extents
    assert list(layout) == expected
    assert len(layout) == len(expected)
    assert [layout[at] for at in range(-len(layout), len(layout))] == expected + expected
    assert list(layout[1:]) == expected[1:]
    assert list(layout.spans()) == given_extents
    with pytest.raises(IndexError):
        layout[len(layout)]


def test_half_a_million_extents_take_little_memory() -> None:
    spans = (BlobExtent("a/original", n << 20, (n << 20) + 700) for n in range(500_000))
    tracemalloc.start()
    try:
        film = Representation(Layout.of(spans), "video/mp4", "tag")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20 << 20
    place = (400_000 << 20) + 100
    assert list(film.cut(Span(400_000 * 700 + 100, 400_000 * 700 + 101))) == [
        BlobExtent("a/original", place, place + 1)
    ]


def test_each_blob_is_named_once() -> None:
    packed = pack([BlobExtent("a/original", n, n + 1) for n in range(1000)])
    assert packed.count(b"a/original") == 1


def test_anything_else_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        unpack(b"\x01")
