"""The packet-exact indexes of films, opened once: whoever scrubs asks again and again."""

from __future__ import annotations

import asyncio

from media_service.store.blobs import BlobStore
from media_service.store.keys import index_key
from media_service.timeline.facts import AudioFacts
from media_service.timeline.sound_stamps import Stamps, stamps
from media_service.timeline.stored_index import StoredIndex
from media_service.work.keeping import read_whole
from media_service.work.opened import Opened

MAX_OPEN_BYTES = 32 << 20  # that of a film of three hours has three megabytes
MAX_KEPT_STRETCHES = 20_000  # of sound, some 200 bytes each; most tracks have one


class Indexes:
    """Finds the index of any film. For the event loop's thread: an open index is used by one thread at a time."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._opened = Opened(self._read, MAX_OPEN_BYTES)
        self._stamped = Opened(self._read_stamps, MAX_KEPT_STRETCHES)

    async def of(self, asset_id: str) -> StoredIndex:
        """The asset's index. Raises NotFound while it has none."""
        return await self._opened.of(asset_id)

    async def stamps(self, asset_id: str, sound: AudioFacts) -> Stamps:
        """What is known of the places of a sound's packets. Raises NotFound, KeyError for a track that there is not."""
        return await self._stamped.of((asset_id, sound))

    async def _read_stamps(self, key: tuple[str, AudioFacts]) -> tuple[Stamps, int]:
        asset_id, sound = key
        data = await read_whole(self._blobs, index_key(asset_id))
        # In a thread with an index of its own: all packets are read.
        found = await asyncio.to_thread(_stamps, data, sound)
        return found, 1 + len(found.stretches)

    async def _read(self, asset_id: str) -> tuple[StoredIndex, int]:
        data = await read_whole(self._blobs, index_key(asset_id))
        return StoredIndex(data), len(data)


def _stamps(index: bytes, sound: AudioFacts) -> Stamps:
    return stamps(sound, StoredIndex(index).track(sound.index))
