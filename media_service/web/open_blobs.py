"""The blobs that one response is made of, as far as they are open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from itertools import groupby

from media_service.store.blobs import BlobReader
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent

OpenBlob = Callable[[str], Awaitable[BlobReader]]

# Per response; a segment has one or two. 64 viewers of classic files, and all of them together hold 1,000.
OPEN_BLOBS = 16


class OpenBlobs:
    """The blobs that a body is made of, open from `begin` to `close`.

    The first are opened before the head goes out: an asset deleted a moment ago is a 404, not a cut body, and one deleted
    from now on is still sent whole, because the descriptors keep its bytes. A classic file of a long film has thousands,
    more than a process may hold open for its viewers: of those the rest are opened when it is their turn.
    """

    __slots__ = ("_open", "_open_blob")

    def __init__(self, open_blob: OpenBlob) -> None:
        self._open_blob = open_blob
        self._open: dict[str, BlobReader] = {}  # the one used last is the last

    async def begin(self, extents: Iterable[Extent]) -> None:
        """Open those of a body that begins with these extents, OPEN_BLOBS at most. Raises NotFound."""
        for extent in extents:
            if isinstance(extent, BlobExtent) and extent.blob not in self._open:
                if len(self._open) == OPEN_BLOBS:
                    break
                self._open[extent.blob] = await self._open_blob(extent.blob)

    def size_of(self, name: str) -> int:
        """The bytes of one that is open."""
        return self._open[name].size

    async def read(self, extents: Iterable[Extent]) -> bytes | memoryview:
        """The bytes of these extents, one after another."""
        parts: list[bytes | memoryview] = []
        for name, together in groupby(extents, _blob_of):
            if name is None:
                parts += [extent.data for extent in together if isinstance(extent, MemoryExtent)]
                continue
            reader = await self.reader(name)
            spans = [(extent.start, extent.stop) for extent in together if isinstance(extent, BlobExtent)]
            parts.append(await (reader.read(*spans[0]) if len(spans) == 1 else reader.gather(spans)))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def reader(self, name: str) -> BlobReader:
        """One of them. Opened, in place of the one that was not used for longest, if it is not. Raises NotFound."""
        if len(self._open) == 1 and name in self._open:
            return self._open[name]
        if (known := self._open.pop(name, None)) is None:
            if len(self._open) >= OPEN_BLOBS:
                oldest = self._open.pop(next(iter(self._open)))
                await oldest.__aexit__(None, None, None)
            known = await self._open_blob(name)
        self._open[name] = known
        return known

    async def close(self) -> None:
        """Close them all."""
        while self._open:
            _, reader = self._open.popitem()
            await reader.__aexit__(None, None, None)


def _blob_of(extent: Extent) -> str | None:
    return extent.blob if isinstance(extent, BlobExtent) else None
