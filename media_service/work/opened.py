"""What was read from a blob once and is asked for again, by its key: the last ones used, as long as they are small enough."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Opened(Generic[Key, Value]):
    """Keeps what `read(key)` gave, a value and its weight, until those used later weigh more than `most` together.

    The newest is kept however heavy it is. What is read here never changes as long as its asset is there.
    """

    def __init__(self, read: Callable[[Key], Awaitable[tuple[Value, int]]], most: int) -> None:
        self._read = read
        self._most = most
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._reading: dict[Key, asyncio.Task[Value]] = {}

    def known(self, key: Key) -> Value | None:
        """What was read, if it is kept."""
        if (kept := self._kept.get(key)) is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    async def of(self, key: Key) -> Value:
        """What was read. Raises what `read` raises."""
        if (kept := self.known(key)) is not None:
            return kept
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._open(key))
            reading.add_done_callback(lambda task: self._read_or_failed(key, task))
        # All who ask meanwhile share it, so that none of them ends it by leaving.
        return await asyncio.shield(reading)

    def _read_or_failed(self, key: Key, task: asyncio.Task[Value]) -> None:
        del self._reading[key]
        if not task.cancelled():
            task.exception()  # seen, also when all who asked have left

    async def _open(self, key: Key) -> Value:
        value, weight = await self._read(key)
        self._kept[key] = (value, weight)
        self._weight += weight
        while len(self._kept) > 1 and self._weight > self._most:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._weight -= dropped
        return value
