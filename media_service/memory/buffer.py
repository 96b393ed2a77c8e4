"""Incoming bytes in RAM that a child process can seek in: a growing memfd (memfd_create(2))."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from types import TracebackType

from media_service import errors

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Buffer:
    """Bytes appended in memory; `fd` can be handed to any number of children, each with a position of its own.

    Its pages belong to the process's cgroup whoever reads them, and are gone with the last descriptor: `close()` here, and
    the end of every child that has one. Reserve the bytes in a `Budget` before appending.
    """

    def __init__(self) -> None:
        """Make an empty one. Raises Busy when the kernel has no memory or descriptor to give."""
        try:
            self._fd = os.memfd_create("upload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            raise _busy(error) from error
        self._size = 0

    @property
    def fd(self) -> int:
        """The descriptor, for `pass_fds`. Raises ValueError when closed."""
        if self._fd < 0:
            raise ValueError("the buffer is closed")
        return self._fd

    @property
    def size(self) -> int:
        """Bytes appended so far."""
        return self._size

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Add `data` at the end, all of it or nothing. Raises Busy when memory is short, PermissionError when sealed."""
        rest, position = memoryview(data).cast("B"), self._size
        while rest:
            try:
                written = os.pwrite(self.fd, rest, position)
            except OSError as error:
                raise _busy(error) from error
            rest, position = rest[written:], position + written
        self._size = position

    def view(self, start: int, stop: int) -> memoryview:
        """The bytes [start, stop) without a copy. Stays readable after `close()`, and keeps the memory until released."""
        stop = min(stop, self._size)
        if start >= stop:
            return memoryview(b"")
        skipped = start % mmap.ALLOCATIONGRANULARITY
        # Private, though nobody writes: a shared mapping, even a read-only one, is in the way of sealing before Linux 6.7.
        pages = mmap.mmap(
            self.fd,
            stop - start + skipped,
            flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ,
            offset=start - skipped,
        )
        return memoryview(pages)[skipped:]

    def seal(self) -> None:
        """No byte can change from here on, whoever has the descriptor. May be called twice.

        Raises OSError (EBUSY) while a writable mapping exists.
        """
        if not fcntl.fcntl(self.fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SEAL:
            os.ftruncate(self.fd, self._size)  # what an append that failed half-way left behind the end
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)

    def close(self) -> None:
        """Give the memory back. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Buffer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _busy(error: OSError) -> Exception:
    # ENOSPC: the limit of the tmpfs behind memfds; EMFILE, ENFILE: as good as no memory to the one who uploads.
    short = {errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE}
    return errors.Busy("There is no memory left for another upload.") if error.errno in short else error
