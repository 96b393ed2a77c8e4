"""Executes a `Delivery`: the one place where bodies leave the service.

Content-Length is the sum of the parts. Once the first byte is out an error aborts the connection, so that a player sees
a cut body and never a short one that looks whole. A client that has gone (every seek in Chrome is one) is noticed within
one piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from typing import cast

from litestar.types import Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from media_service.store.blobs import BlobReader, BlobStore
from media_service.wire.delivery import Delivery
from media_service.wire.representation import BlobExtent, MemoryExtent

# Per connection this much is in memory twice: read ahead of the socket and queued in it. Larger pieces cost memory for
# thousands of slow readers, smaller ones cost system calls (facts.md, "Getting bytes out").
PIECE_BYTES = 256 << 10


def head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> HTTPResponseStartEvent:
    """The ASGI message that begins a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes | memoryview, *, more: bool = True) -> HTTPResponseBodyEvent:
    """The ASGI message that carries a piece of a response's body; `data` must not change afterwards."""
    # ASGI says bytes; uvicorn takes any buffer, and a copy of every piece is what this spares.
    return {"type": "http.response.body", "body": cast("bytes", data), "more_body": more}


class DeliveryResponse:
    """An ASGI application that sends one planned response."""

    def __init__(
        self, delivery: Delivery, blobs: BlobStore, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        self._delivery = delivery
        self._headers = [*delivery.headers, *headers]
        self._blobs = blobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises before the first byte if a blob is missing; after that an exception ends the connection."""
        async with AsyncExitStack() as stack:
            # All blobs are opened before the head goes out: an asset deleted a moment ago is a 404, not a cut body,
            # and one deleted from now on is still sent whole, because the descriptors keep its bytes.
            names = {part.blob for part in self._delivery.parts if isinstance(part, BlobExtent)}
            readers = {name: await stack.enter_async_context(await self._blobs.open(name)) for name in names}
            await send(head(self._delivery.status, self._headers))
            if not self._delivery.parts:
                await send(body(b"", more=False))
                return
            gone = await stack.enter_async_context(Departure(receive))
            for part in self._delivery.parts:
                if isinstance(part, MemoryExtent):
                    await send(body(part.data))
                else:
                    await _send_blob(part, readers[part.blob], gone, send)
                if gone.is_set:
                    return
            await send(body(b"", more=False))


async def _send_blob(extent: BlobExtent, reader: BlobReader, gone: Departure, send: Send) -> None:
    position = extent.start
    while position < extent.stop and not gone.is_set:
        stop = min(position + PIECE_BYTES, extent.stop)
        await send(body(await reader.read(position, stop)))
        position = stop
        # uvicorn's send() returns at once, silently, when the client has gone, and cached reads never wait: without
        # giving the loop a turn here one abandoned seek would read the rest of the film.
        await asyncio.sleep(0)


class Departure:
    """Notices that the client has gone: an async context manager; `is_set` turns true."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self.is_set = False

    async def __aenter__(self) -> Departure:
        self._task = asyncio.create_task(self._watch(), name="departure")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def wait(self) -> None:
        """Return when the client has gone."""
        assert self._task is not None
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_set = True
