"""News: whoever makes something publishes, whoever shows it subscribes.

Publishing never waits. A subscriber that reads too slowly loses no state, only steps between: of the `asset` events of one
asset, each the whole state, it gets the latest. If its backlog fills up all the same it is ended, and comes back with the
number of the last event that it saw (Last-Event-ID, HTML Living Standard s9.2.4). What it missed until then it reads, as it goes,
from what is remembered for all. To be used from one event loop.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from itertools import count
from operator import attrgetter
from types import TracebackType
from typing import Self

from media_service.store.event_log import KEPT_EVENTS, Event

# Unread events a subscriber may gather: a thousand assets changing while a phone is in a tunnel.
BACKLOG = 1000
STATE = "asset"  # the event whose data is a whole state, so that a later one replaces an earlier one
RESET = (
    "reset"  # it is not known what was missed: everything is to be read anew; for the listeners of each asset
)
STARTED = "started"  # for nobody: the process that logged it may have something to tell from here on
STOPPED = "stopped"  # for nobody: the process that logged it ended in good order, and all that it had to tell is told


class Events:
    """Publish and subscribe with a bounded memory of what was published: of one process, and for as long as it lives.

    See work.logged_events for one that several processes share.
    """

    def __init__(self, *, history: int = KEPT_EVENTS, backlog: int = BACKLOG) -> None:
        self._history: deque[Event] = deque()
        self._kept = history
        self._newest: dict[str, int] = {}  # of the remembered states of each asset
        self._backlog = backlog
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._history[-1].number if self._history else 0

    def publish(self, event: str, asset_id: str, data: bytes = b"") -> None:
        """Tell all subscribers; never blocks. No `data`: they look the state up."""
        self._deliver([Event(self.last + 1, event, asset_id, data)])

    def subscribe(self, asset_id: str | None = None, after: int | None = None) -> Subscription:
        """Listen from the moment the result is entered, to one asset or to all.

        With `after`, what was published after the event of that number comes first. If that is not remembered any more, or
        never was an event, nothing of it comes: see `Subscription.reset`.
        """
        return Subscription(self, asset_id, after)

    def missed(self, asset_id: str, after: int) -> bool:
        """Whether there was, or may have been, anything about that asset behind the event of that number."""
        return not self._knows(after) or any(
            event.asset_id == asset_id or event.event == RESET for event in self._behind(after)
        )

    def close(self) -> None:
        """End all subscriptions at once, also those that come later; what they did not read is dropped."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.end()

    def _deliver(self, events: Iterable[Event]) -> None:
        for event in events:
            self._remember(event)
            # A copy: a subscription that overflows leaves the set.
            for subscription in tuple(self._subscriptions):
                subscription._add(event)  # noqa: SLF001 - the two classes are one mechanism; users get the iterator

    def _remember(self, event: Event) -> None:
        self._history.append(event)
        if event.event == STATE:
            self._newest[event.asset_id] = event.number
        if len(self._history) > self._kept:
            oldest = self._history.popleft()
            if self._newest.get(oldest.asset_id) == oldest.number:
                del self._newest[oldest.asset_id]

    def _knows(self, after: int) -> bool:
        """Whether all that was published behind the event of that number is remembered."""
        first = self._history[0].number if self._history else 1
        return first - 1 <= after <= self.last

    def _join(self, subscription: Subscription) -> None:
        """Take part from now on."""
        if self._closed:
            subscription.end()
        else:
            self._subscriptions.add(subscription)

    def _behind(self, number: int) -> Iterator[Event]:
        """What is remembered of what was published behind the event of that number, but for states that others replaced."""
        at = bisect_right(self._history, number, key=attrgetter("number"))
        for place in range(at, len(self._history)):
            event = self._history[place]
            if event.event != STATE or self._newest[event.asset_id] == event.number:
                yield event

    def _leave(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)


class Subscription:
    """An async context manager, and within it the async iterator of its events. It ends when closed or overflown.

    Cancelling a pending `anext` loses no event.
    """

    def __init__(self, events: Events, asset_id: str | None, after: int | None) -> None:
        self.start = 0  # the number of the newest event when it was entered: all later ones are heard
        self.reset = False  # what was missed is not known
        self.overflown = False  # it ended, or will behind what is unread, because it was read too slowly
        self._events = events
        self._asset_id = asset_id
        # Until it has caught up: the number of the last event that it has read, of those that all remember together. A
        # thousand who come back at once have no copies of them.
        self._read = after
        # By asset for states, by a number of their own for the rest.
        self._unread: OrderedDict[str | int, Event] = OrderedDict()
        self._ordinals = count()
        self._ended = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.start = self._events.last
        self._events._join(self)  # noqa: SLF001 - see Events._deliver
        if self._read is not None and not self._events._knows(self._read):  # noqa: SLF001
            self.reset = True
            self._read = None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            if self._read is not None and (event := self._missed(self._read)) is not None:
                return event
            if self._unread:
                return self._unread.popitem(last=False)[1]
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()

    def end(self) -> None:
        """Hear nothing more; what is unread is dropped."""
        self._read = None
        self._unread.clear()
        self._stop()

    def _missed(self, read: int) -> Event | None:
        """The next event behind that number; None when it has caught up, or what was next is not remembered any more."""
        if self._events._knows(read):  # noqa: SLF001 - see Events._deliver
            for event in self._events._behind(read):  # noqa: SLF001
                if self._wants(event):
                    self._read = event.number
                    return event
        else:
            self.overflown = True
            self._stop()
        self._read = None
        return None

    def _wants(self, event: Event) -> bool:
        if event.event in {STARTED, STOPPED}:
            return False
        return self._asset_id in {None, event.asset_id} or event.event == RESET

    def _add(self, event: Event) -> None:
        if not self._wants(event):
            return
        if self._read is not None:
            self._changed.set()  # it comes to it
            return
        key = event.asset_id if event.event == STATE else next(self._ordinals)
        # Taken out and put in at the end: numbers stay in order, so the last one seen is a true place to resume from.
        self._unread.pop(key, None)
        if len(self._unread) >= self._events._backlog:  # noqa: SLF001 - see Events._deliver
            self.overflown = True
            self._stop()
            return
        self._unread[key] = event
        self._changed.set()

    def _stop(self) -> None:
        self._ended = True
        self._events._leave(self)  # noqa: SLF001 - see Events._deliver
        self._changed.set()
