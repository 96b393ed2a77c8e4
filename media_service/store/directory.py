"""The data directory belongs to one service at a time.

Two services on one directory would each sweep away what the other is just receiving. The lock is the kernel's (flock): it
ends with the process, however that ends, so nothing stale is ever left.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from media_service.store.files import make_directory

LOCK_FILE = "lock"


class DirectoryUnusable(Exception):
    """The data directory cannot be used; the text says why, for a person."""


@contextmanager
def owned(path: Path) -> Iterator[int]:
    """Make the directory if need be, and own it within the block; a process that inherits the descriptor owns it as well.

    Raises DirectoryUnusable."""
    try:
        make_directory(path.absolute())
        descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DirectoryUnusable(f"The data directory {path} cannot be used: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DirectoryUnusable(
            f"Another service already uses the data directory {path}; give this one another MEDIA_SERVICE_DATA_DIR."
        ) from None
    else:
        yield descriptor
    finally:
        os.close(descriptor)
