"""Fills an asset: run after run until every segment of every rendition is there, or has failed for good.

What is there stays, whatever happens: a run that is broken off costs what it had not committed, and the next one goes on
from the catalog. An asset is `ready` when all is made and put together; with a segment that cannot be made it stays
`playable` and says which, and only a film of which hardly anything can be made is `failed`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from media_service.errors import MediaServiceError, NotFound, SegmentFailed, TranscodeFailed
from media_service.store.keys import segments_tree
from media_service.store.records import Asset
from media_service.timeline import bandwidth
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.work.classic import classic_layout
from media_service.work.events import Events
from media_service.work.going import Going
from media_service.work.inits import Inits
from media_service.work.runner import Means
from media_service.work.runs import Failed, Made, failed_for_good, hopeless, next_run

log = logging.getLogger(__name__)

SAID = 3  # segments that could not be made in the `error_detail` of a film that lacks some

Broken = Mapping[str, MediaServiceError]  # renditions that cannot be encoded at all


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
        # Whether all else is there that a film has when it is `ready`: whoever is told later asks for the job again.
        self.may_close: Callable[[str], bool] = lambda _: True

    async def transcode(self, asset_id: str) -> None:
        """Make all that an asset lacks, or say what it has to do without.

        Raises StorageFull, ConverterKilled or CatalogUnavailable: try again later.
        """
        try:
            asset = await self._catalog.asset(asset_id)
            if asset.state != "playable":
                return
            outline = await self._means.outlines.of(asset_id)
            try:
                broken = await self._fill(asset_id, outline) if self.ahead else {}
                if self.may_close(asset_id):
                    await self._close(asset, outline, broken)
            except TranscodeFailed as error:
                await self.give_up(asset_id, error)
        except NotFound:
            log.info("%s was deleted while it was made", asset_id)

    async def give_up(self, asset_id: str, error: MediaServiceError) -> None:
        """Nothing more is made ahead. What plays stays; where nothing does, nothing is kept but the original.

        Raises NotFound.
        """
        log.warning("%s is given up: %s: %s", asset_id, error.code, error.detail)
        asset = await self._catalog.asset(asset_id)
        if asset.state == "playable":
            outline, made = await self._means.outlines.of(asset_id), await self._catalog.made(asset_id)
            if _plays(outline, made):
                # Classic files of what is whole have to wait for another start: they may be what took the memory.
                await self._leave_out(asset, _lacking(outline, made), error.code, error.detail or error.title)
                return
        await self._catalog.fail_asset(asset_id, error)
        await self._going.forget(asset_id)
        await self._catalog.put_renditions(asset_id, [])
        await self._blobs.delete_tree(segments_tree(asset_id))
        self._events.publish("asset", asset_id)

    async def _fill(self, asset_id: str, outline: Outline) -> Broken:
        """Make what can be made; the renditions for which there is no encoder.

        Raises TranscodeFailed when there is no use in going on.
        """
        broken = await self._inits.make(asset_id)
        left = _without(outline, broken)
        last: MediaServiceError | None = None
        while True:
            await self._going.quiet()
            made, failed = await self._catalog.made(asset_id), await self._catalog.failures(asset_id)
            if hopeless(left, made, failed):
                if _plays(outline, made):
                    return broken
                raise last if isinstance(last, TranscodeFailed) else TranscodeFailed(_some(failed, broken))
            run = next_run(asset_id, left, made, failed)
            if run is None:
                return broken
            last = await self._going.batch(run) or last

    async def _close(self, asset: Asset, outline: Outline, broken: Broken) -> None:
        """Nothing is left to be tried: say what has come of it. Raises TranscodeFailed when that is nothing."""
        made, failed = await self._catalog.made(asset.id), await self._catalog.failures(asset.id)
        left = _without(outline, broken)
        if next_run(asset.id, left, made, failed) is not None and not hopeless(left, made, failed):
            return
        if not _plays(outline, made):
            raise TranscodeFailed(_some(failed, broken))
        for rendition in outline.encoded:
            await self._measure(asset.id, rendition)
        if lacking := _lacking(outline, made):
            await self._lay_out(asset.id, outline, lacking)
            await self._leave_out(asset, lacking, SegmentFailed.code, _lost(lacking, failed))
            return
        layouts = {
            one.name: await classic_layout(self._catalog, self._blobs, asset.id, outline, one)
            for one in outline.encoded
        }
        if asset.error_code is not None:  # it was given up, and now it is whole all the same
            await self._catalog.update_asset(asset.id, error_code=None, error_detail=None)
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
                bandwidth=await asyncio.to_thread(bandwidth.peak, *measures),
                average_bandwidth=bandwidth.average(*measures),
            )

    async def _lay_out(self, asset_id: str, outline: Outline, lacking: list[OutlineRendition]) -> None:
        """Renditions that are whole are ready, though others are not: with a classic file, where their sound is whole."""
        rows = {row.name: row.state for row in await self._catalog.renditions(asset_id)}
        for one in outline.encoded:
            if one in lacking or rows.get(one.name) == "ready":
                continue
            if one.kind == "video" and any(sound in lacking for sound in outline.sounds[:1]):
                await self._catalog.update_rendition(asset_id, one.name, state="ready")
                continue
            layout = await classic_layout(self._catalog, self._blobs, asset_id, outline, one)
            await self._catalog.update_rendition(asset_id, one.name, state="ready", layout=layout)

    async def _leave_out(self, asset: Asset, lacking: list[OutlineRendition], code: str, detail: str) -> None:
        """The film plays as far as it is made."""
        for one in lacking:
            await self._catalog.update_rendition(asset.id, one.name, state="failed")
        if (asset.error_code, asset.error_detail) != (code, detail):
            await self._catalog.update_asset(asset.id, error_code=code, error_detail=detail)
            self._events.publish("asset", asset.id)


def _without(outline: Outline, broken: Broken) -> Outline:
    """What is left of it to be made."""
    kept = tuple(one for one in outline.renditions if one.name not in broken)
    return msgspec.structs.replace(outline, renditions=kept)


def _plays(outline: Outline, made: Made) -> bool:
    """Whether anything of the picture, or of the sound where that is all, is there to be watched."""
    return any(
        one.packaged is not None or made.get(one.name)
        for one in outline.renditions
        if one.kind == outline.main.kind
    )


def _lacking(outline: Outline, made: Made) -> list[OutlineRendition]:
    return [one for one in outline.encoded if len(made.get(one.name, ())) < one.count]


def _lost(lacking: list[OutlineRendition], failed: Failed) -> str:
    """A sentence for people: what could not be made, and when the first of it is shown."""
    lost = failed_for_good(failed)
    words = "; ".join(
        one.name + _times(one, sorted(number for name, number in lost if name == one.name)) for one in lacking
    )
    return f"Could not be converted: {words}."


def _times(rendition: OutlineRendition, numbers: list[int]) -> str:
    if not numbers:
        return ""
    said = ", ".join(f"{float(rendition.seconds(number)):.1f} s" for number in numbers[:SAID])
    more = f" and {len(numbers) - SAID} more" if len(numbers) > SAID else ""
    return f" at {said}{more}"


def _some(failed: Failed, broken: Broken) -> str:
    details = [*(error.detail for error in broken.values()), *(failure.detail for failure in failed.values())]
    return next(iter(details), "")
