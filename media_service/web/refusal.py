"""Errors that are answered while the request's body is still on its way: the client hears of them, and the upload ends.

uvicorn would otherwise read on and throw away what comes, 64 GB of it if need be. Closing at once is no better: what
arrives at a closed socket is answered with a reset, and that can destroy the answer before the client has read it
(RFC 9112 s9.6). So: answer whole, announce the close, go on reading for a moment, then close.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, TypeVar

from litestar import MediaType, Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from media_service.web.send import body

T = TypeVar("T")

# Longer than any round trip; a client that has not stopped sending by then does not listen.
LINGER_SECONDS = 2.0
LINGER_BYTES = 8 << 20
# uvicorn holds this much of a body anyway; reading it to the end costs nothing and keeps the connection.
SMALL_BODY_BYTES = 64 << 10


def body_may_be_unread(request: Request[Any, Any, Any], *, stalled: bool = False) -> bool:
    """Whether more of the request's body may follow than is worth reading; `stalled`: it is known to."""
    if "expect" in request.headers or "transfer-encoding" in request.headers or stalled:
        # A client that was not told to continue may send the body or leave it out: what follows is anybody's guess.
        return True
    length = request.headers.get("content-length", "0")
    return not length.isdecimal() or int(length[:20]) > SMALL_BODY_BYTES


class Refusal(Response[T]):
    """A whole answer that is the last one of its connection; JSON, unless it is bytes already."""

    def to_asgi_response(self, *_: object, **__: object) -> ASGIResponse:
        """What Litestar sends."""
        return _LastAnswer(
            body=self.render(self.content, MediaType.JSON),
            headers={**self.headers, "connection": "close"},
            media_type=self.media_type or MediaType.JSON,
            status_code=self.status_code,
        )


class _LastAnswer(ASGIResponse):
    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send the body at once and the end of the response, with which uvicorn closes, a moment later."""
        await send(body(self.body))
        # Cancelled when the service stops meanwhile: the answer is out, and there is no time left to linger.
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _read_on(receive)
        await send(body(b"", more=False))


async def _read_on(receive: Receive) -> None:
    """Until the body ends, the client leaves, or it has sent LINGER_BYTES more."""
    count = 0
    while count < LINGER_BYTES:
        message = await receive()
        if message["type"] != "http.request" or not message["more_body"]:
            return
        count += len(message["body"])
