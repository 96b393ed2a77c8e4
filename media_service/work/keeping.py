"""Small blobs, written and read whole."""

from __future__ import annotations

from media_service.store.blobs import BlobStore


async def keep(blobs: BlobStore, key: str, data: bytes) -> None:
    """Store `data`, in place of what a crash may have left of an earlier time. Raises StorageFull, NotFound."""
    await blobs.delete(key)
    async with await blobs.create(key) as writer:
        await writer.write(data)
        await writer.seal()


async def read_whole(blobs: BlobStore, key: str) -> bytes:
    """All of a blob that is sealed. Raises NotFound."""
    async with await blobs.open(key) as reader:
        return bytes(await reader.read(0, reader.size))
