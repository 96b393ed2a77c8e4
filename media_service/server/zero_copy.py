"""Files to sockets without a copy through Python: sendfile(2) beside the transport of the event loop.

Neither loop can do it for a transport that stays in use (uvloop has no `sendfile`, asyncio's takes the transport over), so
the bytes go through a second descriptor of the same socket. It belongs to the connection, not to the response: made at the
first file, closed in `connection_lost`, and thus never the number of somebody else's socket. Whoever sends must see to it
that the transport's own buffer is empty before, and writes nothing to the transport meanwhile.
"""

from __future__ import annotations

import asyncio
import enum
import errno
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor

from media_service.server.unsent import Unsent
from media_service.server.writable import Writable

# Per connection and turn of the event loop: what a socket takes at once on a fast line is several MiB, a millisecond
# in which nobody else is served.
TURN_BYTES = 2 << 20
# What is looked at before it is sent, and read in a thread when it is not in memory.
PROBED_BYTES = 2 << 20
READ_AHEAD_BYTES = 64 << 10
READ_BYTES = 256 << 10
# A packet holds 17 pieces of memory (MAX_SKB_FRAGS): the head, and 64 KiB of a file that begin where a page does. Where they
# begin elsewhere they are of 17 pages, and each answer ends in two packets; between those, BBR waits for a timer of its own.
# Where pages are larger there are fewer pieces, and this does no harm.
PAGE_BYTES = 4096
# What sendfile(2) says of the file; whatever else it says is about the socket.
OF_THE_FILE = frozenset({errno.EBADF, errno.EINVAL, errno.EIO, errno.EOVERFLOW, errno.ESPIPE})
# Whatever the socket's object thinks: the kernel has been told by the event loop not to wait.
_LAST = socket.MSG_DONTWAIT
_MORE = socket.MSG_DONTWAIT | socket.MSG_MORE
_PROBE = [bytearray(1)]  # where the byte goes that is looked at
# Of their own: films on a slow disk must not keep the loop's other threads from the digests of uploads.
_THREADS = ThreadPoolExecutor(8, "read-ahead")

log = logging.getLogger(__name__)


class ClientGone(ConnectionError):
    """The client has closed the connection, or has been given up: what is left of the response is nobody's."""


class FileEnded(RuntimeError):
    """The file is shorter than what the response has promised of it."""


class Stop(enum.Enum):
    """Why no more of it was sent."""

    DONE = enum.auto()
    FULL = enum.auto()  # the socket takes no more, or others have their turn
    COLD = enum.auto()  # the next bytes must come from the disk


