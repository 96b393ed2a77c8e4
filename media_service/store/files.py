"""The system calls under local blobs: whole reads and writes at a position, and directories that last.

All of them block. They run in threads, except `read_cached`, which is made never to wait.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

# What a kernel or file system answers when it cannot say whether the bytes are cached: then a thread reads them.
_WOULD_WAIT = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


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
