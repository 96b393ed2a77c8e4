"""Classic MP4s: a rendition as one plain file with its sound, put together from what lies in the store already.

Of what was encoded the worker has left a layout. A file with the original's own picture or sound is put together here,
when somebody asks: its header in memory, everything else spans of the original and of stored segments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from media_service.errors import NotFound, NotReady
from media_service.mp4.fragments import unpack_samples
from media_service.mp4.init_segment import read_init
from media_service.mp4.progressive import ProgressiveSegment, ProgressiveTrack, build_header
from media_service.playback.caching import IMMUTABLE, digest
from media_service.playback.kept import KeptRepresentations
from media_service.playback.opening import Film, Opener
from media_service.playback.packets import own_index, packaged_segments
from media_service.playback.segments import segment_type
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import original_key
from media_service.store.records import Segment
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.stored_index import StoredIndex
from media_service.wire.layout import Layout, unpack
from media_service.wire.representation import BlobExtent, Representation

EXTENSIONS = {"video": "mp4", "audio": "m4a"}
NOT_YET = "This file is still being made; HLS and DASH play the film meanwhile."


class Classics:
    """Opens classic MP4s. Raises NotFound, and NotReady while a part of one is not made."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, opener: Opener) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._opener = opener
        self._kept = KeptRepresentations()
        # One at a time: a long film has a million samples, which take seconds and a hundred megabytes.
        self._building = asyncio.Lock()

    async def classic(self, asset_id: str, name: str, extension: str) -> Representation:
        """`{name}.mp4` of a picture with its sound, `{name}.m4a` of a sound."""
        film = await self._opener.film(asset_id)
        rendition = film.rendition(name)
        if extension != EXTENSIONS[rendition.kind]:
            raise NotFound(f"This rendition is {name}.{EXTENSIONS[rendition.kind]}.")
        key = f"{asset_id}/{film.outline.version}/{name}"
        if (kept := self._kept.get(key)) is not None:
            return kept
        if rendition.packaged is None:
            return self._kept.keep(key, await self._laid_out(film, rendition))
        async with self._building:
            return self._kept.get(key) or self._kept.keep(key, await self._put_together(film, rendition))

    async def _laid_out(self, film: Film, rendition: OutlineRendition) -> Representation:
        try:
            packed = await self._catalog.rendition_layout(film.asset.id, rendition.name)
        except NotFound:
            raise NotReady(NOT_YET) from None
        return await asyncio.to_thread(_unpacked, packed, rendition)

    async def _put_together(self, film: Film, rendition: OutlineRendition) -> Representation:
        sounds = film.outline.sounds[:1] if rendition.kind == "video" else ()
        tracks = [await self._source(film, one) for one in (rendition, *sounds)]
        index = await own_index(self._blobs, film.asset.id)
        return await asyncio.to_thread(_built, film, tracks, index)

    async def _source(self, film: Film, rendition: OutlineRendition) -> _Source:
        if rendition.packaged is not None:
            return _Source(rendition, rendition.packaged.init, ())
        segments = await self._catalog.segments(film.asset.id, rendition.name)
        init = await self._catalog.init_of(film.asset.id, rendition.name)
        if len(segments) < rendition.count or init is None:
            raise NotReady(NOT_YET)
        return _Source(rendition, init, segments)


@dataclass(frozen=True, slots=True)
class _Source:
    """One track of the file: its stored segments, none where it is cut out of the original."""

    rendition: OutlineRendition
    init: bytes
    segments: Sequence[Segment]

    def pieces(self, film: Film, index: StoredIndex) -> list[tuple[ProgressiveSegment, list[BlobExtent]]]:
        """Each segment's samples, and where their bytes lie."""
        if self.rendition.packaged is None:
            return [
                (
                    ProgressiveSegment(one.begin_ticks, unpack_samples(one.samples)),
                    [BlobExtent(one.blob, one.payload_start, one.size)],
                )
                for one in self.segments
            ]
        original = original_key(film.asset.id)
        return [
            (
                ProgressiveSegment(cut.base_time, cut.samples),
                [BlobExtent(original, start, stop) for start, stop in cut.spans],
            )
            for cut in packaged_segments(index, self.rendition)
        ]


def _unpacked(packed: bytes, rendition: OutlineRendition) -> Representation:
    return Representation(unpack(packed), segment_type(rendition.kind), digest(packed), None, IMMUTABLE)


def _built(film: Film, sources: Sequence[_Source], index: StoredIndex) -> Representation:
    tracks = [source.pieces(film, index) for source in sources]
    made = build_header(
        [
            ProgressiveTrack(read_init(source.init), [samples for samples, _ in pieces])
            for source, pieces in zip(sources, tracks, strict=True)
        ]
    )
    payloads = (extent for track, number in made.order for extent in tracks[track][number][1])
    return Representation(
        Layout.of(payloads, head=made.header),
        segment_type(sources[0].rendition.kind),
        # The header tells every sample's size and place; with the digests of stored segments that names all of it.
        digest(made.header + "".join(one.digest for source in sources for one in source.segments).encode()),
        None,
        IMMUTABLE,
    )
