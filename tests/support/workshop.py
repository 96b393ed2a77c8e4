"""The inside of a service without HTTP: a catalog, a store and those who work on them, on a real disk with real ffmpeg."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from media_service.ffmpeg.fence import Limits
from media_service.ingest.intake import Intake
from media_service.ingest.pipeline import Admission, Label
from media_service.memory.budget import Budget
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.keys import original_key
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset
from media_service.wire.representation import BlobExtent, Extent
from media_service.work.clips import ClipMaker
from media_service.work.demand import Demand
from media_service.work.events import Events
from media_service.work.extras import Extras
from media_service.work.going import AT_ONCE, Going
from media_service.work.indexes import Indexes
from media_service.work.indexing import Indexer
from media_service.work.inits import Inits
from media_service.work.outlines import Outlines
from media_service.work.posters import Posters
from media_service.work.previewing import Previewer
from media_service.work.runner import Means
from media_service.work.tasks import Tasks
from media_service.work.transcoding import Transcoder
from media_service.work.waveforms import WaveformMaker
from tests.support.processes import ffmpegs

DAY_SECONDS = 86_400.0


class Workshop:
    """Made by `opened_workshop`. `submitted` are the ids of admitted assets, `news` all that happened to them."""

    def __init__(self, catalog: Catalog, root: Path) -> None:
        self.catalog = catalog
        self.root = root
        self.blobs = LocalBlobs(root)
        self.outlines = Outlines(self.blobs)
        self.inits = Inits(catalog, self.outlines)
        self.indexes = Indexes(self.blobs)
        self.events = Events()
        self.limits = Limits(wall_seconds=120.0)
        self.submitted: list[str] = []
        self._scanning = asyncio.Semaphore(1)

    def intake(self, *, memory_bytes: int = 64 << 20, max_bytes: int = 1 << 30) -> Intake:
        return Intake(budget=Budget(memory_bytes), blobs=self.blobs, max_bytes=max_bytes)

    def admission(self, *, deduplicate: bool = False) -> Admission:
        return Admission(
            catalog=self.catalog, limits=self.limits, submit=self.submitted.append, deduplicate=deduplicate
        )

    def indexer(
        self, *, max_duration_seconds: float = DAY_SECONDS, blobs: LocalBlobs | None = None
    ) -> Indexer:
        return Indexer(
            catalog=self.catalog,
            blobs=blobs or self.blobs,
            events=self.events,
            limits=self.limits,
            max_duration_seconds=max_duration_seconds,
            scanning=self._scanning,
        )

    def extras(self, *, blobs: LocalBlobs | None = None) -> Extras:
        return Extras(
            catalog=self.catalog,
            blobs=blobs or self.blobs,
            outlines=self.outlines,
            events=self.events,
            limits=self.limits,
            scanning=self._scanning,
            posters=self.posters(blobs=blobs),
        )

    def posters(self, *, blobs: LocalBlobs | None = None) -> Posters:
        return Posters(self.means(blobs=blobs), self.events)

    def previewer(self, *, blobs: LocalBlobs | None = None) -> Previewer:
        return Previewer(
            catalog=self.catalog, blobs=blobs or self.blobs, events=self.events, limits=self.limits
        )

    def means(self, *, blobs: LocalBlobs | None = None) -> Means:
        return Means(
            catalog=self.catalog,
            blobs=blobs or self.blobs,
            outlines=self.outlines,
            indexes=self.indexes,
            limits=self.limits,
            threads=1,
        )

    def going(self, *, blobs: LocalBlobs | None = None, at_once: int = AT_ONCE) -> Going:
        """To be entered: it ends the runs for requests on exit."""
        return Going(self.means(blobs=blobs), self.events, at_once=at_once)

    def demand(self, going: Going, *, makes: bool = True) -> Demand:
        return Demand(self.means(), going, self.inits, makes=makes)

    def transcoder(self, going: Going, *, blobs: LocalBlobs | None = None, ahead: bool = True) -> Transcoder:
        return Transcoder(self.means(blobs=blobs), going, self.inits, self.events, ahead=ahead)

    @asynccontextmanager
    async def tasks(
        self, *, blobs: LocalBlobs | None = None, workers: int = 1, ahead: bool = True
    ) -> AsyncIterator[Tasks]:
        """The background work, going on until the block is left; `going` is its."""
        async with (
            self.going(blobs=blobs) as self.at_work,
            Tasks(
                catalog=self.catalog,
                blobs=blobs or self.blobs,
                events=self.events,
                indexer=self.indexer(blobs=blobs),
                extras=self.extras(blobs=blobs),
                previewer=self.previewer(blobs=blobs),
                clips=ClipMaker(self.means(blobs=blobs), quiet=self.at_work.quiet),
                waveforms=WaveformMaker(self.means(blobs=blobs)),
                transcoder=self.transcoder(self.at_work, blobs=blobs, ahead=ahead),
                going=self.at_work,
                transcode_workers=workers,
            ) as tasks,
        ):
            yield tasks

    async def admitted(self, film: Path) -> Asset:
        """The film as an asset that was just uploaded."""
        data = film.read_bytes()  # noqa: ASYNC240 - small, and nobody waits
        async with self.intake().begin(len(data)) as incoming:
            await incoming.write(data)
            return await self.admission().admit(incoming, Label(filename=film.name))

    async def indexed(self, film: Path) -> Asset:
        """The film as a playable asset with its still and subtitles, of which nothing is encoded yet."""
        asset = await self.indexer().index(await self.admitted(film))
        if asset.state == "playable":
            await self.extras().make(asset)
        return await self.catalog.asset(asset.id)

    async def transcode(self, asset: Asset, *, blobs: LocalBlobs | None = None, ahead: bool = True) -> Asset:
        """Make what an asset lacks; the asset as it is then."""
        async with self.going(blobs=blobs) as going:
            await self.transcoder(going, blobs=blobs, ahead=ahead).transcode(asset.id)
        return await self.catalog.asset(asset.id)

    async def transcoded(self, film: Path) -> Asset:
        """The film as an asset with everything that is made of it, or as it failed."""
        return await self.transcode(await self.indexed(film))

    async def first_segments(self, asset: Asset) -> None:
        """Until something of a film that is encoded is in the catalog."""
        async with asyncio.timeout(60), self.events.subscribe(asset.id) as news:
            while not await self.catalog.made(asset.id):
                await anext(news)

    async def written(self, extents: tuple[Extent, ...], path: Path) -> Path:
        """The bytes of the extents as a file."""
        with path.open("wb") as file:
            for extent in extents:
                if isinstance(extent, BlobExtent):
                    async with await self.blobs.open(extent.blob) as reader:
                        file.write(await reader.read(extent.start, extent.stop))
                else:
                    file.write(extent.data)
        return path

    def file(self, asset: Asset) -> Path:
        """Where the original lies."""
        return self.root / original_key(asset.id)

    def files(self, asset: Asset) -> set[str]:
        """The blobs of the asset, by their names below its tree."""
        tree = self.root / asset.id
        return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}


@asynccontextmanager
async def opened_workshop(directory: Path) -> AsyncIterator[Workshop]:
    """A workshop with its data in `directory`."""
    async with open_catalog(sqlite_url(directory / "catalog.sqlite3")) as catalog:
        workshop = Workshop(catalog, directory / "blobs")
        async with workshop.inits:
            yield workshop


def encoders() -> list[int]:
    """ffmpeg processes that this process has started and that still run."""
    return [each.pid for each in ffmpegs(os.getpid())]
