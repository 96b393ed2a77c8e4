"""Who waits for which segment. Those who wait for the same one wait together; when the last of them leaves, nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from media_service.errors import MediaServiceError, NotReady
from media_service.timeline.outline import OutlineRendition
from media_service.work.runner import Runner

# Distinct segments that are waited for: in all, and of one film. Far more than players ask for at once, and what lies behind
# so many would not come in time anyway.
MOST = 200
MOST_OF_ONE = 32


class Key(NamedTuple):
    """One segment."""

    asset_id: str
    rendition: str
    number: int


class Request:
    """A segment that somebody waits for. `runner` is the run that he relies on; `failures` how often it failed so far.

    `known`: whether the catalog was asked for it. Until then no run begins.
    """

    def __init__(self, key: Key, rendition: OutlineRendition, order: int) -> None:
        self.key = key
        self.rendition = rendition
        self.order = order  # the newest has the highest
        self.waiting = 0  # people
        self.known = False
        self.failures = 0
        self.runner: Runner | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def refuse(self, error: MediaServiceError) -> None:
        """It will not come: all who wait get `error`."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # seen, also when the last one leaves in this very moment


class Requests:
    """All that is waited for."""

    def __init__(self) -> None:
        self._open: dict[Key, Request] = {}
        self._order = count()

    @contextmanager
    def joined(self, key: Key, rendition: OutlineRendition) -> Iterator[Request]:
        """The request for that segment, with one more who waits as long as the block lasts.

        Raises NotReady at once when too much else is waited for.
        """
        request = self._open.get(key)
        if request is None or request.done.done():
            self._check_room(key.asset_id)
            request = self._open[key] = Request(key, rendition, next(self._order))
        request.order = next(self._order)
        request.waiting += 1
        try:
            yield request
        finally:
            request.waiting -= 1
            if not request.waiting and self._open.get(key) is request:
                del self._open[key]

    def _check_room(self, asset_id: str) -> None:
        of_one = sum(key.asset_id == asset_id for key in self._open)
        if len(self._open) >= MOST or of_one >= MOST_OF_ONE:
            raise NotReady("Too much is waited for already.")

    def wanted(self, key: Key) -> bool:
        """Whether anybody waits for it."""
        return key in self._open

    def pending(self) -> list[Request]:
        """What has neither come nor been refused, the newest first."""
        pending = (one for one in self._open.values() if one.known and not one.done.done())
        return sorted(pending, key=lambda one: -one.order)

    def relying_on(self, runner: Runner) -> list[Request]:
        """Those of `pending` that wait for this run."""
        return [one for one in self.pending() if one.runner is runner]

    def came(self, asset_id: str, rendition: str, numbers: Collection[int]) -> None:
        """These segments are in the catalog."""
        for number in numbers:
            request = self._open.get(Key(asset_id, rendition, number))
            if request is not None and not request.done.done():
                request.done.set_result(None)
