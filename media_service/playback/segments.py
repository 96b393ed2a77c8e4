"""Init and media segments of all renditions: cut out of the original, stored, or made because somebody asks.

What is packaged is put together for each request: a head of some hundred bytes in memory, then spans of the original.
What is encoded and not there yet is made now; whoever awaits it here is the viewer for whom it is made, and cancelling
the wait is how he says that he has gone.
"""

from __future__ import annotations

from typing import Protocol

from media_service.errors import NotFound
from media_service.playback.access import Access
from media_service.playback.caching import digest, versioned
from media_service.playback.opening import Opener, rendition_of
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key
from media_service.store.records import SegmentPlace
from media_service.timeline import packaging
from media_service.timeline.outline import Kind, Outline, OutlineRendition
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent, Representation
from media_service.work.indexes import Indexes


class Demand(Protocol):
    """Has segments made for those who wait for them: see work.demand.Demand."""

    async def segment(self, asset_id: str, name: str, number: int) -> None: ...

    async def init(self, asset_id: str, name: str) -> bytes: ...


class Segments:
    """Opens segments. Methods raise NotFound, NotReady when one could not be made in time, SegmentFailed, and what
    `access` refuses with: before anything is made."""

    def __init__(self, *, catalog: Catalog, opener: Opener, indexes: Indexes, demand: Demand) -> None:
        self._catalog = catalog
        self._opener = opener
        self._indexes = indexes
        self._demand = demand

    async def init(self, asset_id: str, access: Access, name: str, version: str | None) -> Representation:
        """A rendition's init segment."""
        outline, rendition = await self._rendition(asset_id, access, name)
        access.rendition(rendition)
        # The row says that the asset is still there and who may have it, also where it says nothing else.
        place = await self._catalog.init_place(asset_id, name)
        access.admit(place.visibility)
        init = place.init
        if rendition.packaged is not None:
            init = rendition.packaged.init
        elif init is None:
            init = await self._demand.init(asset_id, name)
        return Representation(
            (MemoryExtent(init),),
            segment_type(rendition.kind),
            digest(init),
            None,
            versioned(outline, version),
        )

    async def segment(
        self, asset_id: str, access: Access, name: str, number: int, version: str | None
    ) -> Representation:
        """A rendition's media segment `number`, from 0."""
        outline, rendition = await self._rendition(asset_id, access, name)
        if not 0 <= number < rendition.count:
            await self._opener.film(asset_id, access)
            raise NotFound(f"This rendition has {rendition.count} segments, no number {number}.")
        access.segment(outline, rendition, number)
        if rendition.packaged is None:
            place = await self._made(asset_id, access, name, number)
            extents: tuple[Extent, ...] = (BlobExtent(place.blob, 0, place.size),)
            etag = place.digest
        else:
            extents = await self._packaged(asset_id, access, rendition, number)
            etag = f"{outline.version}-{name}-{number}"
        return Representation(extents, segment_type(rendition.kind), etag, None, versioned(outline, version))

    async def _rendition(self, asset_id: str, access: Access, name: str) -> tuple[Outline, OutlineRendition]:
        outline = await self._opener.outline(asset_id, access)
        try:
            return outline, rendition_of(outline, name)
        except NotFound:
            await self._opener.film(asset_id, access)  # who may not have the film is not told what it has not
            raise

    async def _made(self, asset_id: str, access: Access, name: str, number: int) -> SegmentPlace:
        try:
            place = await self._catalog.segment_of(asset_id, name, number)
        except NotFound:
            await self._opener.film(asset_id, access)  # which may have been deleted, or have failed
            await self._demand.segment(asset_id, name, number)
            place = await self._catalog.segment_of(asset_id, name, number)
        access.admit(place.visibility)
        return place

    async def _packaged(
        self, asset_id: str, access: Access, rendition: OutlineRendition, number: int
    ) -> tuple[Extent, ...]:
        await self._opener.film(asset_id, access)
        index = await self._indexes.of(asset_id)
        cut = packaging.segment(index.track(rendition.stream), rendition, number)
        original = original_key(asset_id)
        return (MemoryExtent(cut.head), *(BlobExtent(original, start, stop) for start, stop in cut.spans))


def segment_type(kind: Kind) -> str:
    """The media type of a segment, init segments included (RFC 8216 s3.3, ISO/IEC 23000-19)."""
    return "video/mp4" if kind == "video" else "audio/mp4"
