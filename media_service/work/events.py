"""News within one process: whoever makes something publishes, whoever shows it subscribes.

Publishing never waits. A subscriber that reads too slowly loses no state, only steps between: of the `asset` events of one
asset, each the whole state, it gets the latest. If its backlog fills up all the same it is ended, and comes back with the
number of the last event that it saw (Last-Event-ID, HTML Living Standard s9.2.4). To be used from one event loop.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from time import time
from types import TracebackType
from typing import NamedTuple, Self

HISTORY = 1000  # events kept for those who come back; minutes of one transcode, some megabytes at most
BACKLOG = (
    1000  # unread events a subscriber may gather: a thousand assets changing while a phone is in a tunnel
)
STATE = "asset"  # the event whose data is a whole state, so that a later one replaces an earlier one


class Event(NamedTuple):
    """Something that happened to an asset. `data` is for the subscribers, opaque here."""

    number: int
    event: str
    asset_id: str
    data: bytes


class Events:
    """In-process publish and subscribe with a bounded memory of what was published."""

    def __init__(self, *, history: int = HISTORY, backlog: int = BACKLOG) -> None:
        # Numbers go on after a restart (nobody publishes a thousand a second for long): a client that comes back to a new
        # process gets all that process has, instead of nothing until the numbers catch up with its own.
        self._number = int(time() * 1000)
        self._history: deque[Event] = deque(maxlen=history)
        self._backlog = backlog
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, event: str, asset_id: str, data: bytes = b"") -> None:
        """Tell all subscribers; never blocks, and does nothing once closed. No `data`: they look the state up."""
        if self._closed:
            return
        self._number += 1
        news = Event(self._number, event, asset_id, data)
        self._history.append(news)
        # A copy: a subscription that overflows leaves the set.
        for subscription in tuple(self._subscriptions):
            subscription._add(news)  # noqa: SLF001 - the two classes are one mechanism; users get the iterator

    def subscribe(self, asset_id: str | None = None, after: int | None = None) -> Subscription:
        """Listen from the moment the result is entered, to one asset or to all.

        With `after`, what was published after the event of that number comes first, as far as it is remembered.
        """
        return Subscription(self, asset_id, after)

    def close(self) -> None:
        """End all subscriptions at once, also those that come later; what they did not read is dropped."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription._end(drop=True)  # noqa: SLF001 - see publish

    def _join(self, subscription: Subscription, after: int | None) -> list[Event]:
        """Take part from now on; the remembered events after `after`."""
        if self._closed:
            subscription._end(drop=True)  # noqa: SLF001 - see publish
            return []
        self._subscriptions.add(subscription)
        if after is None:
            return []
        # A number from the future was given by a process whose clock was ahead: it says nothing about this history.
        return [event for event in self._history if event.number > after or after > self._number]

    def _leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)


class Subscription:
    """An async context manager, and within it the async iterator of its events. It ends when closed or overflown.

    Cancelling a pending `anext` loses no event.
    """

    def __init__(self, events: Events, asset_id: str | None, after: int | None) -> None:
        self._events = events
        self._asset_id = asset_id
        self._after = after
        self._unread: OrderedDict[object, Event] = (
            OrderedDict()
        )  # by asset for states, by number for the rest
        self._capacity = events._backlog  # noqa: SLF001 - see Events.publish
        self._ended = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        for event in self._events._join(self, self._after):  # noqa: SLF001 - see Events.publish
            self._capacity += (
                1  # what is repeated takes no room from what is new, or coming back could overflow at once
            )
            self._add(event)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(drop=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._unread:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._unread.popitem(last=False)[1]

    def _add(self, event: Event) -> None:
        if self._asset_id not in {None, event.asset_id}:
            return
        key: object = (STATE, event.asset_id) if event.event == STATE else event.number
        # Taken out and put in at the end: numbers stay in order, so the last one seen is a true place to resume from.
        self._unread.pop(key, None)
        if len(self._unread) >= self._capacity:
            self._end(drop=False)
            return
        self._unread[key] = event
        self._changed.set()

    def _end(self, *, drop: bool) -> None:
        """No new events; with `drop` also none of the unread ones."""
        self._ended = True
        if drop:
            self._unread.clear()
        self._events._leave(self)  # noqa: SLF001 - see Events.publish
        self._changed.set()
