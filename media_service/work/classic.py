"""Puts a rendition together as one classic MP4: a header is made, the rest are spans of what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain

from media_service.errors import NotFound
from media_service.mp4.init_segment import read_init
from media_service.mp4.packed_samples import PackedSamples
from media_service.mp4.progressive import ProgressiveSegment, ProgressiveTrack, build_header
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import classic_header_key, index_key, original_key
from media_service.store.records import Segment
from media_service.timeline import packaging
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.timeline.stored_index import StoredIndex
from media_service.wire import layout
from media_service.wire.layout import Layout
from media_service.wire.representation import BlobExtent
from media_service.work.keeping import keep, read_whole

# One track of the file: what a player has to know before, and of each segment the samples and where their bytes lie. A film
# of half a day has three million samples: all of it is columns of plain numbers.
_Track = tuple[bytes, list[tuple[ProgressiveSegment, Layout]]]


async def classic_layout(
    catalog: Catalog, blobs: BlobStore, asset_id: str, outline: Outline, rendition: OutlineRendition
) -> bytes:
    """The packed layout of `{name}.mp4`, its header stored. Raises as `assembled` does, and StorageFull."""
    header, payloads = await assembled(catalog, blobs, asset_id, outline, rendition)
    key = classic_header_key(asset_id, rendition.name)
    await keep(blobs, key, header)
    return await asyncio.to_thread(layout.pack, chain([BlobExtent(key, 0, len(header))], payloads.spans()))


async def assembled(
    catalog: Catalog, blobs: BlobStore, asset_id: str, outline: Outline, rendition: OutlineRendition
) -> tuple[bytes, Layout]:
    """The header of a rendition's classic file, and where all that follows it lies; a picture has the film's main sound.

    Raises NotFound when some segment of them is not made, or the asset is deleted meanwhile.
    """
    sounds = outline.sounds[:1] if rendition.kind == "video" else ()
    tracks = [await _track(catalog, blobs, asset_id, one) for one in (rendition, *sounds)]
    # A film of three hours has a million samples: off the loop, or every viewer would stutter.
    return await asyncio.to_thread(_put_together, tracks)


async def _track(catalog: Catalog, blobs: BlobStore, asset_id: str, rendition: OutlineRendition) -> _Track:
    if rendition.packaged is not None:
        # One of our own: an open index is used by one thread at a time.
        data = await read_whole(blobs, index_key(asset_id))
        return rendition.packaged.init, await asyncio.to_thread(_packaged, asset_id, data, rendition)
    init = await catalog.init_of(asset_id, rendition.name)
    segments = await catalog.segments(asset_id, rendition.name)
    if init is None or len(segments) < rendition.count:
        raise NotFound(f"Not all of {rendition.name} is made.")
    return init, await asyncio.to_thread(_stored, segments)


def _stored(segments: Sequence[Segment]) -> list[tuple[ProgressiveSegment, Layout]]:
    return [
        (
            ProgressiveSegment(one.begin_ticks, PackedSamples(one.samples)),
            Layout.of([BlobExtent(one.blob, one.payload_start, one.size)]),
        )
        for one in segments
    ]


def _packaged(
    asset_id: str, index: bytes, rendition: OutlineRendition
) -> list[tuple[ProgressiveSegment, Layout]]:
    track = StoredIndex(index).track(rendition.stream)
    cuts = (packaging.segment(track, rendition, number) for number in range(rendition.count))
    return [
        (
            ProgressiveSegment(cut.base_time, PackedSamples.of(cut.samples)),
            Layout.of(BlobExtent(original_key(asset_id), start, stop) for start, stop in cut.spans),
        )
        for cut in cuts
    ]


def _put_together(tracks: Sequence[_Track]) -> tuple[bytes, Layout]:
    """The header, and where all that follows it lies."""
    made = build_header(
        [ProgressiveTrack(read_init(init), [samples for samples, _ in segments]) for init, segments in tracks]
    )
    payloads = (tracks[track][1][number][1].spans() for track, number in made.order)
    return made.header, Layout.of(chain.from_iterable(payloads))
