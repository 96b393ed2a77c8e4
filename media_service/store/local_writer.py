"""A blob that grows: a file that is written by position, synced now and then, and gone again unless it is sealed."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import Self

from media_service.errors import StorageFull
from media_service.store.blobs import BlobCut
from media_service.store.disk import change
from media_service.store.files import sync_directory, write_all

SYNC_EVERY_BYTES = 64 << 20  # at most this much waits for the fsync of `seal`: half a second on a common SSD
FICLONE = 0x4004_9409  # ioctl_ficlone(2); Python 3.11 has no name for it
# What a kernel or file system answers when it cannot share or copy bytes by itself; seccomp filters of containers say EPERM.
_CANNOT = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.ETXTBSY}
)
_PIECE_BYTES = 1 << 20
MEASURE_EVERY_BYTES = 4 << 20  # sixteen writers together may miss the margin by less than it is wide


class Place:
    """Where a file lies below the store's root. Its directories come and go with the files that need them.

    With `hidden`, a path in the root itself, it lies there until it is synced.

    `emptying` keeps a directory from being removed between its making and that of the file in it; all places of a store
    share it. Every method makes calls that may wait for the disk.
    """

    def __init__(
        self, path: Path, root: Path, emptying: threading.Lock, *, hidden: Path | None = None
    ) -> None:
        self._path = path
        self._root = root
        self._emptying = emptying
        self._hidden = hidden

    def make(self) -> int:
        """A descriptor of the new, empty file. Raises FileExistsError, FileNotFoundError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        if self._hidden is not None:
            return os.open(self._hidden, flags, 0o640)
        with self._emptying:
            self._make_parent()
            return os.open(self._path, flags, 0o640)

    def go_on(self, at: int) -> int:
        """A descriptor of the file, cut to its first `at` bytes; with `at` 0 it is made if it is absent.

        Raises BlobCut when it has fewer, FileNotFoundError when its directory is removed meanwhile.
        """
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._emptying:
            if at == 0:
                self._make_parent()
                flags |= os.O_CREAT
            try:
                fd = os.open(self._path, flags, 0o640)
            except (FileNotFoundError, NotADirectoryError):
                if at == 0:
                    raise
                raise BlobCut(f"{self._path.relative_to(self._root)} is absent, of {at} bytes") from None
        try:
            size = os.fstat(fd).st_size
            if size >= at:
                os.ftruncate(fd, at)
                return fd
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        raise BlobCut(f"{self._path.relative_to(self._root)} ends at byte {size}, before {at}")

    def link(self, fd: int) -> bool:
        """Give the very file behind `fd` this place as one more name, unless it lies on another file system, or is not ours
        to link (proc(5), fs.protected_hardlinks). Raises FileExistsError."""
        with self._emptying:
            self._make_parent()
            try:
                # A directory's descriptor makes it linkat(2), which follows /proc's links; for absolute paths it may be any.
                os.link(f"/proc/self/fd/{fd}", self._path, src_dir_fd=fd, follow_symlinks=True)
            except OSError as error:
                if error.errno not in _CANNOT | {errno.EMLINK, errno.EACCES}:
                    raise
                return False
        return True

    def remove(self) -> None:
        """Remove the file, and the directories that are empty without it: each refused upload would leave one.

        What lay at its path before a hidden one stays.
        """
        if self._hidden is not None:
            self._hidden.unlink(missing_ok=True)
            return
        self._path.unlink(missing_ok=True)  # not under the lock: a large file takes its time
        with self._emptying:
            for directory in self._directories():
                try:
                    directory.rmdir()
                except OSError:
                    return  # something else is in it, or it went with its tree

    def sync(self) -> None:
        """Make the file's name survive a loss of power. The bytes of a hidden one must already: it is seen from here on.

        All directories up to the root, not only those made here: another writer may have made one and died.
        """
        if self._hidden is not None:
            with self._emptying:
                self._make_parent()
                self._hidden.rename(self._path)
        for directory in (*self._directories(), self._root):
            sync_directory(directory)

    def _make_parent(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)

    def _directories(self) -> Iterator[Path]:
        """The directories between the file and the root, from the inside."""
        for directory in self._path.parents:
            if directory == self._root:
                return
            yield directory


