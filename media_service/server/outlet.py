"""The way out of one connection: its transport, and beside it the way for files, in that order."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

from uvicorn.protocols.http.flow_control import FlowControl

from media_service.server.patience import unacknowledged
from media_service.server.writable import Writable
from media_service.server.zero_copy import TURN_BYTES, ClientGone, Sender, Stop

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER, socket(7): reset in place of sending the rest

log = logging.getLogger(__name__)


class Outlet:
    """Where a connection's responses leave."""

    def __init__(
        self,
        transport: asyncio.Transport,
        flow: FlowControl,
        writable: Writable,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.loop = loop
        self._transport = transport
        self._flow = flow
        self._writable = writable
        self._sender: Sender | None = None
        self._behind: tuple[bytes, int, int, int] | None = None
        self._closed = False

    def begin_file(self, held: bytes, file: int, start: int, count: int, *, begins: bool) -> bool:
        """Send `held` and the file's bytes [start, start + count), behind what the transport has still to send.

        False: `rest` must be awaited. `begins` says that it is the first of its response: all files of a response have one
        turn of the loop together. Raises ClientGone, FileEnded, OSError of a bad file; the response cannot go on then.
        """
        if self._closed or self._transport.is_closing():
            raise ClientGone
        if self._transport.get_write_buffer_size():
            self._behind = held, file, start, count
            return False
        try:
            sender = self._sender
            if sender is None:
                sender = self._sender = self._made()
            if begins:
                sender.room = TURN_BYTES
            return sender.begin(held, file, start, count)
        except BaseException:
            self._transport.abort()  # something of the response may be out: nothing can follow it
            raise

    @property
    def sent(self) -> int:
        """Bytes of files that the kernel has taken, ever."""
        return 0 if self._sender is None else self._sender.sent

    def _made(self) -> Sender:
        try:
            return Sender(self._transport, self._writable, self.loop)
        except OSError as error:
            # As nginx does when it has no connection left: one client ends, and one line says why (server.limits).
            log.warning("a response is broken off: %s", error.strerror)
            raise ClientGone from error

    def stopped(self) -> asyncio.Future[Stop] | None:
        """In place of `rest`, for who has no coroutine: see `Sender.stopped`. None when there is something before it."""
        return None if self._behind is not None or self._sender is None else self._sender.stopped()

    async def rest(self) -> None:
        """Wait until what was begun has been handed to the kernel. Raises what `begin_file` raises."""
        try:
            if self._behind is not None:
                behind, self._behind = self._behind, None
                await self._drained()
                if self.begin_file(*behind, begins=True):
                    return
            assert self._sender is not None
            await self._sender.rest()
        except BaseException:
            self._transport.abort()
            raise

    async def _drained(self) -> None:
        self._transport.set_write_buffer_limits(high=0)  # now it tells when it is empty
        await self._flow.drain()
        if self._closed or self._transport.is_closing():
            raise ClientGone
        self._transport.set_write_buffer_limits()

    def progress(self) -> tuple[int, int, int] | None:
        """What changes while the client takes something of what it is sent; None while there is nothing to send.

        The kernel has room again only when a third of its buffer is free: a slow client is one that acknowledges.
        """
        unsent = self._transport.get_write_buffer_size()
        sender = self._sender
        if not unsent and (sender is None or not sender.waits):
            return None
        kept = unacknowledged(self._transport.get_extra_info("socket").fileno())
        return self.sent, unsent, kept

    def forsake(self) -> None:
        """When the connection is closed, the kernel is not to keep what it has of it for a client that takes nothing."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    def close(self) -> None:
        """The connection is lost: free the descriptor, and end who waits for it."""
        self._closed = True
        if self._sender is not None:
            self._sender.close()
