"""Looks at a stored original as closely as it takes to serve it and to judge what is made of it.

For MP4 that is its own sample tables: no packet is read, and a film of any size is playable in milliseconds. For
anything else it is one pass over the packets; of Matroska also one over its blocks, which tells where exactly they lie.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from media_service.errors import (
    AbsurdMedia,
    BrokenMedia,
    MediaRejected,
    NotFound,
    TruncatedMedia,
)
from media_service.ffmpeg.fence import PROBE_LIMITS, Limits
from media_service.ffmpeg.scanning import scan
from media_service.matroska.tracks import MatroskaTrack
from media_service.mp4.view import MovieView, movie_view
from media_service.store.blobs import BlobReader, BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import index_key, original_header_key, original_key, outline_key
from media_service.store.records import Asset
from media_service.timeline.facts import Facts
from media_service.timeline.index import Index
from media_service.timeline.index_codec import encode
from media_service.timeline.index_tables import index_movie, pair_tracks
from media_service.timeline.matroska_packaging import packagable_matroska
from media_service.timeline.matroska_places import place
from media_service.timeline.outline import Outline
from media_service.timeline.outline import decode as decode_outline
from media_service.timeline.outline import encode as encode_outline
from media_service.timeline.outlining import outline
from media_service.timeline.packaging import packagable
from media_service.timeline.packets import Packets, packets_of
from media_service.timeline.seekability import Moov, Seekability, seekability
from media_service.timeline.stored_index import StoredIndex
from media_service.wire import layout
from media_service.wire.representation import BlobExtent
from media_service.work.browsers import browser_codecs
from media_service.work.events import Events
from media_service.work.keeping import keep, read_whole
from media_service.work.rows import facts_of, rows_of

log = logging.getLogger(__name__)

# Matroska's writers note the duration when they are done. Much less than that in packets means a file cut short.
CUT_SHARE = 0.9
CUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look found: of MP4 its `view`; `index` as it is stored."""

    facts: Facts
    seconds: float
    view: MovieView | None
    index: bytes
    verdict: Seekability | None
    outline: Outline


class Indexer:
    """The job `index(asset)` with what it needs. `scanning` is held while all of a file is read."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: BlobStore,
        events: Events,
        limits: Limits,
        max_duration_seconds: float,
        scanning: asyncio.Semaphore,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._events = events
        self._limits = limits
        self._max_duration_seconds = max_duration_seconds
        self._reading = asyncio.Semaphore(1)
        self._scanning = scanning

    async def index(self, asset: Asset) -> Asset:
        """The asset as `playable`, or as `failed` with the reason. Raises NotFound when it is deleted meanwhile.

        All that viewers can ask for follows from the index, the outline and the rows of its renditions, so those are there
        first. Until then a crash costs nothing but the look.
        """
        try:
            async with await self._blobs.open(original_key(asset.id)) as original:
                found = await self._look(facts_of(asset), original)
            asset = await self._keep_all(asset, found)
        except MediaRejected as error:
            log.info("%s is refused: %s: %s", asset.id, error.code, error.detail)
            asset = await self._catalog.fail_asset(asset.id, error)
        self._events.publish("asset", asset.id)
        return asset

    async def _look(self, facts: Facts, original: BlobReader) -> _Found:
        view, index = None, None
        tracks: Mapping[int, MatroskaTrack] = {}
        if "mp4" in facts.container.split(","):
            # Off the loop, one at a time: a long film's tables are a second's work and a hundred megabytes.
            async with self._reading:
                view, index = await asyncio.to_thread(_read_movie, original, facts)
        if index is None:
            index, tracks = await self._scan(original, facts)
        packets = packets_of(index)
        facts = _told(facts, packets, self._max_duration_seconds)
        seconds = _checked_duration(facts, packets, self._max_duration_seconds)
        async with self._reading:
            data, verdict, outlined = await asyncio.to_thread(_judged, facts, view, tracks, index)
        return _Found(facts, seconds, view, data, verdict, outlined)

    async def _scan(self, original: BlobReader, facts: Facts) -> tuple[Index, Mapping[int, MatroskaTrack]]:
        """The index by a pass over all packets; of Matroska also the tracks whose packets' places are exact."""
        limits = msgspec.structs.replace(self._limits, memory_bytes=PROBE_LIMITS.memory_bytes)
        async with self._scanning:
            index = await scan(original.fd, facts, limits)
        if "matroska" not in facts.container.split(","):
            return index, {}
        async with self._reading:
            return await asyncio.to_thread(
                place, partial(_read_some, original.fd), original.size, facts, index
            )

    async def _keep_all(self, asset: Asset, found: _Found) -> Asset:
        await keep(self._blobs, index_key(asset.id), found.index)
        # An earlier look may have been broken off after this; the outline of a film is made once.
        outline = await self._known_outline(asset.id)
        if outline is None:
            outline = found.outline
            await keep(self._blobs, outline_key(asset.id), encode_outline(outline))
        await self._catalog.put_renditions(asset.id, rows_of(asset.id, outline))
        facts = found.facts
        width, height = facts.video.display_size if facts.video is not None else (None, None)
        return await self._catalog.update_asset(
            asset.id,
            state="playable",
            facts=msgspec.json.encode(facts),
            duration_seconds=round(found.seconds, 6),
            width=width,
            height=height,
            codecs=browser_codecs(facts, None if found.view is None else found.view.movie),
            # What was served before the service was renewed stays as it is.
            original_layout=asset.original_layout or await self._lay_out(asset, found.view),
            seekability=msgspec.json.encode(found.verdict),
        )

    async def _known_outline(self, asset_id: str) -> Outline | None:
        try:
            return decode_outline(await read_whole(self._blobs, outline_key(asset_id)))
        except NotFound:
            return None

    async def _lay_out(self, asset: Asset, view: MovieView | None) -> bytes:
        """Which extents the original is served as; keeps the re-written header, where there is one."""
        key = original_key(asset.id)
        if view is None or view.index_first is None:
            return layout.pack([BlobExtent(key, 0, asset.size)])
        header, header_key = view.index_first.header, original_header_key(asset.id)
        await keep(self._blobs, header_key, header)
        spans = [BlobExtent(key, start, stop) for start, stop in view.index_first.spans]
        return layout.pack([BlobExtent(header_key, 0, len(header)), *spans])


