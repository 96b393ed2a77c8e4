"""Blobs as files below one directory of a local disk.

A key is the file's path. A blob that was sealed survives a loss of power: its bytes, its name and every directory on the
way to it are fsynced. Reads come from the page cache in the event loop where possible (preadv2(2), RWF_NOWAIT) and go to
a thread only when they would wait for the disk.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

from media_service import errors
from media_service.store.blobs import (
    DISK_MARGIN_BYTES,
    BlobCut,
    BlobExists,
    checked_key,
    is_key_segment,
)
from media_service.store.disk import SharedDescriptor, change, obtain
from media_service.store.files import (
    bury,
    can_tell_cached,
    gather_all,
    gather_cached,
    make_directory,
    read_all,
    read_cached,
)
from media_service.store.local_growing import LocalGrowingBlob
from media_service.store.local_writer import LocalBlobWriter, Place

_READ_THREADS = 16  # reads that wait for the disk at the same time; more only queue in the disk itself
_WRITE_THREADS = 8  # apart from the readers': uploads that sync must not stop playback
# Both start with a dot: no key can look like them.
_DELETED = ".deleted-"
_UNSEEN = ".unseen-"


class LocalBlobs:
    """A `store.blobs.BlobStore` below `root`, which is made if it is absent.

    Files in `root` itself (a catalog, a token) are none of its business. Closes nothing: its threads end with it. Writers
    leave `margin_bytes` of the disk free.
    """

    def __init__(self, root: Path, *, margin_bytes: int = DISK_MARGIN_BYTES) -> None:
        self.root = root.absolute()
        self._margin_bytes = margin_bytes
        self._emptying = threading.Lock()  # see Place
        self._growing: WeakValueDictionary[str, LocalGrowingBlob] = (
            WeakValueDictionary()
        )  # the last of each key
        self._unseen = f"{_UNSEEN}{secrets.token_hex(4)}-"  # its own: those of others are what a crash left
        make_directory(self.root)
        self._readers = ThreadPoolExecutor(_READ_THREADS, "blob-read")
        self._writers = ThreadPoolExecutor(_WRITE_THREADS, "blob-write")

    async def create(self, key: str) -> LocalBlobWriter:
        """See `BlobStore.create`."""
        return await self._begin(key, Place(self._path(key), self.root, self._emptying))

    async def replace(self, key: str) -> LocalBlobWriter:
        """See `BlobStore.replace`."""
        hidden = self.root / f"{self._unseen}{secrets.token_hex(8)}"
        return await self._begin(key, Place(self._path(key), self.root, self._emptying, hidden=hidden))

    async def grow(self, key: str, at: int) -> LocalGrowingBlob:
        """See `BlobStore.grow`."""
        place = Place(self._path(key), self.root, self._emptying)
        blob = LocalGrowingBlob(key, place, at, self._writers, self._margin_bytes)
        before = self._growing.get(key)
        self._growing[key] = blob
        await blob.open(before)
        return blob

    async def link(self, key: str, fd: int) -> bool:
        """Make the very file behind `fd` a new blob, sealed: who changes the file changes the blob.

        False where that cannot be: it lies on another file system, or is not ours to link.
        """
        place = Place(self._path(key), self.root, self._emptying)

        def make() -> bool:
            if not place.link(fd):
                place.remove()
                return False
            os.fsync(fd)
            place.sync()
            return True

        return await change(self._writers, make)

    async def open(self, key: str) -> LocalBlobReader:
        """See `BlobStore.open`."""
        path = self._path(key)

        def find() -> tuple[int, int, bool]:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except (FileNotFoundError, NotADirectoryError):
                raise errors.NotFound(f"There is no {key}.") from None
            return fd, os.fstat(fd).st_size, can_tell_cached(fd)

        fd, size, sendable = await obtain(self._readers, find, lambda found: os.close(found[0]))
        return LocalBlobReader(key, fd, size, self._readers, sendable=sendable)

    async def delete(self, key: str) -> None:
        """See `BlobStore.delete`."""
        await change(self._writers, self._path(key).unlink, missing_ok=True)

    async def delete_tree(self, prefix: str) -> None:
        """See `BlobStore.delete_tree`."""
        await change(self._writers, self._delete_tree, self._path(prefix))

    async def trees(self) -> list[str]:
        """See `BlobStore.trees`."""
        return await change(self._writers, self._trees)

    async def keys(self, prefix: str) -> list[str]:
        """See `BlobStore.keys`."""
        return await change(self._writers, self._keys, self._path(prefix))

    async def finish_deletions(self) -> None:
        """See `BlobStore.finish_deletions`."""
        await change(self._writers, self._finish_deletions)

    def free_bytes(self) -> int:
        """See `BlobStore.free_bytes`; what the disk leaves to those who are not root."""
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

    async def _begin(self, key: str, place: Place) -> LocalBlobWriter:
        def make() -> int:
            try:
                return place.make()
            except FileExistsError:
                raise BlobExists(key) from None
            except FileNotFoundError:
                raise errors.NotFound(f"The place of {key} was deleted.") from None

        def discard(fd: int) -> None:
            os.close(fd)
            place.remove()

        fd = await obtain(self._writers, make, discard)
        return LocalBlobWriter(key, place, fd, self._writers, self._margin_bytes)

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _delete_tree(self, path: Path) -> None:
        # Moved aside first: nobody sees a tree that is half there, and nobody can add to it while it goes.
        grave = self.root / f"{_DELETED}{secrets.token_hex(8)}"
        try:
            path.rename(grave)
        except (FileNotFoundError, NotADirectoryError):
            return
        bury(grave)

    def _trees(self) -> list[str]:
        with os.scandir(self.root) as entries:
            directories = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        return sorted(filter(is_key_segment, directories))

    def _keys(self, path: Path) -> list[str]:
        # os.walk passes over directories that vanish meanwhile.
        found = (Path(directory) / name for directory, _, names in os.walk(path) for name in names)
        return sorted(str(file.relative_to(self.root)) for file in found)

    def _finish_deletions(self) -> None:
        with os.scandir(self.root) as entries:
            graves = [
                Path(entry.path)
                for entry in entries
                if entry.name.startswith((_DELETED, _UNSEEN)) and not entry.name.startswith(self._unseen)
            ]
        for grave in graves:
            bury(grave)


class LocalBlobReader:
    """A `store.blobs.BlobReader` on a file. `sendable`: who sends it can tell what he would have to wait for."""

    def __init__(self, key: str, fd: int, size: int, threads: Executor, *, sendable: bool) -> None:
        self.key = key
        self.size = size
        self._file = SharedDescriptor(fd)
        self._threads = threads
        self._sendable = sendable
        self._closed = False

    @property
    def fd(self) -> int:
        """See `BlobReader.fd`."""
        if self._closed:
            raise ValueError(f"the blob {self.key} is closed")
        return self._file.fd

    @property
    def file(self) -> int | None:
        """See `BlobReader.file`."""
        return self.fd if self._sendable else None

    async def read(self, start: int, stop: int) -> memoryview:
        """See `BlobReader.read`."""
        fd = self.fd
        buffer = bytearray(stop - start)  # fresh each time: the transport keeps what it is given
        view = memoryview(buffer)
        done = read_cached(fd, view, start)
        if done < len(buffer):
            done += await self._file.read(self._threads, lambda: read_all(fd, view[done:], start + done))
        if done < len(buffer):
            raise BlobCut(f"{self.key} ends at byte {start + done}, before {stop}")
        return view.toreadonly()

    async def gather(self, spans: Sequence[tuple[int, int]]) -> memoryview:
        """See `BlobReader.gather`."""
        fd = self.fd
        view = memoryview(bytearray(sum(stop - start for start, stop in spans)))
        if not gather_cached(fd, view, spans):
            try:
                await self._file.read(self._threads, lambda: gather_all(fd, view, spans))
            except EOFError as error:
                raise BlobCut(f"{self.key} ends before {error}") from None
        return view.toreadonly()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self._closed = True
            self._file.close()
