"""Where the bytes of an upload go while they arrive: memory if the budget has room, else straight to the store.

An upload of known length reserves all of it before its first byte is accepted; one of unknown length reserves step by
step. What does not fit goes to a file in the store, so that a 20 GB film works on a 1 GB machine: nothing is refused for
want of memory. `Incoming` is a context manager; leaving it gives back whatever was taken, unless the bytes were kept.
"""

from __future__ import annotations

import hashlib
import secrets
from asyncio import to_thread
from base64 import b32encode
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from media_service.errors import Busy, EmptyUpload, StorageFull, UploadTooLarge
from media_service.ingest.pieces import Pieces
from media_service.memory.budget import Budget, Reservation
from media_service.memory.buffer import Buffer
from media_service.store.blobs import DISK_MARGIN_BYTES, BlobStore, BlobWriter
from media_service.store.keys import original_key

PIECE_BYTES = (
    1 << 20
)  # one hop to a thread (about 50 us) per MiB costs nothing; per 64 KiB socket read it would
RESERVE_STEP_BYTES = 8 << 20  # how an upload of unknown length grows its reservation


def new_asset_id() -> str:
    """128 random bits as 26 characters of lower-case base 32: unguessable, and safe in URLs, file names and logs."""
    return b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


class Intake:
    """Opens `Incoming`s within one memory budget and one size limit (bytes)."""

    def __init__(self, *, budget: Budget, blobs: BlobStore, max_bytes: int) -> None:
        self._budget = budget
        self._blobs = blobs
        self.max_bytes = max_bytes

    def begin(self, announced: int | None, *, overhead: int = 0) -> Incoming:
        """A place for a body of `announced` bytes, or of unknown length. Raises UploadTooLarge, StorageFull.

        Up to `overhead` bytes of the body may be something else than the file (the rest of a form).
        """
        if announced is not None and announced - overhead > self.max_bytes:
            raise UploadTooLarge(f"The file has {announced} bytes; at most {self.max_bytes} are accepted.")
        reservation = self._reserve(RESERVE_STEP_BYTES if announced is None else announced)
        needed = announced or 0
        if self._blobs.free_bytes() < needed + DISK_MARGIN_BYTES:
            if reservation is not None:
                reservation.release()
            raise StorageFull("There is not enough room left to keep this file.")
        return Incoming(self._blobs, reservation, max_bytes=self.max_bytes)

    def _reserve(self, size: int) -> Reservation | None:
        try:
            return self._budget.reserve(size)
        except Busy:
            return None


class Incoming:
    """The bytes of one upload: `write` them, `finish`, read them through `fd`, then `keep` them.

    Attributes: `asset_id`, the id that the asset will have; `size` in bytes; `sha256` as hex after `finish`.
    """

    def __init__(self, blobs: BlobStore, reservation: Reservation | None, *, max_bytes: int) -> None:
        self.asset_id = new_asset_id()
        self.size = 0
        self.sha256 = ""
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._reservation = reservation
        self._buffer: Buffer | None = None
        self._writer: BlobWriter | None = None
        self._writers = AsyncExitStack()
        self._disowned = False
        self._pending = Pieces(PIECE_BYTES)
        self._digest = hashlib.sha256()

    async def __aenter__(self) -> Self:
        if self._reservation is not None:
            self._buffer = Buffer()
        else:
            await self._open_writer()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release_memory()
        await self._writers.aclose()
        if self._disowned:
            await self._blobs.delete_tree(self.asset_id)

    @property
    def in_memory(self) -> bool:
        """Whether the bytes are (still) in a memfd."""
        return self._buffer is not None

    @property
    def fd(self) -> int:
        """A descriptor of all bytes so far, for a process that reads them by position."""
        holder = self._buffer or self._writer
        assert holder is not None, "fd is valid inside the context only"
        return holder.fd

    async def write(self, data: bytes) -> None:
        """Take the next bytes. Raises UploadTooLarge at the limit, StorageFull when the disk has no more room."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise UploadTooLarge(
                f"The file has more than {self._max_bytes} bytes, which is the most accepted."
            )
        if self._pending.add(data):
            await self._flush()

    async def finish(self) -> None:
        """All bytes are here. Raises EmptyUpload when there was none."""
        if self.size == 0:
            raise EmptyUpload("The file has no content; choose another one.")
        await self._flush()
        self.sha256 = self._digest.hexdigest()
        if self._buffer is not None:
            self._buffer.seal()

    async def keep(self) -> None:
        """Make the bytes durable in the store: after this they survive `kill -9` and a power cut."""
        if self._buffer is not None:
            await self._copy_to_store(self._buffer)
        assert self._writer is not None
        await self._writer.seal()

    def disown(self) -> None:
        """Nobody will know of the bytes that were kept: remove them on exit after all."""
        self._disowned = True

    async def _flush(self) -> None:
        piece = self._pending.take()
        if not piece:
            return
        if self._buffer is not None and not self._fits(self._buffer.size + len(piece)):
            # The budget is used up: go on in the store.
            await self._copy_to_store(self._buffer)
            self._release_memory()
        if self._buffer is not None:
            self._buffer.append(piece)
        elif self._writer is not None:
            await self._writer.write(piece)
        await to_thread(self._digest.update, piece)

    def _fits(self, size: int) -> bool:
        reservation = self._reservation
        assert reservation is not None
        return size <= reservation.size or reservation.grow(max(size - reservation.size, RESERVE_STEP_BYTES))

    async def _open_writer(self) -> BlobWriter:
        writer = await self._blobs.create(original_key(self.asset_id))
        self._writer = await self._writers.enter_async_context(writer)
        return writer

    async def _copy_to_store(self, buffer: Buffer) -> None:
        writer = await self._open_writer()
        for start in range(0, buffer.size, PIECE_BYTES):
            with buffer.view(start, min(start + PIECE_BYTES, buffer.size)) as piece:
                await writer.write(piece)

    def _release_memory(self) -> None:
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None
        if self._reservation is not None:
            self._reservation.release()
            self._reservation = None
