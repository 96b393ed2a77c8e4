"""Films that another process has added to the catalog (the command line's `import`) are taken up like uploads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from media_service.errors import CatalogUnavailable, NotFound
from media_service.store.catalog import Catalog
from media_service.store.event_log import Event
from media_service.work.embedded import EmbeddedQueue
from media_service.work.events import STATE

RETRY_SECONDS = 5.0

log = logging.getLogger(__name__)


class Arrivals:
    """Looks at what others tell of; an async context manager. `submit(asset_id)`: do for it what its state asks for.

    One service owns a data directory, so whatever nobody has looked at yet is its to look at.
    """

    def __init__(self, catalog: Catalog, submit: Callable[[str], None]) -> None:
        self._catalog = catalog
        self._submit = submit
        self._queue = EmbeddedQueue("taking up", self._take_up, workers=1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._queue.__aexit__(kind, error, trace)

    def hear(self, event: Event) -> None:
        """Another process has logged `event`."""
        if event.event == STATE:
            self._queue.add(event.asset_id)

    async def _take_up(self, asset_id: str) -> None:
        try:
            asset = await self._catalog.asset(asset_id)
        except NotFound:
            return
        except CatalogUnavailable as error:
            log.warning("%s has to wait: %s", asset_id, error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._queue.add, asset_id)
            return
        if asset.state == "probing":
            log.info("taking up %s, which another process has added", asset_id)
            self._submit(asset_id)
