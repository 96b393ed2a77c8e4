"""The system calls under local blobs: whole reads and writes at a position, and directories that last.

All of them block. They run in threads, except `read_cached`, which is made never to wait.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

# What a kernel or file system answers when it cannot say whether the bytes are cached: then a thread reads them.
_WOULD_WAIT = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


# Between two spans: copying so much costs less than another call.
GAP_BYTES = 16 << 10
_MOST_PIECES = 1000  # of one call (IOV_MAX is 1024)
_unwanted = memoryview(bytearray(GAP_BYTES))
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})  # file systems that never wait, and do not know the question


def write_all(fd: int, data: memoryview, position: int) -> None:
    """Write all of `data` at `position`; one call may write less than it was given (pwrite(2))."""
    while data:
        count = os.pwrite(fd, data, position)
        data = data[count:]
        position += count


def read_cached(fd: int, into: memoryview, position: int) -> int:
    """Read what the page cache holds at `position`, without waiting for the disk; the count of bytes, 0 for none."""
    if not into:
        return 0
    try:
        return os.preadv(fd, [into], position, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in _WOULD_WAIT:
            return 0
        raise


def can_tell_cached(fd: int) -> bool:
    """Whether the file can be read without waiting for more than the reader knows of: its file system says what is cached
    (RWF_NOWAIT), or is in memory as a whole.

    NFS, CephFS, FUSE, ZFS and others do not: there only a thread can read.
    """
    try:
        os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno == errno.EAGAIN or error.errno not in _WOULD_WAIT:
            return True  # told; or a trouble of its own, which whoever reads will meet
        return file_system_of(os.fstat(fd).st_dev) in _IN_MEMORY
    return True


def file_system_of(device: int) -> str:
    """The type of the file system that is mounted of `device`; "" when /proc does not say (Btrfs has devices of its own)."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        fields = line.split(" ")  # proc_pid_mountinfo(5)
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return ""


def gather_cached(fd: int, into: memoryview, spans: Sequence[tuple[int, int]]) -> bool:
    """Fill `into` with the spans, one after another, from the page cache and without waiting for the disk; False: not all of
    them were there.

    One call for spans that lie close together: what is between them is read and thrown away.
    """
    for start, pieces, size in _close_together(into, spans):
        try:
            if os.preadv(fd, pieces, start, os.RWF_NOWAIT) < size:
                return False
        except OSError as error:
            if error.errno in _WOULD_WAIT:
                return False
            raise
    return True


def _close_together(
    into: memoryview, spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, list[memoryview], int]]:
    """What one call reads: where it starts, into what, and how much in all."""
    pieces: list[memoryview] = []
    first = behind = filled = 0
    for start, stop in spans:
        if pieces and (not 0 <= start - behind <= GAP_BYTES or len(pieces) >= _MOST_PIECES):
            yield first, pieces, behind - first
            pieces = []
        if not pieces:
            first = start
        elif start > behind:
            pieces.append(_unwanted[: start - behind])
        pieces.append(into[filled : filled + stop - start])
        filled += stop - start
        behind = stop
    if pieces:
        yield first, pieces, behind - first


def gather_all(fd: int, into: memoryview, spans: Sequence[tuple[int, int]]) -> None:
    """Fill `into` with the spans, one after another. Raises EOFError when the file ends before one of them does."""
    filled = 0
    for start, stop in spans:
        if read_all(fd, into[filled : filled + stop - start], start) < stop - start:
            raise EOFError(stop)
        filled += stop - start


def read_all(fd: int, into: memoryview, position: int) -> int:
    """Fill `into` from `position`; the count of bytes, less than its length only at the end of the file."""
    done = 0
    while done < len(into):
        count = os.preadv(fd, [into[done:]], position + done)
        if count == 0:
            break
        done += count
    return done


def make_directory(path: Path) -> None:
    """Make `path` and what is missing above it, so that they survive a loss of power. An existing one is left alone."""
    missing = [directory for directory in (path, *path.parents) if not directory.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o750)
    for directory in missing:
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a loss of power (fsync(2): syncing a file does not sync its name)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def bury(path: Path) -> None:
    """Remove a file or a directory with all that is in it, also when somebody else is removing it too."""
    while path.is_dir():
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue  # another sweep was faster with one entry; go on with the rest
    path.unlink(missing_ok=True)
