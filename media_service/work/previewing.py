"""Makes the packs of previews: a few tiles of a new film at once, then all of them, in steps of which each is kept.

What is left to do follows from the pack and the index, so whoever is interrupted goes on from the last step. A film of which
no previews can be made is no worse a film.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from weakref import WeakValueDictionary

import msgspec

from media_service.errors import (
    CatalogUnavailable,
    ConverterKilled,
    MediaRejected,
    NotFound,
    StorageFull,
    TranscodeFailed,
)
from media_service.ffmpeg import preview_recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.store.blobs import BlobReader, BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import index_key, original_key, previews_key, previews_tree
from media_service.store.records import Asset
from media_service.timeline.facts import Facts
from media_service.timeline.preview_plan import (
    COARSE,
    Stretch,
    Wanted,
    beginning,
    coarse,
    lacking,
    stretches,
    true_time_us,
    wanted_frames,
)
from media_service.timeline.previews import Pack, size_of
from media_service.timeline.stored_index import StoredIndex, StoredTrack
from media_service.work.events import Events
from media_service.work.keeping import read_whole
from media_service.work.preview_steps import allowance, steps
from media_service.work.rows import facts_of
from media_service.work.tiles import GrowingPack, HeaderChanged, TileCutter, growing_pack

log = logging.getLogger(__name__)

# One run for first tiles and one for all of them at the same time, each of which may take PROBE_LIMITS' memory: part of the
# sum in docs/settings.md.
PREVIEWERS = 2
# Large pictures take their time: of them there are fewer first tiles.
COARSE_PIXELS = COARSE * 1920 * 1088
# Whoever watches meanwhile goes first. The first tiles are few and waited for: they are not put off.
NICE = 10
# Of the first tiles of a film all together, for which others wait: a common one takes one or two.
BEGIN_SECONDS = 30.0
# That neither ended nor made any tile. Each takes little, and films that end the whole service are rare: so more than a few.
MAX_ATTEMPTS = 10
ATTEMPTS = 2  # see timeline.preview_plan.stretches
GRACE_SECONDS = 10.0  # for those who were told of a pack just before another took its place


@dataclass(frozen=True, slots=True)
class _Film:
    """What is known of the film that tiles are made of."""

    asset: Asset
    facts: Facts
    track: StoredTrack
    film_us: int
    size: tuple[int, int]
    wanted: Sequence[Wanted]


class Previewer:
    """Makes and keeps packs; an async context manager that leaves off sweeping on exit."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, events: Events, limits: Limits) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._events = events
        self._limits = limits
        self._beginning = asyncio.Semaphore(1)
        self._making: set[str] = set()
        self._alones: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sweeping = asyncio.Lock()
        self._sweeps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sweep in self._sweeps:
            sweep.cancel()
        await asyncio.gather(*self._sweeps, return_exceptions=True)

    async def begin(self, asset: Asset) -> None:
        """The first few tiles of a film that has none, as far as they come quickly.

        Raises NotFound when it is deleted meanwhile, StorageFull.
        """
        async with self._beginning:
            if asset.id in self._making:
                return
            async with self._alone(asset.id):
                if await self._catalog.pack_of(asset.id) is not None:
                    return
                async with self._counted(asset.id) as counts:
                    if counts and (film := await self._open(asset)) is not None:
                        await self._begin(film)

    async def make(self, asset_id: str) -> None:
        """All tiles of a film. Raises NotFound when it is deleted meanwhile, StorageFull, CatalogUnavailable, ConverterKilled."""
        self._making.add(asset_id)
        try:
            async with self._alone(asset_id):
                await self._make_alone(asset_id)
        finally:
            self._making.discard(asset_id)

    def _alone(self, asset_id: str) -> asyncio.Lock:
        """To be held by whoever makes a pack of the film: it sweeps what anybody else would be growing."""
        return self._alones.setdefault(asset_id, asyncio.Lock())

    async def _make_alone(self, asset_id: str) -> None:
        asset = await self._catalog.asset(asset_id)
        pack = await self._catalog.pack_of(asset_id)
        stored = await self._sweep(asset_id, pack)
        if pack is not None and pack.complete and stored:
            return
        if pack is not None and not stored:
            log.warning("%s gets its previews made anew: those that it had are gone", asset_id)
            pack = None
        async with self._counted(asset_id) as counts:
            if counts and (film := await self._open(asset)) is not None:
                await self._make(film, pack)

    @asynccontextmanager
    async def _counted(self, asset_id: str) -> AsyncIterator[bool]:
        """Whether to try at all: what ended the service each time is not tried again."""
        before = await self._catalog.begin_pack(asset_id)
        try:
            yield before < MAX_ATTEMPTS
        except (asyncio.CancelledError, StorageFull, CatalogUnavailable):
            await self._catalog.end_pack(asset_id, before)  # no fault of the film's
            raise

    async def _begin(self, film: _Film) -> None:
        pixels = (film.asset.width or 0) * (film.asset.height or 0)
        some = coarse(film.wanted, film.film_us, max(1, min(COARSE, COARSE_PIXELS // max(1, pixels))))
        if not some:
            return
        with suppress(ConverterKilled):  # those who make all of them may have more luck
            runs = beginning(film.facts, film.track, some)
            await self._grow(film, None, runs, until=_now() + BEGIN_SECONDS)

    async def _make(self, film: _Film, pack: Pack | None) -> None:
        try:
            pack = await self._complete(film, pack)
        except HeaderChanged:
            log.info("%s gets its previews made anew: they no longer go with the first ones", film.asset.id)
            pack = await self._complete(film, None)
        if pack is not None and not pack.complete:
            await self._keep(film, replace(pack, complete=True))  # there is no more to be had of it

    async def _open(self, asset: Asset) -> _Film | None:
        """The film; None when it has no picture."""
        facts = facts_of(asset)
        if facts.video is None:
            return None
        index = StoredIndex(await read_whole(self._blobs, index_key(asset.id)))
        with suppress(KeyError):
            track = index.track(facts.video.index)
            seconds = asset.duration_seconds or track.stop / track.timescale
            film_us = max(1, round(seconds * 1_000_000))
            # In a thread: of a long film every other block is read.
            wanted = await asyncio.to_thread(wanted_frames, track, film_us)
            return _Film(asset, facts, track, film_us, size_of(*facts.video.display_size), wanted)
        return None

    async def _complete(self, film: _Film, pack: Pack | None) -> Pack | None:
        """The pack with all tiles that can be made; None when none can."""
        for attempt in range(ATTEMPTS):
            left = lacking(film.wanted, () if pack is None else pack.tiles)
            # Off the loop: each frame is looked up in the index.
            runs = await asyncio.to_thread(stretches, film.facts, film.track, left, attempt=attempt)
            for step in steps(runs):
                pack = await self._grow(film, pack, step) or pack
        return pack

    async def _grow(
        self, film: _Film, before: Pack | None, runs: Sequence[Stretch], *, until: float | None = None
    ) -> Pack | None:
        """The pack with what these runs make, kept; None when that is nothing.

        `until`: when somebody who waits for it has had enough (the loop's time); None: it is made patiently.
        """
        asset_id, killed = film.asset.id, None
        async with (
            await self._blobs.open(original_key(asset_id)) as original,
            growing_pack(self._blobs, asset_id, film.size, film.film_us, before) as growing,
        ):
            for run in runs:
                if until is not None and _now() >= until:
                    log.info("%s has its first previews later: they take too long", asset_id)
                    break
                try:
                    await self._run(film, run, original, growing, until=until)
                except (TranscodeFailed, MediaRejected) as error:
                    log.info("%s lacks previews from %.0f s on: %s", asset_id, run.starts[0], error)
                except ConverterKilled as error:
                    killed = error
                    break
            pack = None
            if len(growing.tiles) > (0 if before is None else len(before.tiles)):
                pack = await growing.seal(complete=not lacking(film.wanted, growing.tiles))
                await self._keep(film, pack)
        if pack is not None and before is not None:
            self._sweep_later(asset_id, before, pack)
        if killed is not None:
            raise killed
        return pack

    async def _run(
        self, film: _Film, run: Stretch, original: BlobReader, growing: GrowingPack, *, until: float | None
    ) -> None:
        limits = allowance(self._limits, run)
        if until is None:
            limits = msgspec.structs.replace(limits, nice=NICE)
        else:
            seconds = min(limits.wall_seconds, until - _now())
            limits = msgspec.structs.replace(limits, wall_seconds=seconds)
        argv = preview_recipes.tiles(
            film.facts,
            source_fd=original.fd,
            stretch=run,
            size=film.size,
            limits=limits,
        )
        cutter = TileCutter()
        with Pipe() as stdout:
            async with start(argv, limits=limits, pass_fds=(original.fd,), stdout=stdout):
                async for chunk in stdout:
                    for told_us, jpeg in cutter.feed(chunk):
                        time_us = true_time_us(film.track, told_us)
                        if time_us is not None:
                            await growing.add(time_us, jpeg)

    async def _keep(self, film: _Film, pack: Pack) -> None:
        try:
            await self._catalog.keep_pack(film.asset.id, pack)
        except NotFound:
            await self._blobs.delete(previews_key(film.asset.id, pack.version))
            raise
        self._events.publish("asset", film.asset.id)

    def _sweep_later(self, asset_id: str, old: Pack, new: Pack) -> None:
        name = f"sweeping previews of {asset_id}"
        sweep = asyncio.create_task(self._wait_and_sweep(asset_id, old, new), name=name)
        self._sweeps.add(sweep)
        sweep.add_done_callback(self._sweeps.discard)

    async def _wait_and_sweep(self, asset_id: str, old: Pack, new: Pack) -> None:
        await asyncio.sleep(GRACE_SECONDS)
        async with self._sweeping:  # in turn: when the last one is gone, so are those before it
            await self._blobs.delete(previews_key(asset_id, old.version))
            await self._catalog.set_swept(asset_id, new.version)

    async def _sweep(self, asset_id: str, pack: Pack | None) -> bool:
        """Delete what a crash left: packs from before this one, and what was broken off. Nobody else makes any now.

        Whether this one is stored: a restored catalog may name one that is not.
        """
        named = None if pack is None else previews_key(asset_id, pack.version)
        keys = await self._blobs.keys(previews_tree(asset_id))
        for key in keys:
            if key != named:
                await self._blobs.delete(key)
        if pack is not None:
            await self._catalog.set_swept(asset_id, pack.version)
        return named in keys


def _now() -> float:
    return asyncio.get_running_loop().time()
