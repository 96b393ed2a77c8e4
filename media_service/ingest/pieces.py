"""Chunks of a body that wait to be written together: a hop to a thread costs as much for 64 KiB as for a MiB."""

from __future__ import annotations

MAX_CHUNKS = 4096  # of a body that comes byte by byte: what holds a chunk is larger than it


class Pieces:
    """Collects chunks until they are a piece of `size` bytes, or too many. They are joined once, not copied twice."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._chunks: list[bytes] = []
        self._bytes = 0

    def add(self, chunk: bytes) -> bool:
        """Whether it is time to `take` them."""
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        return self._bytes >= self._size or len(self._chunks) >= MAX_CHUNKS

    def take(self) -> bytes:
        """All of them as one; none are left."""
        piece = b"".join(self._chunks)
        self._chunks.clear()
        self._bytes = 0
        return piece
