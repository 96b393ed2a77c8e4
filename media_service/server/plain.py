"""uvicorn's HTTP/1.1 as it is, less what this service does not speak: also where files cannot be sent by themselves."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from media_service.server.flow import Flow
from media_service.server.repeats import Repeats

UNIX_PEER = "unix:"  # as wire.forwarded has it: who comes through the socket file is a proxy
PLAIN_SOCKETS = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, but for requests to change to another protocol (WebSocket, h2c): there is none, and so they are
    answered as if they did not ask (RFC 9110 s7.8).
    """

    flow: Flow
    repeats: Repeats | None = None  # where there are none, each request is parsed
    _unread: bytes | memoryview = b""  # and not parsed

    @property
    def has_unread(self) -> bool:
        """Whether more was read than is parsed."""
        return bool(self._unread)

    def after_repeat(self) -> None:
        """A request has been answered of which the application has not heard."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """Name the peer, also where it has no address."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        if family(transport) == socket.AF_UNIX:
            self.client = (UNIX_PEER, 0)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing, where uvicorn logs two lines for each: anybody could write as many as he likes.

        What comes behind such a request is not parsed, so the answer says that it is the connection's last.
        """
        if self.cycle is not None:
            self.cycle.keep_alive = False


def family(transport: asyncio.BaseTransport) -> int | None:
    """What addresses its socket has; None without one."""
    return getattr(transport.get_extra_info("socket"), "family", None)


def peer(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """The address at its other end, if that has one."""
    # Not asked of the socket as uvicorn does it: uvloop makes one each time, by four calls of the kernel.
    name = transport.get_extra_info("peername")
    return (name[0], name[1]) if isinstance(name, tuple) else None