class Room:
    """Whether the disk has room for what a file grows by, so that `margin_bytes` are left. `start`: where it grows from."""

    def __init__(self, margin_bytes: int, start: int = 0) -> None:
        self._margin_bytes = margin_bytes
        self._measured = start - MEASURE_EVERY_BYTES  # where it was last seen that there is

    def check(self, fd: int, start: int, stop: int) -> None:
        """Raise errors.StorageFull when the bytes [start, stop) have no room."""
        if stop - self._measured < MEASURE_EVERY_BYTES:
            return
        disk = os.fstatvfs(fd)
        if disk.f_bavail * disk.f_frsize - (stop - start) < self._margin_bytes:
            raise StorageFull("There is no room left on the disk of the media store.")
        self._measured = start


class LocalBlobWriter:
    """A `store.blobs.BlobWriter` on a file. One write at a time."""

    def __init__(self, key: str, place: Place, fd: int, threads: Executor, margin_bytes: int) -> None:
        self.key = key
        self._place = place
        self._fd = fd
        self._threads = threads
        self._room = Room(margin_bytes)
        self._size = 0
        self._synced = 0  # how far the periodic syncs have come
        self._closed = False
        self._sealed = False

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

    async def clone(self, source: int) -> bool:
        """Let the blob, which is empty, share all bytes of the file behind `source`; False where the file system cannot."""
        return await change(self._threads, self._clone, self.fd, source)

    async def copy(self, source: int, stop: int) -> int:
        """Write what the file behind `source` has from `size` to `stop`, by the kernel if possible.

        The size behind it: less than `stop` when the file has fewer bytes. Raises errors.StorageFull.
        """
        return await change(self._threads, self._copy, self.fd, source, stop)

    async def seal(self) -> None:
        """See `BlobWriter.seal`."""
        await change(self._threads, self._sync_all, self.fd)
        self._sealed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._fd)
        if not self._sealed:
            await change(self._threads, self._place.remove)

    def _append(self, fd: int, data: memoryview) -> None:
        self._room.check(fd, self._size, self._size + len(data))
        # By position: after a failure half-way the next write starts where the last whole one ended.
        write_all(fd, data, self._size)
        self._grown(fd, len(data))

    def _clone(self, fd: int, source: int) -> bool:
        try:
            fcntl.ioctl(fd, FICLONE, source)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            return False
        self._size = os.fstat(fd).st_size
        return True

    def _copy(self, fd: int, source: int, stop: int) -> int:
        while self._size < stop:
            # In steps that `Room` measures: what others write meanwhile takes room as well.
            step = min(MEASURE_EVERY_BYTES, stop - self._size)
            self._room.check(fd, self._size, self._size + step)
            count = _copy_some(source, fd, step, self._size)
            if count == 0:
                break
            self._grown(fd, count)
        return self._size

    def _grown(self, fd: int, count: int) -> None:
        self._size += count
        if self._size - self._synced >= SYNC_EVERY_BYTES:
            os.fdatasync(fd)
            self._synced = self._size

    def _sync_all(self, fd: int) -> None:
        os.ftruncate(fd, self._size)  # what a failed write left behind the end
        os.fsync(fd)
        self._place.sync()


def _copy_some(source: int, target: int, count: int, position: int) -> int:
    """Copy up to `count` bytes at `position`; how many, 0 only behind the end of the source."""
    try:
        copied = os.copy_file_range(source, target, count, position, position)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        copied = 0
    if copied:
        return copied
    piece = os.pread(
        source, min(count, _PIECE_BYTES), position
    )  # some file systems copy nothing, and say so with 0
    write_all(target, memoryview(piece), position)
    return len(piece)
