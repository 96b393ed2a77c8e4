"""Puts a finished rendition together as one classic MP4: a header is made and kept, the rest are spans of the runs' blobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from media_service.mp4.fragments import unpack_samples
from media_service.mp4.init_segment import read_init
from media_service.mp4.progressive import (
    ProgressiveLayout,
    ProgressiveSegment,
    ProgressiveTrack,
    build_header,
)
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import classic_header_key
from media_service.store.records import Rendition, Segment
from media_service.wire import layout
from media_service.wire.representation import BlobExtent


async def classic_layout(catalog: Catalog, blobs: BlobStore, asset_id: str, name: str) -> bytes:
    """The packed layout of `{name}.mp4`: the rendition, with the asset's sound where it is a picture.

    All segments must be there. Raises NotFound when the asset is deleted meanwhile, StorageFull.
    """
    everything = await catalog.renditions(asset_id)
    main = next(one for one in everything if one.name == name)
    sounds = [one for one in everything if one.kind == "audio" and one is not main]
    renditions = [main, *sounds[:1]] if main.kind == "video" else [main]
    segments = [await catalog.segments(asset_id, one.name) for one in renditions]
    # A film of three hours has a million samples: off the loop, or every viewer would stutter.
    made = await asyncio.to_thread(_build, renditions, segments)
    assert main.blob is not None, "a rendition that is being made has its blob"
    header_key = classic_header_key(main.blob)
    async with await blobs.create(header_key) as writer:
        await writer.write(made.header)
        await writer.seal()
    payloads = (segments[track][number] for track, number in made.order)
    return layout.pack(
        [
            BlobExtent(header_key, 0, len(made.header)),
            *(BlobExtent(one.blob, one.payload_start, one.stop) for one in payloads),
        ]
    )


def _build(renditions: Sequence[Rendition], segments: Sequence[Sequence[Segment]]) -> ProgressiveLayout:
    return build_header(
        [
            ProgressiveTrack(
                read_init(rendition.init or b""),
                [ProgressiveSegment(one.begin_ticks, unpack_samples(one.samples)) for one in of_rendition],
            )
            for rendition, of_rendition in zip(renditions, segments, strict=True)
        ]
    )
