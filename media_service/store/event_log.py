"""The part of the catalog that is a log of what happened: several processes write it, and each follows what others wrote.

Numbers grow by one from event to event, in the order of the commits, and go on whoever is started anew: who knows the number
of the last event that he saw has missed those with higher ones, and nothing else. Only the newest are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, delete, insert, select

from media_service.store.asynchronous import AsyncConnection
from media_service.store.database import OnDatabase
from media_service.store.instants import now_ms
from media_service.store.models import events

KEPT_EVENTS = 10_000  # for those who come back: an hour of transcoding, a few hundred kilobytes


class News(NamedTuple):
    """What happened to an asset, e.g. `asset` (it changed) or `deleted`; `data` is for subscribers, opaque here."""

    event: str
    asset_id: str
    data: bytes = b""


class Event(NamedTuple):
    """News with their number in the log."""

    number: int
    event: str
    asset_id: str
    data: bytes


class EventLog(OnDatabase):
    """The methods of `store.catalog.Catalog` on events."""

    async def append_events(
        self, news: Sequence[News], *, after: int | None = None
    ) -> tuple[list[Event], list[Event]]:
        """Log what happened, all of it or nothing: what others have logged behind the event `after` (None: not asked), and
        these events with the numbers that follow.

        A running service hears of it within half a second, whichever process this is.
        """

        async def change(connection: AsyncConnection) -> tuple[list[Event], list[Event]]:
            others: list[Event] = []
            if after is not None:
                others = [Event(*row) for row in await connection.execute(_behind(after))]
            if not news:
                return others, []
            now = now_ms()
            rows = [{**one._asdict(), "at": now} for one in news]
            added = insert(events).returning(events.c.number, sort_by_parameter_order=True)
            numbers = (await connection.execute(added, rows)).scalars().all()
            await connection.execute(delete(events).where(events.c.number <= numbers[-1] - KEPT_EVENTS))
            return others, [Event(number, *one) for number, one in zip(numbers, news, strict=True)]

        return await self._write(change, of=None)

    async def may_have_news(self) -> bool:
        """Whether anything at all may have been written to the catalog since the last call: costs much less than to look.

        For one caller at a time.
        """
        return await self._changed()

    async def events_after(self, number: int) -> list[Event]:
        """What was logged behind the event of that number, oldest first, as far as it is kept; 0: all of it."""
        return [Event(*row) for row in await self._rows(_behind(number))]


def _behind(number: int) -> Select[int, str, str, bytes]:
    columns = (events.c.number, events.c.event, events.c.asset_id, events.c.data)
    return select(*columns).where(events.c.number > number).order_by(events.c.number)
