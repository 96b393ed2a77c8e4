"""Fills an asset: run after run until every segment of every rendition is there, or has failed for good.

What is there stays, whatever happens: a run that is broken off costs what it had not committed, and the next one goes on
from the catalog. An asset is `ready` when all is made and put together; with a segment that cannot be made it stays
`playable` and says which, and only a film of which hardly anything can be made is `failed`.
"""

from __future__ import annotations

import logging

from media_service.errors import MediaServiceError, NotFound, SegmentFailed, TranscodeFailed
from media_service.store.keys import segments_tree
from media_service.store.records import Asset, RenditionState
from media_service.timeline import bandwidth
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.work.classic import classic_layout
from media_service.work.events import Events
from media_service.work.going import Going
from media_service.work.inits import Inits
from media_service.work.runner import Means
from media_service.work.runs import Failed, failed_for_good, hopeless, next_run

log = logging.getLogger(__name__)

SEGMENTS_FAILED = SegmentFailed.code  # the `error_code` of a film that lacks some
SAID = 3  # of them in its `error_detail`


class Transcoder:
    """The job `transcode(asset_id)` with what it needs. `ahead`: else nothing is encoded that nobody asked for."""

    def __init__(
        self, means: Means, going: Going, inits: Inits, events: Events, *, ahead: bool = True
    ) -> None:
        self._means = means
        self._catalog = means.catalog
        self._blobs = means.blobs
        self._going = going
        self._inits = inits
        self._events = events
        self.ahead = ahead

    async def transcode(self, asset_id: str) -> None:
        """Make all that an asset lacks, or mark it as failed with the reason.

        Raises StorageFull, ConverterKilled or CatalogUnavailable: try again later.
        """
        try:
            asset = await self._catalog.asset(asset_id)
            if asset.state != "playable":
                return
            outline = await self._means.outlines.of(asset_id)
            try:
                if self.ahead:
                    await self._fill(asset_id, outline)
                await self._close(asset, outline)
            except TranscodeFailed as error:
                await self.give_up(asset_id, error)
        except NotFound:
            log.info("%s was deleted while it was made", asset_id)

    async def give_up(self, asset_id: str, error: MediaServiceError) -> None:
        """Nothing of the asset is offered or kept but the original. Raises NotFound."""
        log.warning("%s failed: %s: %s", asset_id, error.code, error.detail)
        await self._catalog.fail_asset(asset_id, error)
        await self._going.forget(asset_id)
        await self._catalog.put_renditions(asset_id, [])
        await self._blobs.delete_tree(segments_tree(asset_id))
        self._events.publish("asset", asset_id)

    async def _fill(self, asset_id: str, outline: Outline) -> None:
        """Raises TranscodeFailed when there is no use in going on."""
        await self._inits.make(asset_id)
        last: MediaServiceError | None = None
        while True:
            await self._going.quiet()
            made, failed = await self._catalog.made(asset_id), await self._catalog.failures(asset_id)
            if hopeless(outline, made, failed):
                if outline.main.packaged is not None:
                    return  # what the original has itself plays all the same
                raise last if isinstance(last, TranscodeFailed) else TranscodeFailed(_some(failed))
            run = next_run(asset_id, outline, made, failed)
            if run is None:
                return
            last = await self._going.batch(run) or last

    async def _close(self, asset: Asset, outline: Outline) -> None:
        """Nothing is left to be tried: say what has come of it."""
        made, failed = await self._catalog.made(asset.id), await self._catalog.failures(asset.id)
        if next_run(asset.id, outline, made, failed) is not None and not hopeless(outline, made, failed):
            return
        for rendition in outline.encoded:
            await self._measure(asset.id, rendition)
        lacking = [one for one in outline.encoded if len(made.get(one.name, ())) < one.count]
        if lacking:
            await self._leave_out(asset, outline, lacking, failed)
            return
        layouts = {
            one.name: await classic_layout(self._catalog, self._blobs, asset.id, outline, one)
            for one in outline.encoded
        }
        await self._catalog.finish(asset.id, layouts)
        self._events.publish("asset", asset.id)
        log.info("%s is ready", asset.id)

    async def _measure(self, asset_id: str, rendition: OutlineRendition) -> None:
        """In place of what the outline could only guess."""
        found = await self._catalog.sizes(asset_id, rendition.name)
        if len(found) == rendition.count:
            bits = [8 * size for _, size, _ in found]
            measures = (bits, rendition.durations, rendition.timescale)
            await self._catalog.update_rendition(
                asset_id,
                rendition.name,
                bandwidth=bandwidth.peak(*measures),
                average_bandwidth=bandwidth.average(*measures),
            )

    async def _leave_out(
        self, asset: Asset, outline: Outline, lacking: list[OutlineRendition], failed: Failed
    ) -> None:
        """The film plays as far as it is made."""
        for one in outline.encoded:
            state: RenditionState = "failed" if one in lacking else "ready"
            await self._catalog.update_rendition(asset.id, one.name, state=state)
        lost = failed_for_good(failed)
        words = "; ".join(
            f"{one.name} at {_times(one, [number for name, number in lost if name == one.name])}"
            for one in lacking
        )
        detail = f"Could not be converted: {words}."
        if (asset.error_code, asset.error_detail) != (SEGMENTS_FAILED, detail):
            await self._catalog.update_asset(asset.id, error_code=SEGMENTS_FAILED, error_detail=detail)
            self._events.publish("asset", asset.id)


def _times(rendition: OutlineRendition, numbers: list[int]) -> str:
    """When the first of these segments are, for people."""
    said = ", ".join(f"{float(rendition.seconds(number)):.1f} s" for number in sorted(numbers)[:SAID])
    return f"{said} and {len(numbers) - SAID} more" if len(numbers) > SAID else said


def _some(failed: Failed) -> str:
    return next((failure.detail for failure in failed.values()), "")
