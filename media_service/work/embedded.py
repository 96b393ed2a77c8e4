"""The queue of the embedded default: workers are tasks of the server's own event loop.

Nothing is lost when the process dies: what has to be done follows from the assets' states in the catalog, and is put in
again at the next start. An asset that was deleted is simply not found by its job.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self

Job = Callable[[str], Awaitable[None]]

log = logging.getLogger(__name__)


class EmbeddedQueue:
    """Runs `job(asset_id)` for what is added, `workers` at a time, first come, first served."""

    def __init__(self, name: str, job: Job, *, workers: int) -> None:
        self._name = name
        self._job = job
        self._workers = workers
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._waiting.clear()
        self._again.clear()
        await self._end(list(self._running.values()))

    def add(self, asset_id: str) -> None:
        """See `Queue.add`."""
        if self._closed:
            return
        if asset_id in self._running:
            # The running job may already be past the point that the caller wants seen: let it have another go.
            self._again.add(asset_id)
            return
        self._waiting[asset_id] = None
        self._start()

    async def cancel(self, asset_id: str) -> None:
        """See `Queue.cancel`."""
        self._waiting.pop(asset_id, None)
        self._again.discard(asset_id)
        if task := self._running.get(asset_id):
            await self._end([task])

    @staticmethod
    async def _end(tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            asset_id, _ = self._waiting.popitem(last=False)
            task = asyncio.create_task(self._run(asset_id), name=f"{self._name} {asset_id}")
            self._running[asset_id] = task
            task.add_done_callback(partial(self._done, asset_id))

    async def _run(self, asset_id: str) -> None:
        try:
            await self._job(asset_id)
        except Exception:
            log.exception("%s of %s failed unexpectedly", self._name, asset_id)

    def _done(self, asset_id: str, _: asyncio.Task[None]) -> None:
        del self._running[asset_id]
        if asset_id in self._again:
            self._again.remove(asset_id)
            self._waiting[asset_id] = None
        if not self._closed:
            self._start()
