"""Everything that opens films, over a real catalog and store; what would be encoded is made by hand."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import cast

from media_service.errors import NotReady
from media_service.mp4.fragments import Sample, build_fragment, pack_samples
from media_service.mp4.init_segment import InitTrack, build_init
from media_service.playback.access import Access
from media_service.playback.classics import Classics
from media_service.playback.clips import Clips
from media_service.playback.frames import Frames
from media_service.playback.library import Library
from media_service.playback.opening import Opener
from media_service.playback.packs import Packs
from media_service.playback.playlists import Playlists
from media_service.playback.previews import Previews
from media_service.playback.seeking import Seeker
from media_service.playback.segments import Segments
from media_service.store.keys import segment_key
from media_service.store.records import Segment
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.wire.representation import Extent, MemoryExtent, Representation
from media_service.work.demand import Demand
from media_service.work.drawing import draw
from media_service.work.indexes import Indexes
from media_service.work.outlines import Outlines
from media_service.work.stills import Stills
from tests.mp4.sample_entries import audio, avc_entry, esds, stsd
from tests.support.workshop import Workshop

SAMPLE_BYTES = 40
PUBLIC = Access("public")  # as everybody has it


class Stage:
    """`demand` notes what it is `asked` for, and makes it once it is `allowed`."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.outlines = Outlines(workshop.blobs)
        self.indexes = Indexes(workshop.blobs)
        self.demand = HandMade(workshop, self.outlines)
        opener = Opener(workshop.catalog, self.outlines)
        self.library = Library(catalog=workshop.catalog, blobs=workshop.blobs, opener=opener)
        self.segments = Segments(
            catalog=workshop.catalog,
            opener=opener,
            indexes=self.indexes,
            demand=cast("Demand", self.demand),
        )
        packs = Packs(workshop.catalog)
        self.playlists = Playlists(catalog=workshop.catalog, blobs=workshop.blobs, opener=opener, packs=packs)
        self.clips = Clips(catalog=workshop.catalog, blobs=workshop.blobs)
        self.previews = Previews(catalog=workshop.catalog, blobs=workshop.blobs, packs=packs)
        self.classics = Classics(catalog=workshop.catalog, blobs=workshop.blobs, opener=opener)
        self.seeker = Seeker(opener, self.indexes)
        means = workshop.means()
        self.stills = Stills(partial(draw, means, workshop.going()))
        self.frames = Frames(opener=opener, means=means, packs=packs, stills=self.stills)

    async def outline(self, asset_id: str) -> Outline:
        """The film's outline."""
        return await self.outlines.of(asset_id)

    async def bytes_of(self, *opened: Representation) -> bytes:
        """The bytes of what was opened, one after another."""
        return b"".join([await self._read(extent) for one in opened for extent in one.extents])

    async def _read(self, extent: Extent) -> bytes:
        if isinstance(extent, MemoryExtent):
            return extent.data
        async with await self.workshop.blobs.open(extent.blob) as reader:
            return bytes(await reader.read(extent.start, extent.stop))


class HandMade:
    """Stands in for work.demand.Demand."""

    def __init__(self, workshop: Workshop, outlines: Outlines) -> None:
        self._workshop = workshop
        self._outlines = outlines
        self.asked: list[tuple[str, int]] = []
        self.given_up: list[tuple[str, int]] = []
        self.begun = asyncio.Event()
        self.allowed = asyncio.Event()
        self.allowed.set()
        self.ready = True

    async def segment(self, asset_id: str, rendition: str, number: int) -> None:
        self.asked.append((rendition, number))
        self.begun.set()
        if not self.ready:
            raise NotReady("It takes longer.")
        try:
            await self.allowed.wait()
        except asyncio.CancelledError:
            self.given_up.append((rendition, number))
            raise
        await self.make(asset_id, (await self._outlines.of(asset_id)).rendition(rendition), number)

    async def init(self, asset_id: str, rendition: str) -> bytes:
        self.asked.append((rendition, -1))
        made = (await self._outlines.of(asset_id)).rendition(rendition)
        return await self._workshop.catalog.set_init(asset_id, rendition, init_of(made), made.codecs)

    async def make(self, asset_id: str, rendition: OutlineRendition, number: int) -> None:
        """Store a segment: one sample, as long as it."""
        begin, stop = rendition.boundaries[number : number + 2]
        samples = [Sample(stop - begin, SAMPLE_BYTES, sync=True)]
        head = build_fragment(sequence=number + 1, track_id=1, base_time=begin, samples=samples)
        data = head + bytes([number % 256]) * SAMPLE_BYTES
        digest = f"digest{number}"
        key = segment_key(asset_id, rendition.name, number, digest)
        async with await self._workshop.blobs.create(key) as writer:
            await writer.write(data)
            await writer.seal()
        await self._workshop.catalog.add_segments(
            [
                Segment(
                    asset_id=asset_id,
                    rendition=rendition.name,
                    number=number,
                    blob=key,
                    digest=digest,
                    size=len(data),
                    payload_start=len(head),
                    iframe_size=len(data),
                    begin_ticks=begin,
                    samples=pack_samples(samples),
                )
            ]
        )

    async def make_all(self, asset_id: str, name: str) -> None:
        """All segments of a rendition, and its init segment."""
        rendition = (await self._outlines.of(asset_id)).rendition(name)
        await self.init(asset_id, name)
        for number in range(rendition.count):
            await self.make(asset_id, rendition, number)


def init_of(rendition: OutlineRendition) -> bytes:
    """An init segment for that rendition; its sample entry is another's."""
    sound = rendition.kind == "audio"
    return build_init(
        InitTrack(
            track_id=1,
            timescale=rendition.timescale,
            handler="soun" if sound else "vide",
            codec=rendition.codecs,
            width=rendition.width or 0,
            height=rendition.height or 0,
            sample_rate=rendition.timescale if sound else 0,
            channels=rendition.channels or 0,
            stsd=stsd(audio("mp4a", esds(0x40))) if sound else stsd(avc_entry()),
        )
    )
