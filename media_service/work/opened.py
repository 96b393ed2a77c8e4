"""What was read from a blob once and is asked for again, by asset: the last ones used, as long as they are small enough."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Opened(Generic[Value]):
    """Keeps what `read(asset_id)` gave, a value and its weight, until those used later weigh more than `most` together.

    The newest is kept however heavy it is. What is read here never changes as long as its asset is there.
    """

    def __init__(self, read: Callable[[str], Awaitable[tuple[Value, int]]], most: int) -> None:
        self._read = read
        self._most = most
        self._kept: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._reading: dict[str, asyncio.Task[Value]] = {}

    def known(self, asset_id: str) -> Value | None:
        """The asset's if it is kept."""
        if (kept := self._kept.get(asset_id)) is None:
            return None
        self._kept.move_to_end(asset_id)
        return kept[0]

    async def of(self, asset_id: str) -> Value:
        """The asset's. Raises what `read` raises."""
        if (kept := self.known(asset_id)) is not None:
            return kept
        reading = self._reading.get(asset_id)
        if reading is None:
            reading = self._reading[asset_id] = asyncio.create_task(self._open(asset_id))
            reading.add_done_callback(lambda task: self._read_or_failed(asset_id, task))
        # All who ask meanwhile share it, so that none of them ends it by leaving.
        return await asyncio.shield(reading)

    def _read_or_failed(self, asset_id: str, task: asyncio.Task[Value]) -> None:
        del self._reading[asset_id]
        if not task.cancelled():
            task.exception()  # seen, also when all who asked have left

    async def _open(self, asset_id: str) -> Value:
        value, weight = await self._read(asset_id)
        self._kept[asset_id] = (value, weight)
        self._weight += weight
        while len(self._kept) > 1 and self._weight > self._most:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._weight -= dropped
        return value
