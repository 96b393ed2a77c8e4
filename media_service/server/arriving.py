"""A connection that a sender has handed over, as the main process goes on with it."""

from __future__ import annotations

import asyncio
from typing import Any

from media_service.server.patience import unread
from media_service.server.plain import Protocol

PLAYBACK = ("/media/", "/t/")


class Arriving(asyncio.Protocol):
    """Begins it: `inner` hears of the connection, of the bytes that were `read` already, and of all that comes from then on.

    With what players fetch it ends: a viewer for whom something had to be made once comes back through whoever is free, and
    not all of them end up here.
    """

    def __init__(self, inner: Protocol, read: bytes) -> None:
        self._inner = inner
        self._read = read
        self._app = inner.app
        inner.app = self._answer
        inner.repeats = None  # nothing is answered of which this does not hear

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """The event loop has it."""
        self._inner.connection_made(transport)
        transport.set_protocol(self._inner)
        if not transport.is_closing():
            self._inner.data_received(self._read)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """What uvicorn takes for the application."""
        # Of a client that pipelines the connection stays: closing it would destroy what it has not read yet.
        last = self._inner.cycle.scope is scope and not self._inner.has_unread and not self._is_to_be_read()
        if scope["path"].startswith(PLAYBACK) and last:
            self._inner.cycle.keep_alive = False
        await self._app(scope, receive, send)

    def _is_to_be_read(self) -> bool:
        return unread(self._inner.transport.get_extra_info("socket").fileno()) > 0