class Sender:
    """Sends memory and parts of files on one connection, one after the other."""

    def __init__(
        self, transport: asyncio.BaseTransport, writable: Writable, loop: asyncio.AbstractEventLoop
    ) -> None:
        shown = transport.get_extra_info("socket")
        self._socket = socket.socket(shown.family, shown.type, shown.proto, os.dup(shown.fileno()))
        self._out = self._socket.fileno()
        self._writable = writable
        self._loop = loop
        self._unsent = Unsent(self._socket)
        self._full_since = 0.0  # by the loop's clock
        self._waiter: asyncio.Future[Stop] | None = None
        self._held: bytes | memoryview = b""
        self._file = -1
        self._start = self._stop = self._warm = 0  # in the file; up to `_warm` it has been looked at
        self.room = TURN_BYTES  # what is left of this turn of the loop
        self.sent = 0  # bytes of files, ever: who watches for progress compares
        self.closed = False

    @property
    def waits(self) -> bool:
        """True while the socket is what a response waits for."""
        return self._waiter is not None

    def begin(self, held: bytes, file: int, start: int, count: int) -> bool:
        """Send `held` and then the file's bytes [start, start + count), as far as it goes at once.

        False: `rest` must be awaited, and the descriptor must stay open meanwhile. Raises ClientGone, FileEnded.
        """
        self._held, self._file = held, file
        self._start = self._warm = start
        self._stop = start + count
        if 0 < len(held) <= PAGE_BYTES:
            self._align(held)
        return self._push() is Stop.DONE

    def stopped(self) -> asyncio.Future[Stop]:
        """In place of `rest`, for who has no coroutine: done when it was sent (DONE), raises what `rest` raises; after any other
        result `rest` must be awaited.
        """
        waiter = self._waiter = self._loop.create_future()
        self._await_room()
        return waiter

    async def rest(self) -> None:
        """Wait until all of it has been handed to the kernel. Raises ClientGone, FileEnded, OSError of a bad file."""
        stop = Stop.FULL
        while stop is not Stop.DONE:
            if stop is Stop.COLD:
                self._warm = min(self._start + PROBED_BYTES, self._stop)
                await _in_thread(self._file, self._start, self._warm)
                if self.closed:
                    raise ClientGone
                self.room = TURN_BYTES
                stop = self._push()
            else:
                stop = await self._wait()

    def on_writable(self) -> int:
        """Go on, without waking the response before there is something for it to do. Bytes of files that went."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return 0
        self.room = TURN_BYTES
        try:
            if self.sent >= self._unsent.due:
                self._unsent.consider(self._loop.time() - self._full_since)
            stop = self._push()
        except (OSError, FileEnded) as error:
            self._waiter = None
            waiter.set_exception(error)
        else:
            if stop is Stop.FULL:
                self._await_room()
            else:
                self._waiter = None
                waiter.set_result(stop)
        return TURN_BYTES - self.room

    def close(self) -> None:
        """The connection is lost: free the descriptor, and end who waits for it."""
        self.closed = True
        self._writable.forget(self._out)
        self._socket.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ClientGone())

    def _align(self, held: bytes) -> None:
        """Let what is before the file's next page go with `held`, if that is in memory."""
        lead = -self._start % PAGE_BYTES
        if not lead or self._start + lead >= self._stop:
            return
        held_too = bytearray(lead)
        try:
            read = os.preadv(self._file, [held_too], self._start, os.RWF_NOWAIT)
        except BlockingIOError:
            return
        except OSError:  # as in `_is_warm`: a file of memory
            read = os.preadv(self._file, [held_too], self._start)
        self._held = b"".join((held, held_too[:read]))
        self._start = self._warm = self._start + read
        self.room -= read
        self.sent += read

    async def _wait(self) -> Stop:
        if self.closed:
            raise ClientGone
        try:
            return await self.stopped()
        finally:
            self._waiter = None

    def _await_room(self) -> None:
        self._full_since = self._loop.time()
        self._writable.wait(self._out, self)

    def _push(self) -> Stop:
        """Give the socket what it takes now."""
        try:
            if self._held and not self._push_held():
                return Stop.FULL
            return self._push_file()
        except BlockingIOError:
            return Stop.FULL
        except OSError as error:
            if error.errno in OF_THE_FILE:
                raise
            raise ClientGone from error  # reset, timed out, no way to it any more

    def _push_held(self) -> bool:
        """True when all of it has gone: into the segment that the file's first bytes will fill."""
        sent = self._socket.send(self._held, _MORE if self._start < self._stop else _LAST)
        if sent < len(self._held):
            self._held = memoryview(self._held)[sent:]
            return False
        self._held = b""
        return True

    def _push_file(self) -> Stop:
        while self._start < self._stop:
            if self.room <= 0:
                return Stop.FULL
            if self._start >= self._warm and not self._is_warm():
                return Stop.COLD
            wanted = min(self._warm - self._start, self.room)
            sent = os.sendfile(self._out, self._file, self._start, wanted)
            if not sent and wanted:
                raise FileEnded(f"{self._stop - self._start} bytes of it are not there")
            self._start += sent
            self.sent += sent
            self.room -= sent
            if sent < wanted:
                return Stop.FULL
        return Stop.DONE

    def _is_warm(self) -> bool:
        """Look whether the next bytes are in memory, at both ends: sendfile() would wait for a disk, and all with it."""
        stop = min(self._start + PROBED_BYTES, self._stop)
        try:
            os.preadv(self._file, _PROBE, stop - 1, os.RWF_NOWAIT)
            if stop - self._start > READ_AHEAD_BYTES:  # less is read in one go
                os.preadv(self._file, _PROBE, self._start, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            stop = self._stop  # a file of memory: store.blobs.BlobReader.file is nothing that cannot tell
        self._warm = stop
        return True


def _in_thread(file: int, start: int, stop: int) -> asyncio.Future[None]:
    """`_read` in a thread, on a descriptor of its own: who gives up waiting closes `file` while the thread goes on.

    Raises ClientGone where there is no descriptor left.
    """
    try:
        own = os.dup(file)
    except OSError as error:
        if error.errno in OF_THE_FILE:
            raise
        log.warning("a response is broken off: %s", error.strerror)
        raise ClientGone from error
    reading = _THREADS.submit(_read, own, start, stop)
    reading.add_done_callback(lambda _: os.close(own))  # also of what is cancelled before it begins
    return asyncio.wrap_future(reading)


def _read(file: int, start: int, stop: int) -> None:
    """Read [start, stop) of the file for the sake of having it in memory: runs in a thread."""
    piece = [bytearray(min(READ_BYTES, stop - start))]
    try:
        while start < stop and (read := os.preadv(file, piece, start)):
            start += read
    except OSError as error:
        # sendfile() tells it to the response.
        log.warning("a file that is sent cannot be read ahead: %s", error)
