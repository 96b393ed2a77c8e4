"""The stored form of extents: what goes in comes out."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.wire.layout import pack, unpack
from media_service.wire.representation import BlobExtent

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
    assert unpack(pack(given_extents)) == tuple(given_extents)


def test_each_blob_is_named_once() -> None:
    packed = pack([BlobExtent("a/original", n, n + 1) for n in range(1000)])
    assert packed.count(b"a/original") == 1


def test_anything_else_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        unpack(b"\x01")
