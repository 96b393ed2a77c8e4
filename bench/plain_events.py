"""The peer of bench.events: an ASGI application that does nothing but send what is posted to it to all who listen."""

from __future__ import annotations

import asyncio
from typing import Any

HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]

listening: set[asyncio.Queue[bytes]] = set()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """`GET`: listen. `POST`: tell all."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["method"] == "POST":
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        for queue in listening:
            queue.put_nowait(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    else:
        await _listen(receive, send)


async def _listen(receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    listening.add(queue)
    gone = asyncio.create_task(_gone(receive, queue))
    await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
    while data := await queue.get():
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await gone
    listening.discard(queue)


async def _gone(receive: Any, queue: asyncio.Queue[bytes]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    queue.put_nowait(b"")
