"""Taking turns: what somebody waits for stops the work of the batch, but never for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Of each turn, for how long the batch stands still at most. Who waits gets his still within it; who never ceases to ask,
# be it anybody at all, takes half the time.
WAY_SECONDS = 5.0
TURN_SECONDS = 10.0


class Turns:
    """Says whether the batch makes way at the moment, and calls `changed` whenever that may be another."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._asking = 0  # blocks of `making_way` that go on
        self._begun = False  # the first part of a turn, in which way is made
        self._next: asyncio.TimerHandle | None = None  # while a turn goes on

    @property
    def making(self) -> bool:
        """Whether the batch is to stand still."""
        return self._asking > 0 and self._begun

    @contextmanager
    def making_way(self) -> Iterator[None]:
        """While the block lasts, the batch makes way, for WAY_SECONDS of each TURN_SECONDS."""
        self._asking += 1
        self._begin()
        try:
            yield
        finally:
            self._asking -= 1
            self._changed()

    def close(self) -> None:
        """No turn follows."""
        if self._next is not None:
            self._next.cancel()

    def _begin(self) -> None:
        """A turn, unless one goes on already."""
        if self._next is None and self._asking:
            self._begun = True
            self._next = asyncio.get_running_loop().call_later(WAY_SECONDS, self._go_on)
        self._changed()

    def _go_on(self) -> None:
        self._begun = False
        self._next = asyncio.get_running_loop().call_later(TURN_SECONDS - WAY_SECONDS, self._end)
        self._changed()

    def _end(self) -> None:
        self._next = None
        self._begin()
