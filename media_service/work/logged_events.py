"""News that several processes share, by way of the catalog's log; their numbers go on over restarts.

What is published is logged in batches by one task, and delivered with the numbers that the log gave it, between what others
have logged: all subscribers of all processes hear the same events in the same order. Nothing is heard that is not logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

from media_service.errors import CatalogUnavailable, StorageFull
from media_service.store.catalog import Catalog
from media_service.store.event_log import KEPT_EVENTS, Event, News
from media_service.work.events import BACKLOG, RESET, STARTED, STATE, STOPPED, Events

# Between two batches. Each is a commit, which waits for the disk and keeps others from writing for as long.
GATHER_SECONDS = 0.05
# Between two looks at whether others have logged anything.
LOOK_SECONDS = 0.2
# Between two states of one asset: a film packaged quickly has a hundred segments a second, and no eye follows that.
STATE_SECONDS = 0.25
RETRY_SECONDS = 1.0  # after the database refused; what changes states cannot write then either

log = logging.getLogger(__name__)


class LoggedEvents(Events):
    """The events of a catalog: an async context manager, to be left when nobody publishes any more.

    `on_foreign(event)` is called for what other processes have logged. After a process that ended otherwise than in good
    order nobody knows what it did not come to tell: whoever starts next tells all to read everything anew.
    """

    def __init__(self, catalog: Catalog, *, history: int = KEPT_EVENTS, backlog: int = BACKLOG) -> None:
        super().__init__(history=history, backlog=backlog)
        self.on_foreign: Callable[[Event], None] = lambda _: None
        self._catalog = catalog
        self._waiting: OrderedDict[str | int, News] = OrderedDict()  # as in a subscription
        self._ordinals = count()
        self._told: dict[str, float] = {}  # when the assets that have just changed were last told of
        self._published = asyncio.Event()
        self._unread = False  # the catalog has changed, and was not looked at since
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises CatalogUnavailable."""
        for event in await self._catalog.events_after(0):
            self._remember(event)
        beginning = [News(STARTED, "")]
        if self._history and self._history[-1].event != STOPPED:
            beginning.insert(0, News(RESET, ""))
        try:
            # Before anybody can publish: else what is not logged when the power goes would look like an end in good order.
            others, ours = await self._catalog.append_events(beginning, after=self.last)
            self._deliver([*others, *ours])
        except StorageFull as refused:
            log.warning("it is not logged that the service has started: %s", refused)
            for news in beginning:
                self.publish(*news)
        self._task = asyncio.create_task(self._run(), name="events")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._ending = True
        self._published.set()
        assert self._task is not None
        await self._task
        try:
            await self._catalog.append_events([*self._waiting.values(), News(STOPPED, "")])
        except (StorageFull, CatalogUnavailable) as refused:
            log.warning("the last events are not logged: %s", refused)
        except Exception:
            log.exception("the last events are not logged")

    def publish(self, event: str, asset_id: str, data: bytes = b"") -> None:
        """See `Events.publish`."""
        if event == STATE:
            self._waiting[asset_id] = News(event, asset_id, data)
        else:
            self._told.pop(asset_id, None)  # the state before it goes before it
            self._waiting[next(self._ordinals)] = News(event, asset_id, data)
        self._published.set()

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        refused = False
        while not self._ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._published.wait()
            self._published.clear()
            due = self._due(now())
            try:
                await self._exchange(list(due.values()))
            except (StorageFull, CatalogUnavailable) as error:
                if not refused:
                    log.warning("events have to wait: %s", error)
                refused = True
                self._waiting = OrderedDict({**due, **self._waiting})
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                # Without what there was to be told: else one event that cannot be logged would keep all others.
                log.exception("events are lost, all listeners are told to read everything anew")
                self.publish(RESET, "")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                refused = False
                self._told |= {news.asset_id: now() for news in due.values() if news.event == STATE}
            await asyncio.sleep(GATHER_SECONDS)

    def _due(self, now: float) -> OrderedDict[str | int, News]:
        """What is to be logged now, taken from what waits: all but states of assets that were told of a moment ago."""
        self._told = {asset_id: at for asset_id, at in self._told.items() if now < at + STATE_SECONDS}
        due = OrderedDict((key, news) for key, news in self._waiting.items() if key not in self._told)
        for key in due:
            del self._waiting[key]
        return due

    async def _exchange(self, news: list[News]) -> None:
        """Log these events, hear of others'."""
        others: list[Event] = []
        ours: list[Event] = []
        if news:
            others, ours = await self._catalog.append_events(news, after=self.last)
        elif self._unread or await self._catalog.may_have_news():
            self._unread = True  # until it was read: what was asked once is not answered again
            others = await self._catalog.events_after(self.last)
            self._unread = False
        heard = [*others, *ours]
        if heard and self._history and heard[0].number > self.last + 1:
            # This process stood still while others logged more than is kept. The number is that of the last one lost.
            heard.insert(0, Event(heard[0].number - 1, RESET, "", b""))
        self._deliver(heard)
        for event in others:
            self.on_foreign(event)
