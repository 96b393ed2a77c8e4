"""Blobs as files below one directory of a local disk.

A key is the file's path. A blob that was sealed survives a loss of power: its bytes, its name and every directory on the
way to it are fsynced. Reads come from the page cache in the event loop where possible (preadv2(2), RWF_NOWAIT) and go to
a thread only when they would wait for the disk.
"""

from __future__ import annotations

import os
import secrets
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from media_service import errors
from media_service.store.blobs import BlobCut, BlobExists, checked_key, is_key_segment
from media_service.store.disk import SharedDescriptor, change, obtain
from media_service.store.files import (
    bury,
    discard,
    make_directory,
    read_all,
    read_cached,
    sync_directory,
    write_all,
)

SYNC_EVERY_BYTES = 64 << 20  # at most this much waits for the fsync of `seal`: half a second on a common SSD
_READ_THREADS = 16  # reads that wait for the disk at the same time; more only queue in the disk itself
_WRITE_THREADS = 8  # apart from the readers': uploads that sync must not stop playback
_DELETED = ".deleted-"  # starts with a dot: no key can look like it


class LocalBlobs:
    """A `store.blobs.BlobStore` below `root`, which is made if it is absent.

    Files in `root` itself (a catalog, a token) are none of its business. Closes nothing: its threads end with it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        make_directory(self.root)
        self._readers = ThreadPoolExecutor(_READ_THREADS, "blob-read")
        self._writers = ThreadPoolExecutor(_WRITE_THREADS, "blob-write")

    async def create(self, key: str) -> LocalBlobWriter:
        """See `BlobStore.create`."""
        path = self._path(key)

        def make() -> int:
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
            except FileExistsError:
                raise BlobExists(key) from None
            except FileNotFoundError:
                raise errors.NotFound(f"The place of {key} was deleted.") from None

        fd = await obtain(self._writers, make, lambda fd: discard(path, fd))
        return LocalBlobWriter(key, path, fd, self.root, self._writers)

    async def open(self, key: str) -> LocalBlobReader:
        """See `BlobStore.open`."""
        path = self._path(key)

        def find() -> tuple[int, int]:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except (FileNotFoundError, NotADirectoryError):
                raise errors.NotFound(f"There is no {key}.") from None
            return fd, os.fstat(fd).st_size

        fd, size = await obtain(self._readers, find, lambda found: os.close(found[0]))
        return LocalBlobReader(key, fd, size, self._readers)

    async def delete(self, key: str) -> None:
        """See `BlobStore.delete`."""
        await change(self._writers, self._path(key).unlink, missing_ok=True)

    async def delete_tree(self, prefix: str) -> None:
        """See `BlobStore.delete_tree`."""
        await change(self._writers, self._delete_tree, self._path(prefix))

    async def trees(self) -> list[str]:
        """See `BlobStore.trees`."""
        return await change(self._writers, self._trees)

    def free_bytes(self) -> int:
        """See `BlobStore.free_bytes`; what the disk leaves to those who are not root."""
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

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
        names = []
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith(_DELETED):
                    bury(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False) and is_key_segment(entry.name):
                    names.append(entry.name)
        return sorted(names)


class LocalBlobWriter:
    """A `store.blobs.BlobWriter` on a file. One write at a time."""

    def __init__(self, key: str, path: Path, fd: int, root: Path, threads: Executor) -> None:
        self.key = key
        self._path = path
        self._fd = fd
        self._root = root
        self._threads = threads
        self._size = 0
        self._synced = 0  # how far the periodic syncs have come
        self._closed = False
        self._sealed = False
        self._stays = False

    @property
    def size(self) -> int:
        """See `BlobWriter.size`."""
        return self._size

    @property
    def fd(self) -> int:
        """See `BlobWriter.fd`."""
        if self._closed:
            raise ValueError(f"the blob {self.key} is closed")
        return self._fd

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `BlobWriter.write`."""
        if self._sealed:
            raise ValueError(f"the blob {self.key} is sealed")
        if not data:
            return
        await change(self._threads, self._append, self.fd, memoryview(data).cast("B"))

    async def seal(self) -> None:
        """See `BlobWriter.seal`."""
        await change(self._threads, self._sync_all, self.fd)
        self._sealed = self._stays = True

    def keep(self) -> None:
        """See `BlobWriter.keep`."""
        self._stays = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._fd)
        if not self._stays:
            await change(self._threads, self._path.unlink, missing_ok=True)

    def _append(self, fd: int, data: memoryview) -> None:
        # By position: after a failure half-way the next write starts where the last whole one ended.
        write_all(fd, data, self._size)
        self._size += len(data)
        if self._size - self._synced >= SYNC_EVERY_BYTES:
            os.fdatasync(fd)
            self._synced = self._size

    def _sync_all(self, fd: int) -> None:
        os.ftruncate(fd, self._size)  # what a failed write left behind the end
        os.fsync(fd)
        # All directories up to the root, not only those made here: another writer may have made one and died.
        for directory in self._path.parents:
            sync_directory(directory)
            if directory == self._root:
                return


class LocalBlobReader:
    """A `store.blobs.BlobReader` on a file."""

    def __init__(self, key: str, fd: int, size: int, threads: Executor) -> None:
        self.key = key
        self.size = size
        self._file = SharedDescriptor(fd)
        self._threads = threads
        self._closed = False

    @property
    def fd(self) -> int:
        """See `BlobReader.fd`."""
        if self._closed:
            raise ValueError(f"the blob {self.key} is closed")
        return self._file.fd

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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self._closed = True
            self._file.close()
