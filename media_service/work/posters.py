"""The still that stands for a film, and its tiny blurred likeness, which pages show until they have anything better.

Both are drawn when a film is new, of a frame chosen by its previews, and again when somebody chooses another one. A film of
which they cannot be drawn is no worse a film.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from fractions import Fraction
from math import isfinite
from weakref import WeakValueDictionary

from media_service.errors import ConverterKilled, InvalidRequest, NotFound, NotReady, SegmentFailed
from media_service.ffmpeg.still_recipes import Drawing
from media_service.store.keys import poster_key, posters_tree
from media_service.store.records import Asset, AssetChanges
from media_service.timeline.posters import poster_time_us
from media_service.timeline.stills import drawn_size, frame_for
from media_service.work.drawing import DRAWING_LIMITS, drawn, picture_of
from media_service.work.events import Events
from media_service.work.keeping import keep
from media_service.work.rows import facts_of
from media_service.work.runner import Means

log = logging.getLogger(__name__)

POSTER_WIDTH = 1280  # pixels, at most
# Of a new film all together: others wait for theirs. Two pictures that each take as long as is honest.
POSTER_SECONDS = 2 * DRAWING_LIMITS.wall_seconds
# Of one that somebody has chosen and waits for. The proxy gives up after 60 s (k8s/nginx.conf).
CHOOSE_SECONDS = 30.0
# As wide as a data: URI in every answer may be: a few hundred bytes. Blurred, so that nobody sees its pixels.
PLACEHOLDER_WIDTH = 32
PLACEHOLDER_BLUR = 20
# Of the film, where there are no previews to choose by: the first of them that can be drawn.
SHARES = (Fraction(1, 10), Fraction(3, 10), Fraction(0))


class Posters:
    """Draws and keeps them: of new films one at a time, and beside them one that somebody has chosen."""

    def __init__(self, means: Means, events: Events) -> None:
        self._means = means
        self._events = events
        self._drawing = asyncio.Semaphore(1)
        self._choosing = asyncio.Semaphore(1)
        self._alones: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(self, asset_id: str) -> None:
        """The poster of a film that has none. Raises NotFound when it is deleted meanwhile, StorageFull."""
        async with self._drawing, self._alone(asset_id):
            asset = await self._means.catalog.asset(asset_id)
            if asset.has_poster or facts_of(asset).video is None:
                return
            try:
                async with asyncio.timeout(POSTER_SECONDS):
                    changes = await self._automatic(asset)
            except (SegmentFailed, ConverterKilled) as error:
                log.info("%s gets no poster: %s", asset_id, error.detail)
                return
            except TimeoutError:
                log.info("%s gets no poster: none was drawn in %.0f s", asset_id, POSTER_SECONDS)
                return
            await self._keep(asset, changes)
        self._events.publish("asset", asset_id)

    async def choose(self, asset_id: str, seconds: float | None) -> Asset:
        """The frame that is shown then becomes the poster; None: one that the service chooses. The asset as it is now.

        Raises NotFound, NotReady while the film is looked at or when it takes too long, InvalidRequest, SegmentFailed, StorageFull,
        ConverterKilled.
        """
        try:
            async with asyncio.timeout(CHOOSE_SECONDS), self._choosing, self._alone(asset_id):
                return await self._choose(await self._means.catalog.asset(asset_id), seconds)
        except TimeoutError:
            raise NotReady("Drawing this frame takes too long at the moment.") from None

    def _alone(self, asset_id: str) -> asyncio.Lock:
        """To be held by whoever draws a poster of the film: it sweeps what anybody else would be keeping."""
        return self._alones.setdefault(asset_id, asyncio.Lock())

    async def _choose(self, asset: Asset, seconds: float | None) -> Asset:
        if asset.state == "probing":
            raise NotReady("The file is still being looked at.")
        if asset.width is None or asset.facts is None:
            raise InvalidRequest("poster_time: this film has no picture.")
        if seconds is None:
            return await self._keep(asset, {**await self._automatic(asset), "poster_time": None})
        end = asset.duration_seconds or 0.0
        if not isfinite(seconds) or not 0 <= seconds <= end:
            raise InvalidRequest(f"poster_time: the film lasts from 0 to {end:.3f} s.")
        return await self._keep(
            asset, {**await self._drawn(asset, Fraction(seconds)), "poster_time": seconds}
        )

    async def _automatic(self, asset: Asset) -> AssetChanges:
        pack = await self._means.catalog.pack_of(asset.id)
        places = [] if pack is None else [Fraction(poster_time_us(pack), 1_000_000)]
        places += [share * Fraction(asset.duration_seconds or 0) for share in SHARES]
        for seconds in places[:-1]:
            try:
                return await self._drawn(asset, seconds)
            except SegmentFailed:
                continue
        return await self._drawn(asset, places[-1])

    async def _drawn(self, asset: Asset, seconds: Fraction) -> AssetChanges:
        """The poster is stored, and what the catalog is to say of it. Raises SegmentFailed."""
        video = facts_of(asset).video
        assert video is not None, "the film has a picture"
        track = await picture_of(self._means, asset)
        frame = frame_for(track, seconds, "exact")
        size = video.display_size
        large = Drawing(*drawn_size(*size, POSTER_WIDTH))
        small = Drawing(*drawn_size(*size, PLACEHOLDER_WIDTH), "webp", PLACEHOLDER_BLUR)
        poster = await drawn(self._means, asset, track, frame, large)
        placeholder = None
        try:
            placeholder = await drawn(self._means, asset, track, frame, small)
        except (SegmentFailed, ConverterKilled) as error:  # WebP, which not every ffmpeg can write
            log.info("%s gets no placeholder: %s", asset.id, error.detail)
        version = hashlib.sha256(poster).hexdigest()[:16]
        await keep(self._means.blobs, poster_key(asset.id, version), poster)
        return {"has_poster": True, "poster_version": version, "placeholder": placeholder}

    async def _keep(self, asset: Asset, changes: AssetChanges) -> Asset:
        try:
            changed = await self._means.catalog.update_asset(asset.id, **changes)
        except NotFound:  # deleted meanwhile, before this poster was there to be deleted along with it
            await self._means.blobs.delete(poster_key(asset.id, changes["poster_version"]))
            raise
        await self._sweep(changed)
        return changed

    async def _sweep(self, asset: Asset) -> None:
        """Delete the posters from before this one, and what a crash left of others."""
        kept = poster_key(asset.id, asset.poster_version)
        for key in [poster_key(asset.id, None), *await self._means.blobs.keys(posters_tree(asset.id))]:
            if key != kept:
                await self._means.blobs.delete(key)