def _told(facts: Facts, packets: Packets, most_seconds: float) -> Facts:
    """What was probed, with what the packets tell; of sounds that are none nothing is made."""
    # Screen recorders write sound tracks without a single sound; ffmpeg would make an empty file of one and fail.
    audio = tuple(
        msgspec.structs.replace(track, decodable=track.decodable and packets.stream(track.index).count > 0)
        for track in facts.audio
    )
    facts = msgspec.structs.replace(facts, packets=packets, audio=audio)
    # Beside a film of common length another language that goes on for years is no reason to refuse the film.
    main = facts.main_audio
    audio = tuple(
        msgspec.structs.replace(
            track,
            decodable=track.decodable
            and (track == main or packets.stop_seconds(track.index) <= most_seconds),
        )
        for track in facts.audio
    )
    return msgspec.structs.replace(facts, audio=audio)


def _checked_duration(facts: Facts, packets: Packets, most_seconds: float) -> float:
    """The film's length in seconds. Raises BrokenMedia, TruncatedMedia or AbsurdMedia."""
    tracks = [track.index for track in (facts.video, facts.main_audio) if track is not None]
    if facts.video is not None and packets.stream(facts.video.index).count == 0:
        raise BrokenMedia("its picture track has no pictures.")
    seconds = packets.stop_seconds(*tracks)
    if seconds <= 0:
        raise BrokenMedia("nothing in it lasts any time.")
    if seconds > most_seconds:
        raise AbsurdMedia(
            f"it is {seconds / 3600:.1f} hours long; at most {most_seconds / 3600:.1f} are accepted."
        )
    declared = facts.declared_seconds or 0.0
    if "matroska" in facts.container and seconds < CUT_SHARE * declared - CUT_SECONDS:
        raise TruncatedMedia(f"it says that it lasts {declared:.1f} s, but ends after {seconds:.1f} s.")
    return seconds


def _read_movie(original: BlobReader, facts: Facts) -> tuple[MovieView, Index | None]:
    view = movie_view(partial(_read, original.fd), original.size)
    pairs = pair_tracks(view.movie, facts)
    return view, None if pairs is None else index_movie(view.movie, pairs, origin=facts.origin)


def _judged(
    facts: Facts, view: MovieView | None, tracks: Mapping[int, MatroskaTrack], index: Index
) -> tuple[bytes, Seekability | None, Outline]:
    """The index as it is stored, how well the film seeks, and what it is served as."""
    data = encode(index)
    stored = StoredIndex(data)
    packaged = (
        packagable_matroska(facts, tracks, stored)
        if view is None
        else packagable(facts, view.movie, stored, view.box)
    )
    moov: Moov = "none" if view is None else view.moov
    return data, seekability(stored, moov), outline(facts, stored, packaged)


def _read(fd: int, start: int, stop: int) -> bytes:
    """The bytes [start, stop) of a file. Raises TruncatedMedia when they are not all there."""
    data = _read_some(fd, start, stop)
    if len(data) < stop - start:
        raise TruncatedMedia(f"it ends at byte {start + len(data)}.")
    return data


def _read_some(fd: int, start: int, stop: int) -> bytes:
    """The bytes [start, stop) of a file, or those of them that there are."""
    return os.pread(fd, stop - start, start)
