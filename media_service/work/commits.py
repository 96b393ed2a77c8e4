"""Makes stored segments known: the catalog names only blobs that are whole.

Commits are gathered, for one for each segment of a fast encode would spend the disk on fsync; but not while somebody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

from media_service.errors import NotFound, StorageFull
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.disk import to_its_end
from media_service.store.records import Segment

COMMIT_SECONDS = 0.5  # between commits that nobody waits for; what a crash may cost


class Commits:
    """The segments of one run. `committed` is told the rendition and the numbers that are in the catalog from now on.

    With the first of them earlier attempts at the film that came to no end are forgotten: it gets on.
    """

    def __init__(
        self, catalog: Catalog, blobs: BlobStore, committed: Callable[[str, Collection[int]], None]
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._committed = committed
        self._fresh: dict[str, list[Segment]] = {}
        self._some = asyncio.Event()
        self._urgent = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._got_on = False

    def add(self, segment: Segment, *, urgent: bool) -> None:
        """A segment whose blob is sealed."""
        self._fresh.setdefault(segment.rendition, []).append(segment)
        self._some.set()
        if urgent:
            self._urgent.set()

    def hurry(self, rendition: str, number: int) -> None:
        """Somebody waits for that segment by now."""
        if any(one.number == number for one in self._fresh.get(rendition, ())):
            self._urgent.set()

    async def go_on(self) -> None:
        """Commit what is added, until cancelled."""
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_SECONDS):
                    await self._urgent.wait()
            await self.flush()

    async def flush(self) -> None:
        """Commit what is there. Raises NotFound when the asset was deleted, and whatever the catalog raises.

        Of what could not be committed nothing is kept, unless the catalog does not know itself what it has.
        """
        async with self._one_at_a_time:
            self._some.clear()
            self._urgent.clear()
            while self._fresh:
                name, segments = self._fresh.popitem()
                # A cancellation in between would leave blobs that nobody knows, or rows without blobs.
                await to_its_end(self._commit(name, segments))

    async def _commit(self, name: str, segments: list[Segment]) -> None:
        try:
            fresh = await self._catalog.add_segments(segments)
        except (NotFound, StorageFull):
            await self._drop(segments)
            raise
        await self._drop([one for one in segments if one.number not in fresh])
        self._committed(name, [one.number for one in segments])
        if fresh and not self._got_on:
            self._got_on = True
            await self._catalog.end_attempt(segments[0].asset_id)

    async def _drop(self, segments: Collection[Segment]) -> None:
        for one in segments:
            await self._blobs.delete(one.blob)
