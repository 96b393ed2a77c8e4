"""Looks at a stored original as closely as it takes to serve it and to judge what is made of it.

For MP4 that is its own sample tables: no packet is read, and a film of any size is playable in milliseconds. For
anything else it is one pass over the packets. A still for the film is made afterwards: nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial

import msgspec

from media_service.errors import (
    AbsurdMedia,
    BrokenMedia,
    ConverterKilled,
    MediaRejected,
    TranscodeFailed,
    TruncatedMedia,
)
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import PROBE_LIMITS, Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.scanning import scan
from media_service.mp4.view import MovieView, movie_view
from media_service.store.blobs import BlobReader, BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import index_key, original_header_key, original_key, poster_key
from media_service.store.records import Asset
from media_service.timeline.facts import Facts
from media_service.timeline.index import Index
from media_service.timeline.index_codec import encode
from media_service.timeline.index_tables import index_movie, pair_tracks
from media_service.timeline.packets import Packets, packets_of
from media_service.timeline.seekability import Moov, Seekability, seekability
from media_service.timeline.stored_index import StoredIndex
from media_service.wire import layout
from media_service.wire.representation import BlobExtent
from media_service.work.browsers import browser_codecs
from media_service.work.events import Events

log = logging.getLogger(__name__)

# A still from a tenth into the film: behind logos and fades, before the plot.
POSTER_SHARE = 0.1
POSTER_AT_MOST_SECONDS = 60.0
MAX_POSTER_BYTES = 4 << 20
# One scan and one still at the same time, each of which may take PROBE_LIMITS' memory: part of the sum in
# docs/settings.md. A scan reads a whole file at the disk's speed, so a second one beside it would make both slower; stills,
# which are short, do not wait for scans.
LOOKERS = 2

# Matroska's writers note the duration when they are done. Much less than that in packets means a file cut short.
CUT_SHARE = 0.9
CUT_SECONDS = 2.0


class Indexer:
    """The job `index(asset)` with what it needs."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: BlobStore,
        events: Events,
        limits: Limits,
        max_duration_seconds: float,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._events = events
        self._limits = limits
        self._max_duration_seconds = max_duration_seconds
        self._reading = asyncio.Semaphore(1)
        self._scanning = asyncio.Semaphore(1)
        self._drawing = asyncio.Semaphore(1)

    async def index(self, asset: Asset) -> Asset:
        """The asset as `playable`, or as `failed` with the reason. Raises NotFound when it is deleted meanwhile."""
        try:
            async with await self._blobs.open(original_key(asset.id)) as original:
                asset, index, moov = await self._look(asset, _facts(asset), original)
            self._events.publish("asset", asset.id)
            asset = await self._keep_index(asset, index, moov)
        except MediaRejected as error:
            log.info("%s is refused: %s: %s", asset.id, error.code, error.detail)
            asset = await self._catalog.fail_asset(asset.id, error)
        self._events.publish("asset", asset.id)
        return asset

    async def make_poster(self, asset: Asset) -> None:
        """Keep a still of the film, if one can be made. Raises NotFound when the asset is deleted meanwhile."""
        facts = _facts(asset)
        if facts.video is None:
            return
        async with self._drawing, await self._blobs.open(original_key(asset.id)) as original:
            if await self._make_poster(asset, facts, original):
                await self._catalog.update_asset(asset.id, has_poster=True)
                self._events.publish("asset", asset.id)

    async def _look(self, asset: Asset, facts: Facts, original: BlobReader) -> tuple[Asset, Index, Moov]:
        view, index = None, None
        if "mp4" in facts.container.split(","):
            # Off the loop, one at a time: a long film's tables are a second's work and a hundred megabytes.
            async with self._reading:
                view, index = await asyncio.to_thread(_read_movie, original, facts)
        if index is None:
            limits = msgspec.structs.replace(self._limits, memory_bytes=PROBE_LIMITS.memory_bytes)
            async with self._scanning:
                index = await scan(original.fd, facts, limits)
        packets = packets_of(index)
        facts = msgspec.structs.replace(
            facts,
            packets=packets,
            # Screen recorders write sound tracks without a single sound; ffmpeg would make an empty file of one and fail.
            audio=tuple(
                msgspec.structs.replace(
                    track, decodable=track.decodable and packets.stream(track.index).count > 0
                )
                for track in facts.audio
            ),
        )
        seconds = self._checked_duration(facts, packets)
        codecs = browser_codecs(facts, None if view is None else view.movie)
        width, height = facts.video.display_size if facts.video is not None else (None, None)
        asset = await self._catalog.update_asset(
            asset.id,
            state="playable",
            facts=msgspec.json.encode(facts),
            duration_seconds=round(seconds, 6),
            width=width,
            height=height,
            codecs=codecs,
            # An earlier look may have been broken off after this; what is served by then stays as it is.
            original_layout=asset.original_layout or await self._lay_out(asset, view),
        )
        return asset, index, "none" if view is None else view.moov

    async def _keep_index(self, asset: Asset, index: Index, moov: Moov) -> Asset:
        """Store the index and judge by it; nobody waits for that to play the film."""
        data, verdict = await asyncio.to_thread(_judged, index, moov)
        await self._keep(index_key(asset.id), data)
        return await self._catalog.update_asset(asset.id, seekability=msgspec.json.encode(verdict))

    def _checked_duration(self, facts: Facts, packets: Packets) -> float:
        """The film's length in seconds. Raises BrokenMedia, TruncatedMedia or AbsurdMedia."""
        tracks = [track.index for track in (facts.video, facts.main_audio) if track is not None]
        if facts.video is not None and packets.stream(facts.video.index).count == 0:
            raise BrokenMedia("its picture track has no pictures.")
        seconds = packets.stop_seconds(*tracks)
        if seconds <= 0:
            raise BrokenMedia("nothing in it lasts any time.")
        if seconds > self._max_duration_seconds:
            raise AbsurdMedia(
                f"it is {seconds / 3600:.1f} hours long; at most {self._max_duration_seconds / 3600:.1f} are accepted."
            )
        declared = facts.declared_seconds or 0.0
        if "matroska" in facts.container and seconds < CUT_SHARE * declared - CUT_SECONDS:
            raise TruncatedMedia(f"it says that it lasts {declared:.1f} s, but ends after {seconds:.1f} s.")
        return seconds

    async def _lay_out(self, asset: Asset, view: MovieView | None) -> bytes:
        """Which extents the original is served as; keeps the re-written header, where there is one."""
        key = original_key(asset.id)
        if view is None or view.index_first is None:
            return layout.pack([BlobExtent(key, 0, asset.size)])
        header, header_key = view.index_first.header, original_header_key(asset.id)
        await self._keep(header_key, header)
        spans = [BlobExtent(key, start, stop) for start, stop in view.index_first.spans]
        return layout.pack([BlobExtent(header_key, 0, len(header)), *spans])

    async def _make_poster(self, asset: Asset, facts: Facts, original: BlobReader) -> bool:
        """Keep a still; False where none can be made, which is no reason to refuse a film."""
        at = min(POSTER_SHARE * (asset.duration_seconds or 0.0), POSTER_AT_MOST_SECONDS)
        limits = msgspec.structs.replace(
            self._limits,
            cpu_seconds=120.0,
            wall_seconds=120.0,
            output_bytes=MAX_POSTER_BYTES,
            memory_bytes=PROBE_LIMITS.memory_bytes,
        )
        # One thread: each takes pictures of its own, and nobody waits.
        argv = recipes.poster(facts, source_fd=original.fd, at_seconds=at, limits=limits, threads=1)
        picture = b""
        try:
            with Pipe() as stdout:
                async with start(argv, limits=limits, pass_fds=(original.fd,), stdout=stdout):
                    picture = await stdout.read_all()
        except (TranscodeFailed, ConverterKilled) as error:
            log.info("%s gets no poster: %s", asset.id, error.detail)
        if not picture:
            return False
        await self._keep(poster_key(asset.id), picture)
        return True

    async def _keep(self, key: str, data: bytes) -> None:
        """Store `data`, in place of what a crash may have left of an earlier look."""
        await self._blobs.delete(key)
        async with await self._blobs.create(key) as writer:
            await writer.write(data)
            await writer.seal()


def _facts(asset: Asset) -> Facts:
    assert asset.facts is not None, "an asset is admitted with facts"
    return msgspec.json.decode(asset.facts, type=Facts)


def _read_movie(original: BlobReader, facts: Facts) -> tuple[MovieView, Index | None]:
    view = movie_view(partial(_read, original.fd), original.size)
    pairs = pair_tracks(view.movie, facts)
    return view, None if pairs is None else index_movie(view.movie, pairs, origin=facts.origin)


def _judged(index: Index, moov: Moov) -> tuple[bytes, Seekability | None]:
    data = encode(index)
    return data, seekability(StoredIndex(data), moov)


def _read(fd: int, start: int, stop: int) -> bytes:
    """The bytes [start, stop) of a file. Raises TruncatedMedia when they are not all there."""
    data = os.pread(fd, stop - start, start)
    if len(data) < stop - start:
        raise TruncatedMedia(f"it ends at byte {start + len(data)}.")
    return data
