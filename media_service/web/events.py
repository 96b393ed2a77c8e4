"""`/api/v1/events`: Server-Sent Events (HTML Living Standard, s9.2). What changed, as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from media_service.errors import NotFound
from media_service.store.catalog import Catalog
from media_service.web.doors import prefix_for
from media_service.web.guards import may_still, needs
from media_service.web.openapi import ApiOperation
from media_service.web.send import Departure, body, head
from media_service.web.shapes import asset_json
from media_service.work.events import Event, Events

AnyRequest = Request[Any, Any, Any]

HEARTBEAT_SECONDS = 15.0  # proxies and phones drop connections that are silent for 30 to 60 s
RETRY_MS = 2000  # how soon a browser comes back

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back until its buffer is full
]


class EventStream:
    """An ASGI application that sends events until the client or the service goes.

    It starts with the present state of `asset_id`, if given, so that nothing is missed between looking and listening, and
    then ends with that asset. It ends too when `request` would not be let in any more.
    """

    def __init__(
        self,
        request: AnyRequest,
        events: Events,
        catalog: Catalog,
        *,
        asset_id: str | None,
        after: int | None,
    ) -> None:
        self._request = request
        self._events = events
        self._catalog = catalog
        self._asset_id = asset_id
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        async with self._events.subscribe(self._asset_id, self._after) as news, Departure(receive) as gone:
            await send(head(200, HEADERS))
            await send(body(f"retry: {RETRY_MS}\n\n".encode()))
            over = False
            if self._asset_id is not None and self._after is None:
                over = await self._tell(send, "asset", self._asset_id, None)
            if not over:
                await self._forward(news, gone, send)
            # Told to go, a client can tell an end that was meant from a broken line.
            await send(body(b"event: bye\ndata: {}\n\n"))
            await send(body(b"", more=False))

    async def _forward(self, news: AsyncIterator[Event], gone: Departure, send: Send) -> None:
        left = asyncio.ensure_future(gone.wait())
        following = asyncio.ensure_future(anext(news, None))
        try:
            while not gone.is_set:
                done, _ = await asyncio.wait(
                    {left, following}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                if not await may_still(self._request, "read"):
                    return
                if not done:
                    await send(body(b": still here\n\n"))
                elif following in done:
                    event = following.result()
                    if event is None:
                        return
                    if await self._tell(send, event.event, event.asset_id, event.number):
                        return
                    following = asyncio.ensure_future(anext(news, None))
        finally:
            for task in (left, following):
                task.cancel()
            await asyncio.gather(left, following, return_exceptions=True)

    async def _tell(self, send: Send, event: str, asset_id: str, number: int | None) -> bool:
        """Send one event; whether it is the last: of an asset that is gone there will be no news."""
        data = msgspec.json.encode({"id": asset_id})
        if event == "asset":
            try:
                asset = await self._catalog.asset(asset_id)
                data = msgspec.json.encode(
                    asset_json(
                        asset, await self._catalog.renditions(asset_id), prefix_for(self._request, asset)
                    )
                )
            except NotFound:
                event = "deleted"
        lines = [b"event: " + event.encode(), b"data: " + data]
        if number is not None:
            lines.insert(0, b"id: %d" % number)
        await send(body(b"\n".join(lines) + b"\n\n"))
        return event == "deleted" and self._asset_id is not None


def _last_event_id(request: AnyRequest) -> int | None:
    text = request.headers.get("last-event-id", "")
    # Anything but a number of ours means: from now on. It is not worth an error that a browser would repeat forever.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@get(
    "/api/v1/events",
    guards=[needs("read")],
    tags=["events"],
    operation_class=ApiOperation,
    media_type="text/event-stream",
)
async def all_events(request: AnyRequest, events: Events, catalog: Catalog) -> ASGIApp:
    """Server-Sent Events of every asset: `asset` with its JSON, `deleted` with its id."""
    return EventStream(request, events, catalog, asset_id=None, after=_last_event_id(request))


@get(
    "/api/v1/assets/{asset_id:str}/events",
    guards=[needs("read")],
    tags=["events"],
    operation_class=ApiOperation,
    media_type="text/event-stream",
)
async def asset_events(
    request: AnyRequest,
    events: Events,
    catalog: Catalog,
    asset_id: Annotated[str, Parameter(max_length=64)],
) -> ASGIApp:
    """Server-Sent Events of one asset; the first one is its present state, and `deleted` is the last."""
    await catalog.asset(asset_id)
    return EventStream(request, events, catalog, asset_id=asset_id, after=_last_event_id(request))


HANDLERS = [all_events, asset_events]
