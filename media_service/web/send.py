"""Executes a `Delivery`: the one place where bodies leave the service.

Content-Length is the sum of the parts. Once the first byte is out an error aborts the connection, so that a player sees
a cut body and never a short one that looks whole. A client that has gone (every seek in Chrome is one) is noticed within
one piece.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Self, TypeVar, cast

from litestar.types import Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from media_service.store.blobs import BlobReader, BlobStore
from media_service.wire.delivery import Delivery
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent

T = TypeVar("T")

# Per connection this much is in memory twice: read ahead of the socket and queued in it. Larger pieces cost memory for
# thousands of slow readers, smaller ones cost system calls (facts.md, "Getting bytes out").
PIECE_BYTES = 256 << 10
# Per response; a segment has one or two. 64 viewers of classic files, and all of them together hold 1,000.
OPEN_BLOBS = 16
LOOKED_AT = 64  # extents of a body, for the blobs that they lie in


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
        async with _OpenBlobs(self._blobs, self._delivery.extents()) as blobs:
            await send(head(self._delivery.status, self._headers))
            if self._delivery.parts:
                async with Departure(receive) as gone:
                    await _send_extents(self._delivery.extents(), blobs, gone, send)
                    if gone.is_set:
                        return
            await send(body(b"", more=False))


async def _send_extents(extents: Iterable[Extent], blobs: _OpenBlobs, gone: Departure, send: Send) -> None:
    """Their bytes in pieces of PIECE_BYTES: a segment's samples may lie in a hundred places of the film."""
    piece: list[bytes | memoryview] = []
    room = PIECE_BYTES
    for extent in extents:
        position = 0
        while position < extent.size:
            step = min(room, extent.size - position)
            piece.append(await blobs.read(extent, position, position + step))
            position, room = position + step, room - step
            if not room:
                await send(body(_joined(piece)))
                piece, room = [], PIECE_BYTES
                # uvicorn's send() returns at once, silently, when the client has gone, and cached reads never wait:
                # without giving the loop a turn here one abandoned seek would read the rest of the film.
                await asyncio.sleep(0)
                if gone.is_set:
                    return
    if piece:
        await send(body(_joined(piece)))


def _joined(piece: Sequence[bytes | memoryview]) -> bytes | memoryview:
    return piece[0] if len(piece) == 1 else b"".join(piece)


class _OpenBlobs:
    """The blobs that a body is made of, open: an async context manager. Raises NotFound when one of the first is missing.

    The first are opened before the head goes out: an asset deleted a moment ago is a 404, not a cut body, and one deleted
    from now on is still sent whole, because the descriptors keep its bytes. A classic file of a long film has thousands,
    more than a process may hold open for its viewers: of those the rest are opened when it is their turn.
    """

    def __init__(self, store: BlobStore, extents: Iterable[Extent]) -> None:
        self._store = store
        # All of them when there are few; of half a million extents nobody wants to look at each.
        named = (extent.blob for extent in extents if isinstance(extent, BlobExtent))
        self._first = list(islice(dict.fromkeys(islice(named, LOOKED_AT)), OPEN_BLOBS))
        self._open: OrderedDict[str, BlobReader] = OrderedDict()

    async def __aenter__(self) -> Self:
        try:
            for name in self._first:
                await self._reader(name)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def read(self, extent: Extent, start: int, stop: int) -> bytes | memoryview:
        """The extent's own bytes [start, stop)."""
        if isinstance(extent, MemoryExtent):
            return extent.cut(start, stop).data
        reader = await self._reader(extent.blob)
        return await reader.read(extent.start + start, extent.start + stop)

    async def _reader(self, name: str) -> BlobReader:
        if (known := self._open.get(name)) is not None:
            self._open.move_to_end(name)
            return known
        if len(self._open) >= OPEN_BLOBS:
            _, oldest = self._open.popitem(last=False)
            await oldest.__aexit__(None, None, None)
        reader = self._open[name] = await self._store.open(name)
        return reader

    async def _close(self) -> None:
        while self._open:
            _, reader = self._open.popitem()
            await reader.__aexit__(None, None, None)


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


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives; None when the client goes before that: then the work is cancelled, nobody is left to wait for it.

    Raises what `work` raises.
    """
    async with Departure(receive) as gone:
        working = asyncio.create_task(work, name="awaited by a viewer")
        left = asyncio.create_task(gone.wait())
        try:
            await asyncio.wait({working, left}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            for task in (working, left):
                task.cancel()
            await asyncio.gather(working, left, return_exceptions=True)


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application for a client that has gone."""
