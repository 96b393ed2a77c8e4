"""A store whose disk is full after so many bytes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from media_service.errors import StorageFull
from media_service.store.local_blobs import LocalBlobs
from media_service.store.local_growing import LocalGrowingBlob
from media_service.store.local_writer import LocalBlobWriter


class FullDisk(LocalBlobs):
    """Takes `room` more bytes; `refused` is set when it takes no more. Set `room` again to make some."""

    def __init__(self, root: Path, room: int) -> None:
        super().__init__(root)
        self.room = room
        self.refused = asyncio.Event()

    async def create(self, key: str) -> LocalBlobWriter:
        """See `BlobStore.create`."""
        return cast("LocalBlobWriter", _Writer(await super().create(key), self))

    async def replace(self, key: str) -> LocalBlobWriter:
        """See `BlobStore.replace`."""
        return cast("LocalBlobWriter", _Writer(await super().replace(key), self))

    async def grow(self, key: str, at: int) -> LocalGrowingBlob:
        """See `BlobStore.grow`."""
        return cast("LocalGrowingBlob", _Writer(await super().grow(key, at), self))


class _Writer:
    def __init__(self, writer: LocalBlobWriter | LocalGrowingBlob, disk: FullDisk) -> None:
        self._writer = writer
        self._disk = disk

    def __getattr__(self, name: str) -> object:
        return getattr(self._writer, name)

    async def __aenter__(self) -> _Writer:
        await self._writer.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._writer.__aexit__(*error)  # type: ignore[arg-type] # what the statement hands on

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `BlobWriter.write`."""
        if memoryview(data).nbytes > self._disk.room:
            self._disk.refused.set()
            raise StorageFull("The disk is full.")
        self._disk.room -= memoryview(data).nbytes
        await self._writer.write(data)
