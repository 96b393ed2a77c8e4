"""What events tell of an asset: read and written once, however many listen."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from time import time
from typing import Any, TypeVar

import msgspec

from media_service.errors import NotFound
from media_service.playback.gate import Gate
from media_service.store.catalog import Catalog
from media_service.web.shapes import asset_json

T = TypeVar("T")

FRESH_SECONDS = 300  # where nothing happens, who comes back a day later gets no token that is over
REMEMBERED = 256  # of some kilobytes each: more assets than that do not change within one tick


class Tellings:
    """JSON of assets. Whoever may listen may read, so it is the same for all; a signed asset's has addresses with a token.

    What is told for an event is read when the first listener comes to it. For a later listener it may be old by then, and
    then a later event is on its way to him.
    """

    def __init__(self, catalog: Catalog, gate: Gate) -> None:
        self._catalog = catalog
        self._gate = gate
        self._known: OrderedDict[tuple[str, int, str, int], asyncio.Task[Any]] = OrderedDict()

    async def asset(self, asset_id: str, number: int | None) -> bytes | None:
        """The asset's JSON, at the event of that number or (None) right now; None when it is gone.

        Raises CatalogUnavailable.
        """
        return await self._once("asset", number, asset_id, partial(self._asset, asset_id))

    async def made(self, asset_id: str, number: int | None) -> bytes:
        """`{"id", "renditions": {name: [[first, stop], ...]}}`: which segments are stored, as half-open ranges of numbers.

        As `asset`.
        """
        return await self._once("made", number, asset_id, partial(self._made, asset_id))

    async def _once(
        self, kind: str, number: int | None, asset_id: str, tell: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        if number is None:
            return await tell()
        key = (kind, number, asset_id, int(time() // FRESH_SECONDS))
        telling: asyncio.Task[T] | None = self._known.get(key)
        if telling is None:
            telling = self._known[key] = asyncio.create_task(tell())
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        try:
            if telling.done():
                return telling.result()
            # One listener's leaving takes nothing from the others.
            return await asyncio.shield(telling)
        except Exception:
            self._known.pop(key, None)  # the next one asks again
            raise

    async def _asset(self, asset_id: str) -> bytes | None:
        try:
            asset = await self._catalog.asset(asset_id)
            renditions = await self._catalog.renditions(asset_id)
        except NotFound:
            return None
        return msgspec.json.encode(asset_json(asset, renditions, self._gate.prefix(asset)))

    async def _made(self, asset_id: str) -> bytes:
        ranges = await self._catalog.made_ranges(asset_id)
        return msgspec.json.encode({"id": asset_id, "renditions": ranges})
