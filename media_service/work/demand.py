"""Segments for those who wait for them: what nobody has made yet is made now, and before everything else."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from media_service.errors import NotFound, NotReady, SegmentFailed
from media_service.timeline.outline import OutlineRendition
from media_service.work.going import Going
from media_service.work.inits import Inits
from media_service.work.requests import Key, Request
from media_service.work.runner import Means, Runner
from media_service.work.runs import MAX_ATTEMPTS

# How long a viewer's request is held. hls.js gives up after ten seconds and Shaka after thirty.
WAIT_SECONDS = 8.0
# For how long a run is left alone after it gave somebody what he waited for (he is about to ask for the next segment), and
# after he was told to come back.
LINGER_SECONDS = 1.0
RETURN_SECONDS = 4.0


class Demand:
    """Makes what is asked for. `makes`: else nothing is made at all, and whoever asks hears so at once."""

    def __init__(self, means: Means, going: Going, inits: Inits, *, makes: bool = True) -> None:
        self._means = means
        self._going = going
        self._inits = inits
        self._makes = makes

    async def segment(self, asset_id: str, name: str, number: int) -> None:
        """Returns when that segment of an encoded rendition is in the catalog. To be cancelled when its viewer has gone.

        Raises NotReady after WAIT_SECONDS, or at once while too much is waited for; SegmentFailed, NotFound for a segment that there will never be, and what keeps
        everything from being made: StorageFull, ConverterKilled, CatalogUnavailable.
        """
        rendition = await self._encoded(asset_id, name)
        if not 0 <= number < rendition.count:
            raise NotFound(f"This rendition has {rendition.count} segments, no number {number}.")
        try:
            with self._going.requests.joined(Key(asset_id, name, number), rendition) as request:
                # Looked up only now that it would be heard of: nobody is told twice of what is committed.
                await self._look(request)
                self._going.schedule()
                await asyncio.wait((request.done,), timeout=WAIT_SECONDS)
                if not request.done.done():
                    self._keep(request.runner, RETURN_SECONDS)
                    raise NotReady("This segment is being made.")
                request.done.result()
                self._keep(request.runner, LINGER_SECONDS)
        finally:
            self._going.schedule()

    async def init(self, asset_id: str, name: str) -> bytes:
        """The init segment of an encoded rendition. Raises as `segment` does."""
        await self._encoded(asset_id, name)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self._inits.of(asset_id, name)
        except TimeoutError:
            raise NotReady("This init segment is being made.") from None

    async def _encoded(self, asset_id: str, name: str) -> OutlineRendition:
        outline = await self._means.outlines.of(asset_id)
        found = next((one for one in outline.encoded if one.name == name), None)
        if found is None:
            raise NotFound(f"Nothing of this film is encoded as {name[:80]!r}.")
        if not self._makes:
            raise NotReady("This service makes nothing.")
        return found

    async def _look(self, request: Request) -> None:
        """What the catalog knows of the segment."""
        catalog, key = self._means.catalog, request.key
        failed = (await catalog.failures(key.asset_id)).get((key.rendition, key.number))
        if failed is not None:
            request.failures = failed.attempts
            if failed.attempts >= MAX_ATTEMPTS:
                request.refuse(SegmentFailed(failed.detail))
        with suppress(NotFound):
            await catalog.segment_of(*key)
            self._going.requests.came(key.asset_id, key.rendition, [key.number])
        request.known = True

    @staticmethod
    def _keep(runner: Runner | None, seconds: float) -> None:
        if runner is not None:
            runner.needed_until = asyncio.get_running_loop().time() + seconds
