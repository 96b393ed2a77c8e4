"""Executes a `Delivery`: the one place where bodies leave the service.

Content-Length is the sum of the parts. Once the first byte is out an error aborts the connection, so that a player sees
a cut body and never a short one that looks whole. A client that has gone (every seek in Chrome is one) is noticed within
one piece.

Bytes of a file go from it to the socket by themselves where the server can do that (server.protocol); what is made in memory,
and small pieces of files, are sent from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from itertools import chain, islice
from typing import Any, Self, TypeVar, cast

from litestar.types import Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from media_service.web.accel import NOT_FOLLOWED, Accel
from media_service.web.open_blobs import OpenBlob, OpenBlobs
from media_service.wire.delivery import Delivery, Headers
from media_service.wire.representation import BlobExtent, Extent

T = TypeVar("T")

ZERO_COPY = "http.response.zerocopysend"  # the name of ASGI's extension and of its message

# Per connection this much is in memory twice: read ahead of the socket and queued in it. Larger pieces cost memory for
# thousands of slow readers, smaller ones cost system calls (facts.md, "Getting bytes out").
PIECE_BYTES = 256 << 10
# From this size on, bytes go from the file to the socket without passing through Python (sendfile(2)): below, copying them
# together with what is sent beside them costs less than a call for each.
FILE_BYTES = 64 << 10
LOOKED_AT = 64  # extents of a body, for the blobs that they lie in


def head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> HTTPResponseStartEvent:
    """The ASGI message that begins a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _prepared_head(status: int, headers: Headers, prepared: bytes) -> Any:
    """The same of our own server, with lines that are ready to be sent."""
    return {"type": "http.response.start", "status": status, "headers": headers, "prepared": prepared}


def body(data: bytes | memoryview, *, more: bool = True) -> HTTPResponseBodyEvent:
    """The ASGI message that carries a piece of a response's body; `data` must not change afterwards."""
    # ASGI says bytes; uvicorn takes any buffer, and a copy of every piece is what this spares.
    return {"type": "http.response.body", "body": cast("bytes", data), "more_body": more}


def file_piece(file: int, start: int, size: int, *, more: bool) -> Any:
    """The message of ASGI's "Zero Copy Send" for `size` bytes of a file; `send` returns when the file is not needed any more."""
    return {"type": ZERO_COPY, "file": file, "offset": start, "count": size, "more_body": more}


class DeliveryResponse:
    """An ASGI application that sends one planned response. `open_blob` opens what the delivery's parts lie in.

    `headers` are sent besides the delivery's; `completion` is what every answer has (web.headers), where no hook adds it;
    `prepared` is all but the delivery's own as lines, for servers that take them.
    """

    __slots__ = ("_accel", "_completion", "_delivery", "_headers", "_open_blob", "_prepared", "began")

    def __init__(
        self,
        delivery: Delivery,
        open_blob: OpenBlob,
        headers: Headers = (),
        *,
        completion: Headers = (),
        prepared: bytes | None = None,
        accel: Accel | None = None,
    ) -> None:
        self._delivery = delivery
        self._headers = headers
        self._completion = completion
        self._open_blob = open_blob
        self._prepared = prepared
        self._accel = accel
        self.began = False  # true once the head is out: too late for another answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises before the first byte if a blob is missing; after that an exception ends the connection."""
        rest = self._delivery.extents()
        first = list(islice(rest, LOOKED_AT))
        blobs = OpenBlobs(self._open_blob)
        try:
            await blobs.begin(first)
            if self._accel is not None and await self._is_redirected(self._accel, blobs, scope, send):
                return
            own = ZERO_COPY in (scope.get("extensions") or ())  # our server
            await send(self._head(own=own))
            extents = chain(first, rest) if len(first) == LOOKED_AT else first
            await _send_extents(extents, self._delivery.size, blobs, receive, send, with_files=own)
        except ConnectionError:
            if not self.began:
                raise
            # The client has gone (ASGI 2.4: send() may say so). Every seek in Chrome is one; nobody is left to be told.
        finally:
            await blobs.close()

    def _head(self, *, own: bool) -> Any:
        self.began = True
        delivery = self._delivery
        if own and self._prepared is not None:
            return _prepared_head(delivery.status, delivery.own, self._prepared)
        return head(delivery.status, delivery.headers + self._headers + self._completion)

    async def _is_redirected(self, accel: Accel, blobs: OpenBlobs, scope: Scope, send: Send) -> bool:
        """Whether nginx was told to send it."""
        headers = self._delivery.headers + self._headers
        redirected = accel.redirected(scope, self._delivery, headers, blobs.size_of)
        if redirected is None:
            return False
        self.began = True
        await send(head(NOT_FOLLOWED, (*redirected, *self._completion)))
        await send(body(b"", more=False))
        return True


async def _send_extents(
    extents: Iterable[Extent],
    size: int,
    blobs: OpenBlobs,
    receive: Receive,
    send: Send,
    *,
    with_files: bool,
) -> None:
    """Their bytes, `size` in all: long ones from files where they can be, the others in pieces of PIECE_BYTES.

    A segment's samples may lie in a hundred places of the film: they leave together. While a piece is on its way the next
    one is read, and is held until the socket has taken what was before (uvicorn's `send` waits for that).
    """
    if not size:
        await send(body(b"", more=False))
        return
    piece: list[Extent] = []
    room = PIECE_BYTES
    async with Departure(receive) as gone:
        for extent in extents:
            if (
                with_files
                and extent.size >= FILE_BYTES
                and isinstance(extent, BlobExtent)
                and (file := (await blobs.reader(extent.blob)).file) is not None
            ):
                if piece:
                    size -= PIECE_BYTES - room
                    await send(body(await blobs.read(piece)))
                    piece, room = [], PIECE_BYTES
                size -= extent.size
                # Raises ConnectionError when the client goes.
                await send(file_piece(file, extent.start, extent.size, more=size > 0))
                continue
            position = 0
            while position < extent.size:
                step = min(room, extent.size - position)
                piece.append(extent if step == extent.size else extent.cut(position, position + step))
                position, room = position + step, room - step
                if not room:
                    size -= PIECE_BYTES
                    await send(body(await blobs.read(piece), more=size > 0))
                    piece, room = [], PIECE_BYTES
                    if size and await gone.noticed():
                        return
        if piece:
            await send(body(await blobs.read(piece), more=False))


class Departure:
    """Notices that the client has gone: an async context manager; `is_set` turns true once somebody watches for it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self.is_set = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def noticed(self) -> bool:
        """Whether the client has gone, after giving the loop a turn.

        uvicorn's send() returns at once, silently, when the client has gone, and cached reads never wait: without a turn
        after each piece one abandoned seek would read the rest of the film.
        """
        self._watched()
        await asyncio.sleep(0)
        return self.is_set

    async def wait(self) -> None:
        """Return when the client has gone."""
        await asyncio.wait([self._watched()])

    def _watched(self) -> asyncio.Task[None]:
        """The task that watches. Most bodies are gone with one piece, and need none."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="departure")
        return self._task

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
