from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.representation import BlobExtent, Extent, MemoryExtent, Representation, Span
from tests.wire.content import pattern, read


def _made_of(sizes: list[int]) -> Representation:
    """Extents of `sizes` bytes, memory and blob in turn, that together hold the pattern."""
    extents: list[Extent] = []
    position = 0
    for number, size in enumerate(sizes):
        stop = position + size
        extents.append(
            MemoryExtent(pattern(position, stop)) if number % 2 else BlobExtent("pattern", position, stop)
        )
        position = stop
    return Representation(tuple(extents), "video/mp4", "v1")


@given(st.lists(st.integers(0, 20), max_size=12), st.data())
def test_a_cut_gives_exactly_the_bytes_of_its_span(sizes: list[int], data: st.DataObject) -> None:
    whole = _made_of(sizes)
    assert whole.size == sum(sizes)
    start = data.draw(st.integers(0, whole.size))
    stop = data.draw(st.integers(start, whole.size))

    parts = list(whole.cut(Span(start, stop)))

    assert read(parts) == pattern(start, stop)
    assert all(part.size for part in parts)


def test_a_cut_within_one_extent_copies_nothing_else() -> None:
    whole = Representation((BlobExtent("zeros", 0, 5 << 30),), "video/mp4", "v1")

    assert list(whole.cut(Span(1 << 32, (1 << 32) + 1))) == [BlobExtent("zeros", 1 << 32, (1 << 32) + 1)]


def test_a_memory_extent_that_is_sent_whole_is_not_copied() -> None:
    extent = MemoryExtent(b"header")

    assert extent.cut(0, 6) is extent
    assert extent.cut(1, 3) == MemoryExtent(b"ea")


def test_an_empty_representation_has_no_bytes() -> None:
    assert Representation((), "video/mp4", "v1").size == 0
    assert list(Representation((), "video/mp4", "v1").cut(Span(0, 0))) == []


@pytest.mark.parametrize(("span", "size"), [(Span(0, 0), 0), (Span(3, 10), 7)])
def test_a_span_is_half_open(span: Span, size: int) -> None:
    assert span.size == size
