"""A film at a glance: where its keyframes lie, where its renditions are cut, and which of their segments are made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from media_service.playback.opening import Opener
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import index_key
from media_service.timeline.keyframes import keyframe_times, thinned
from media_service.timeline.outline import Kind, Outline
from media_service.timeline.stored_index import StoredIndex, StoredTrack
from media_service.work.keeping import read_whole
from media_service.work.opened import Opened
from media_service.work.outlines import Outlines

MAX_KEYFRAMES = 2000  # more than a screen has columns
MAX_KEPT_TIMES = 100_000  # some 30 bytes each: a dozen films of three hours


class RenditionStrip(msgspec.Struct, frozen=True):
    """One rendition: segment k is shown from `grids[grid][k]` to `grids[grid][k + 1]`.

    `made`: half-open ranges of the numbers of the segments that come at once, ascending, with gaps between them; of one
    that is `packaged`, cut out of the original, all of them.
    """

    name: str
    kind: Kind
    packaged: bool
    grid: int
    made: list[tuple[int, int]]


class Timeline(msgspec.Struct, frozen=True):
    """Times in seconds from the film's start, to the microsecond, ascending.

    `keyframes` are those of the track that a viewer seeks in, the first picture or else the first sound: all
    `keyframe_count` of them, or up to 2000 spread evenly. A grid is shared by all renditions that are cut alike, and has one
    entry more than they have segments. `renditions` are in the order of the asset's.
    """

    duration: float
    keyframes: tuple[float, ...]
    keyframe_count: int
    grids: list[tuple[float, ...]]
    renditions: list[RenditionStrip]


@dataclass(frozen=True, slots=True)
class _Lasting:
    """What never changes of a timeline; `cut` is the grid of each rendition in the outline's order."""

    keyframes: tuple[float, ...]
    keyframe_count: int
    grids: list[tuple[float, ...]]
    cut: list[int]


class Timelines:
    """Answers for `/api/v1/assets/{id}/timeline`."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, opener: Opener, outlines: Outlines) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._opener = opener
        self._outlines = outlines
        self._lasting = Opened(self._read, MAX_KEPT_TIMES)

    async def of(self, asset_id: str) -> Timeline:
        """The film's, as it is now. Raises NotFound, NotReady while the film is looked at."""
        film = await self._opener.film(asset_id, None)
        lasting = await self._lasting.of(asset_id)
        made = await self._catalog.made_ranges(asset_id)
        return Timeline(
            duration=round(film.outline.seconds, 6),
            keyframes=lasting.keyframes,
            keyframe_count=lasting.keyframe_count,
            grids=lasting.grids,
            renditions=[
                RenditionStrip(one.name, one.kind, one.packaged is not None, grid, made.get(one.name, []))
                for one, grid in zip(film.outline.renditions, lasting.cut, strict=True)
            ],
        )

    async def _read(self, asset_id: str) -> tuple[_Lasting, int]:
        outline = await self._outlines.of(asset_id)
        data = await read_whole(self._blobs, index_key(asset_id))
        # In a thread with an index of its own: of a sound all packets are read.
        lasting = await asyncio.to_thread(_lasting, data, outline)
        return lasting, len(lasting.keyframes) + sum(map(len, lasting.grids))


def _lasting(index: bytes, outline: Outline) -> _Lasting:
    keyframes, count = _keyframes(StoredIndex(index).main)
    grids: dict[tuple[float, ...], int] = {}
    cut = [
        grids.setdefault(_seconds(one.boundaries, one.timescale), len(grids)) for one in outline.renditions
    ]
    return _Lasting(keyframes, count, list(grids), cut)


def _keyframes(track: StoredTrack | None) -> tuple[tuple[float, ...], int]:
    if track is None:
        return (), 0
    times = keyframe_times(track)
    return _seconds(thinned(times, MAX_KEYFRAMES), track.timescale), len(times)


def _seconds(ticks: Sequence[int], timescale: int) -> tuple[float, ...]:
    """What an edit list puts before the film's start is at its start."""
    return tuple(round(max(time, 0) / timescale, 6) for time in ticks)
