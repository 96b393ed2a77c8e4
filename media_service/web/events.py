"""`/api/v1/events`: Server-Sent Events (HTML Living Standard, s9.2). What changed, as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from media_service.errors import CatalogUnavailable, NotFound, StorageFull
from media_service.store.catalog import Catalog
from media_service.store.event_log import Event
from media_service.web.guards import may_still, needs
from media_service.web.openapi import ApiOperation
from media_service.web.send import body, head
from media_service.web.tellings import Tellings
from media_service.work.events import RESET, STATE, Events, Subscription

AnyRequest = Request[Any, Any, Any]

HEARTBEAT_SECONDS = 15.0  # proxies and phones drop connections that are silent for 30 to 60 s
STALLED_SECONDS = (
    60.0  # a client that takes nothing for so long has gone without a word; so nginx's send_timeout
)
RETRY_MS = 2000  # how soon a browser comes back

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back until its buffer is full
]


class EventStream:
    """An ASGI application that sends events until the client or the service goes.

    Without `after` it starts where the log stands now. Of `asset_id`, if given, it first tells the present state, so that
    nothing is missed between looking and listening, and it ends with that asset; at once, if that is `gone`. It ends too when
    `request` would not be let in any more.
    """

    def __init__(
        self,
        request: AnyRequest,
        events: Events,
        tellings: Tellings,
        *,
        asset_id: str | None,
        after: int | None,
        gone: bool = False,
    ) -> None:
        self._request = request
        self._tellings = tellings
        self._asset_id = asset_id
        self._after = after
        self._gone = gone
        self._news = events.subscribe(asset_id, after)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        with suppress(_Stalled):  # nothing more can be said to it
            await self._stream(receive, send)

    async def _stream(self, receive: Receive, send: Send) -> None:
        async with self._news as news, _leaving(receive, news):
            await send(head(200, HEADERS))
            unknown = False
            try:
                over = await self._begin(news, send)
                while not over and await self._follow(news, send):
                    pass
            except (CatalogUnavailable, StorageFull):
                unknown = True
            if news.overflown or unknown:
                # What it has not read is not lost: it is behind the number of what it has.
                await _send(send, _event("reconnect", b"{}"))
            else:
                # Told to go, a client can tell an end that was meant from a broken line.
                await _send(send, _event("bye", b"{}"))
            await send(body(b"", more=False))

    async def _begin(self, news: Subscription, send: Send) -> bool:
        """Where the listener stands; whether that is all there is to be told."""
        retry = b"retry: %d\n" % RETRY_MS
        if self._gone and self._asset_id is not None:
            await _send(send, retry + b"\n" + _deleted(self._asset_id, news.start))
            return True
        if news.reset:
            await _send(send, retry + b"\n" + _event(RESET, b"{}", news.start))
        elif self._after is None:
            # An id without an event: who breaks off before the first comes back to this place (s9.2.6, "dispatch").
            await _send(send, retry + b"id: %d\n\n" % news.start)
        else:
            await _send(send, retry + b"\n")
            return False
        return self._asset_id is not None and await self._tell_state(send, self._asset_id, news.start, None)

    async def _follow(self, news: Subscription, send: Send) -> bool:
        """Send the next event, or a sign of life when there is none; whether to go on."""
        event: Event | None = None
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                event = await anext(news)
        except StopAsyncIteration:
            return False
        except TimeoutError:
            pass
        if not await may_still(self._request, "read"):
            return False
        if event is None:
            await _send(send, b": still here\n\n")
            return True
        return not await self._tell(send, event)

    async def _tell(self, send: Send, event: Event) -> bool:
        """Send one event; whether it is the last: of an asset that is gone there will be no news."""
        if event.event == STATE:
            return await self._tell_state(send, event.asset_id, event.number, event.number)
        if event.event == RESET:
            await _send(send, _event(RESET, b"{}", event.number))
            return self._asset_id is not None and await self._tell_state(
                send, self._asset_id, event.number, event.number
            )
        data = event.data or msgspec.json.encode({"id": event.asset_id})
        await _send(send, _event(event.event, data, event.number))
        return event.event == "deleted" and self._asset_id is not None

    async def _tell_state(self, send: Send, asset_id: str, number: int, at: int | None) -> bool:
        """Send the state of an asset under `number`, as of the event `at` or of now; whether it is gone."""
        state = await self._tellings.asset(asset_id, at)
        if self._asset_id is None:
            if state is None:
                return False  # the event that says so is on its way, or was told
            await _send(send, _event(STATE, state, number))
            return False
        if state is None:
            await _send(send, _deleted(asset_id, number))
            return True
        made = await self._tellings.made(asset_id, at)
        # The number stands at the second: who has it has both.
        await _send(send, _event(STATE, state) + _event("made", made, number))
        return False


def _event(name: str, data: bytes, number: int | None = None) -> bytes:
    """One event; `data` is a line of JSON."""
    place = b"" if number is None else b"id: %d\n" % number
    return b"%bevent: %b\ndata: %b\n\n" % (place, name.encode(), data)


def _deleted(asset_id: str, number: int) -> bytes:
    return _event("deleted", msgspec.json.encode({"id": asset_id}), number)


class _Stalled(Exception):
    """The client takes nothing any more."""


async def _send(send: Send, text: bytes) -> None:
    """Send some of the body. Raises _Stalled."""
    try:
        async with asyncio.timeout(STALLED_SECONDS):
            await send(body(text))
    except TimeoutError:
        raise _Stalled from None


@asynccontextmanager
async def _leaving(receive: Receive, news: Subscription) -> AsyncIterator[None]:
    """Within the block: end `news` as soon as the client has gone."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        news.end()

    watching = asyncio.create_task(watch(), name="listener's departure")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _last_event_id(request: AnyRequest) -> int | None:
    text = request.headers.get("last-event-id", "")
    if not text:
        return None
    # What is no number of ours is the number of no event: it is not known what was missed.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


@get(
    "/api/v1/events",
    guards=[needs("read")],
    tags=["events"],
    operation_class=ApiOperation,
    media_type="text/event-stream",
)
async def all_events(request: AnyRequest, events: Events, tellings: Tellings) -> ASGIApp:
    """Server-Sent Events of every asset: `asset` with its JSON, `deleted` with its id, `reset` when it is not known what
    was missed behind `Last-Event-ID`, and at the end `reconnect` (read too slowly) or `bye`."""
    return EventStream(request, events, tellings, asset_id=None, after=_last_event_id(request))


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
    tellings: Tellings,
    asset_id: Annotated[str, Parameter(max_length=64)],
) -> ASGIApp:
    """Server-Sent Events of one asset; the first one is its present state, and `deleted` is the last. Behind each `asset`
    comes `made`: which segments of which rendition are stored, as half-open ranges of their numbers."""
    after, gone = _last_event_id(request), False
    try:
        await catalog.asset(asset_id)
    except NotFound:
        # Who was away when it was deleted is told so; and who was told so and comes back all the same, that it is over.
        if after is None or not events.missed(asset_id, after):
            raise
        gone = True
    return EventStream(request, events, tellings, asset_id=asset_id, after=after, gone=gone)


HANDLERS = [all_events, asset_events]
