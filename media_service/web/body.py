"""Request bodies as they arrive: never collected, bounded in time, with back-pressure down to the socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request

from media_service.errors import InvalidRequest, ShuttingDown, UploadCut, UploadStalled


def announced_length(request: Request[Any, Any, Any]) -> int | None:
    """Content-Length in bytes; None for a body of unknown length. Raises InvalidRequest for anything but digits."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    # int() would also take "+5", "1_000" and Arabic digits; RFC 9110 s8.6 has 1*DIGIT.
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise InvalidRequest("Content-Length is not a number of bytes.")
    return int(text)


@asynccontextmanager
async def told_of_shutdown() -> AsyncIterator[None]:
    """A request that the stopping service cancels within the block is answered: raises ShuttingDown.

    Only uvicorn cancels requests, and only when it stops; unanswered they would get a bare 500.
    """
    try:
        yield
    except asyncio.CancelledError:
        raise ShuttingDown("The service is stopping; send the file again in a moment.") from None


async def body_chunks(request: Request[Any, Any, Any], *, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body's chunks. Raises UploadCut when the client leaves, UploadStalled when it sends nothing for too long.

    Reads the ASGI channel itself: Litestar's `request.stream()` reports a client that left as its own error 500.
    """
    more = True
    while more:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await request.receive()
        except TimeoutError:
            raise UploadStalled(f"Nothing arrived for {idle_seconds:g} seconds.") from None
        if message["type"] == "http.disconnect":
            raise UploadCut("The connection was closed before the whole file had arrived.")
        if message["type"] == "http.request":
            more = message["more_body"]
            if message["body"]:
                yield message["body"]
