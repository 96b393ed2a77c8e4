"""A blob that grows over several requests: it is kept however a request ends, and durable as far as it was synced."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import Self, TypeVar

from media_service.errors import MediaServiceError, NotFound
from media_service.store.blobs import BlobTaken
from media_service.store.disk import SharedDescriptor, change, no_room_is_storage_full, obtain
from media_service.store.files import write_all
from media_service.store.local_writer import Place, Room

T = TypeVar("T")


class LocalGrowingBlob:
    """A `store.blobs.GrowingBlob` on a file, closed until `open`. One change at a time; a sync may run beside it."""

    def __init__(self, key: str, place: Place, at: int, threads: Executor, margin_bytes: int) -> None:
        self.key = key
        self._place = place
        self._size = at
        self._threads = threads
        self._margin_bytes = margin_bytes
        self._room = Room(margin_bytes, at)
        self._file: SharedDescriptor | None = None
        # Bytes that are there before were synced by whoever wrote them, and their names with them.
        self._named = at > 0
        self._changing = asyncio.Lock()
        self._failed: OSError | MediaServiceError | None = None  # what a sync raised
        self._sealed = False
        self._taken = False

    async def open(self, before: LocalGrowingBlob | None) -> None:
        """Stop the one who grew the blob `before`, and open the file. See `BlobStore.grow`."""
        async with self._changing:  # from the start: whoever comes next waits until this one lies still
            if before is not None:
                await before.stop()
            self._file = await obtain(self._threads, self._go_on, SharedDescriptor.close)

    async def stop(self) -> None:
        """Let nothing be changed through this one any more; what is just being written is written by then."""
        self._taken = True
        async with self._changing:
            pass

    @property
    def size(self) -> int:
        """See `GrowingBlob.size`."""
        return self._size

    @property
    def fd(self) -> int:
        """See `GrowingBlob.fd`."""
        return self._opened.fd

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `GrowingBlob.write`."""
        if data:
            await self._change(self._append, memoryview(data).cast("B"))

    async def cut(self, size: int) -> None:
        """See `GrowingBlob.cut`."""
        if not 0 <= size <= self._size:
            raise ValueError(f"the blob {self.key} has {self._size} bytes, not {size}")
        await self._change(self._cut, size)

    async def sync(self) -> int:
        """See `GrowingBlob.sync`."""
        self._check()
        with self._opened.used() as fd:
            return await change(self._threads, self._remembering, fd, self._sync)

    async def seal(self) -> None:
        """See `GrowingBlob.seal`."""
        await self._change(self._remembering, self._seal)
        self._sealed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _opened(self) -> SharedDescriptor:
        if self._file is None:
            raise ValueError(f"the blob {self.key} is closed")
        return self._file

    async def _change(self, call: Callable[..., object], *args: object) -> None:
        """`call(fd, *args)` in a thread, when no other change runs, unless nothing may be changed."""
        async with self._changing:
            self._check()
            with self._opened.used() as fd:
                await change(self._threads, call, fd, *args)

    def _check(self) -> None:
        if self._taken:
            raise BlobTaken(self.key)
        if self._sealed:
            raise ValueError(f"the blob {self.key} is sealed")
        if self._failed is not None:
            with no_room_is_storage_full():
                raise self._failed

    def _remembering(self, fd: int, sync: Callable[[int], T]) -> T:
        """What `sync` gives. A failure lasts, whoever waits for it: the kernel tells of lost pages once, and then takes them
        for clean."""
        try:
            return sync(fd)
        except (OSError, MediaServiceError) as error:
            self._failed = error
            raise

    def _go_on(self) -> SharedDescriptor:
        try:
            return SharedDescriptor(self._place.go_on(self._size))
        except FileNotFoundError:
            raise NotFound(f"The place of {self.key} was deleted.") from None

    def _append(self, fd: int, data: memoryview) -> None:
        self._room.check(fd, self._size, self._size + len(data))
        try:
            write_all(fd, data, self._size)
        except OSError:
            os.ftruncate(fd, self._size)  # half a piece is of no use, and others need the room
            raise
        self._size += len(data)

    def _cut(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)
        self._size = size
        self._room = Room(self._margin_bytes, size)  # others may have taken what this made free

    def _sync(self, fd: int) -> int:
        size = self._size
        os.fdatasync(fd)
        self._name()
        return size

    def _seal(self, fd: int) -> None:
        os.fsync(fd)
        self._name()

    def _name(self) -> None:
        """Make the file's name last, once."""
        if self._named:
            return
        try:
            self._place.sync()
        except FileNotFoundError:
            raise NotFound(f"The place of {self.key} was deleted.") from None
        self._named = True
