"""Small blobs, written and read whole."""

from __future__ import annotations

from media_service.store.blobs import BlobStore


async def keep(blobs: BlobStore, key: str, data: bytes) -> None:
    """Store `data` in place of what was there; nobody sees a part of it, not even after a crash. Raises StorageFull."""
    async with await blobs.replace(key) as writer:
        await writer.write(data)
        await writer.seal()


async def read_whole(blobs: BlobStore, key: str) -> bytes:
    """All of a blob that was kept. Raises NotFound."""
    async with await blobs.open(key) as reader:
        return bytes(await reader.read(0, reader.size))
