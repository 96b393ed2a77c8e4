"""The packet-exact indexes of films, opened once: whoever scrubs asks again and again."""

from __future__ import annotations

from media_service.store.blobs import BlobStore
from media_service.store.keys import index_key
from media_service.timeline.stored_index import StoredIndex
from media_service.work.keeping import read_whole
from media_service.work.opened import Opened

MAX_OPEN_BYTES = 32 << 20  # that of a film of three hours has three megabytes


class Indexes:
    """Finds the index of any film. For the event loop's thread: an open index is used by one thread at a time."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._opened = Opened(self._read, MAX_OPEN_BYTES)

    async def of(self, asset_id: str) -> StoredIndex:
        """The asset's index. Raises NotFound while it has none."""
        return await self._opened.of(asset_id)

    async def _read(self, asset_id: str) -> tuple[StoredIndex, int]:
        data = await read_whole(self._blobs, index_key(asset_id))
        return StoredIndex(data), len(data)
