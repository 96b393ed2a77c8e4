"""The original's own packets, for whoever needs all of a rendition's at once: whole files, lists of I-frames."""

from __future__ import annotations

from collections.abc import Iterator

from media_service.store.blobs import BlobStore
from media_service.store.keys import index_key
from media_service.timeline import packaging
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.packaging import PackagedSegment
from media_service.timeline.stored_index import StoredIndex


async def own_index(blobs: BlobStore, asset_id: str) -> StoredIndex:
    """The film's index, opened for the caller alone: an open index serves one thread at a time. Raises NotFound."""
    async with await blobs.open(index_key(asset_id)) as reader:
        return StoredIndex(bytes(await reader.read(0, reader.size)))


def packaged_segments(index: StoredIndex, rendition: OutlineRendition) -> Iterator[PackagedSegment]:
    """All segments of a packaged rendition. Seconds of work for a long film: not for the event loop."""
    track = index.track(rendition.stream)
    return (packaging.segment(track, rendition, number) for number in range(rendition.count))
