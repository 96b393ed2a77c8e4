"""Pipes from ffmpeg to us: the child's end blocks, ours does not.

Nothing is read that nobody asked for, so a slow store holds ffmpeg back through the kernel's own buffer, and no copy of
the film gathers here. `add_reader` is the one primitive that asyncio and uvloop share without a transport in between.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType

PIPE_BYTES = 1 << 20  # the most that an unprivileged process may have; fewer wake-ups of both sides
READ_BYTES = 256 << 10  # per read: the piece size that the rest of the service uses


class Pipe:
    """One pipe. `write_fd` is for the child's argv; reading is `async for chunk in pipe`.

    `process.start` closes the write end once the child has it (else the end would never be seen) and the read end when the
    run is over. Until then, and again afterwards, `close()` may be called by anyone.
    """

    def __init__(self) -> None:
        """Open both ends, close-on-exec. Raises OSError (EMFILE) when descriptors run out."""
        self._read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_fd, False)
        with suppress(PermissionError):  # the user's share of pipe memory is used up: 64 KiB work too
            fcntl.fcntl(self.write_fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.received = 0  # bytes
        self.on_read: Callable[[int], None] | None = None  # told the size of every read, at once
        self._waiter: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that watches the read end now

    @property
    def waiting(self) -> bool:
        """Whether a reader has taken all there was and waits for more."""
        return self._waiter is not None

    @property
    def ended(self) -> bool:
        """Whether the read end is closed: all was read, or nobody will read any more."""
        return self._read_fd < 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes as they come, in chunks of up to 256 KiB; ends when the child's end is closed."""
        while chunk := await self.read():
            yield chunk

    async def read(self, size: int = READ_BYTES) -> bytes:
        """Up to `size` bytes, at least one; b"" at the end. One reader at a time."""
        while (chunk := self.read_now(size)) is None:
            await self._readable()
        return chunk

    def read_now(self, size: int = READ_BYTES) -> bytes | None:
        """What is there, up to `size` bytes, without waiting; None when nothing is, b"" at the end."""
        if self.ended:
            return b""
        try:
            chunk = os.read(self._read_fd, size)
        except BlockingIOError:
            return None
        if not chunk:
            self._close_read()
        self.received += len(chunk)
        if self.on_read is not None:
            self.on_read(len(chunk))
        return chunk

    def watch(self, ready: Callable[[], None]) -> None:
        """Call `ready` whenever `read_now` has something, until the end or `close()`. In place of an awaiting reader."""
        self._register(ready)

    async def read_all(self) -> bytes:
        """All bytes to the end. For output that the limits of the run keep small."""
        return b"".join([chunk async for chunk in self])

    async def _readable(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._register(lambda: _wake(waiter))
        self._waiter = waiter
        try:
            await waiter
        finally:
            self._waiter = None
            self._unregister()

    def _register(self, ready: Callable[[], None]) -> None:
        if self._loop is not None:
            raise RuntimeError("a pipe has one reader")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_fd, ready)

    def _unregister(self) -> None:
        # Always before the descriptor is closed: its number may be given to another file at once.
        if self._loop is not None:
            self._loop.remove_reader(self._read_fd)
            self._loop = None

    def close_write(self) -> None:
        """Close our copy of the child's end. May be called twice."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def _close_read(self) -> None:
        if self._read_fd < 0:
            return
        self._unregister()
        os.close(self._read_fd)
        self._read_fd = -1
        if self._waiter is not None:
            _wake(self._waiter)  # somebody waits in another task: let him see the end

    def close(self) -> None:
        """Close what is open of both ends. May be called twice."""
        self.close_write()
        self._close_read()

    def __enter__(self) -> Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Drain:
    """Reads a pipe to its end whenever bytes come, without a task of its own."""

    def __init__(self, pipe: Pipe, take: Callable[[bytes], None]) -> None:
        """From now on, `take` is called with what comes out of `pipe`."""
        self._pipe = pipe
        self._take = take
        pipe.watch(self.read)

    def read(self) -> None:
        """Take what is there, at most 256 KiB, so that a talkative child does not hold the loop."""
        if chunk := self._pipe.read_now():
            self._take(chunk)

    def finish(self) -> None:
        """Take what is left, then close. Whoever else still holds the other end is not waited for."""
        while chunk := self._pipe.read_now():
            self._take(chunk)
        self._pipe.close()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
