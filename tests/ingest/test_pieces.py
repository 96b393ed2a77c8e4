"""Chunks that become pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_service.ingest.pieces import MAX_CHUNKS, Pieces


@given(st.lists(st.binary(max_size=40)), st.integers(1, 100))
def test_pieces_are_the_chunks_in_their_order_and_none_is_much_larger_than_asked(
    chunks: list[bytes], size: int
) -> None:
    pieces = Pieces(size)
    taken = [pieces.take() for chunk in chunks if pieces.add(chunk)]
    assert all(size <= len(piece) < size + 40 for piece in taken)
    taken.append(pieces.take())
    assert b"".join(taken) == b"".join(chunks)
    assert pieces.take() == b""


def test_a_body_that_comes_byte_by_byte_does_not_wait_for_a_whole_piece() -> None:
    pieces = Pieces(1 << 20)
    full = [pieces.add(b"x") for _ in range(MAX_CHUNKS)]
    assert full == [False] * (MAX_CHUNKS - 1) + [True]
    assert pieces.take() == b"x" * MAX_CHUNKS
    assert not pieces.add(b"x")
