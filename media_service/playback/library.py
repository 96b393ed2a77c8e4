"""Opens Representations: from rows of the catalog to something that can be sent. No media byte is read here."""

from __future__ import annotations

import hashlib

from media_service.errors import NotFound, NotReady
from media_service.playback.kept import KeptRepresentations
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import poster_key
from media_service.store.records import Asset, Rendition, RenditionKind
from media_service.timeline import hls
from media_service.wire import layout
from media_service.wire.representation import BlobExtent, MemoryExtent, Representation

# What is addressed by content never changes: caches may keep it for a year.
IMMUTABLE = (("Cache-Control", "public, max-age=31536000, immutable"),)
# What can change under its address is not kept: a stale playlist hides the segments that were made since.
NO_STORE = (("Cache-Control", "no-store"),)

AUDIO_GROUP = "sound"
# Fragments begin at keyframes forced every 2 s; the last one of a film may be longer. Announced from the start, because
# EXT-X-TARGETDURATION must not change while a playlist grows (RFC 8216 s6.2.1).
LEAST_TARGET_SECONDS = 4
MAX_KEPT_PLAYLISTS = 16  # that of a film of three hours has 300 kB, and takes 25 ms of CPU to write


class Library:
    """Finds what `/media` serves. Methods raise NotFound, or NotReady for what is still being made."""

    def __init__(self, catalog: Catalog, blobs: BlobStore) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._classics = KeptRepresentations()
        self._playlists = KeptRepresentations(MAX_KEPT_PLAYLISTS)

    async def original(self, asset_id: str, extension: str) -> Representation:
        """The upload: its `moov` first, every other byte as it came."""
        asset = await self._catalog.asset(asset_id)
        if extension != asset.extension:
            raise NotFound(f"The original of this asset is original.{asset.extension}.")
        if asset.original_layout is None:
            if asset.state == "failed":
                raise NotFound("This file could not be read; there is nothing to play.")
            raise NotReady("The file is still being looked at.")
        extents = layout.unpack(asset.original_layout)
        rewritten = len(extents) > 1
        return Representation(
            extents=extents,
            media_type=asset.media_type,
            etag=asset.sha256[:32] + ("-moov-first" if rewritten else ""),
            last_modified=asset.created_at // 1000,
            headers=IMMUTABLE,
        )

    async def classic(self, asset_id: str, name: str) -> Representation:
        """A finished rendition as one classic MP4 with the sound in it, put together from its fragments."""
        _, rendition = await self._rendition(asset_id, name)
        if rendition.state != "ready" or rendition.blob is None:
            raise NotReady("This rendition is still being made; HLS plays it as far as it is.")
        # No two runs write to one blob, so its key names this very file. Dates do not: two runs of a second would share one.
        if (kept := self._classics.get(rendition.blob)) is not None:
            return kept
        packed = await self._catalog.rendition_layout(asset_id, name)
        return self._classics.keep(
            rendition.blob,
            Representation(
                extents=layout.unpack(packed),
                media_type="video/mp4" if rendition.kind == "video" else "audio/mp4",
                etag=f"{_version(rendition.blob)}-{name}",
                headers=IMMUTABLE,
            ),
        )

    async def poster(self, asset_id: str) -> Representation:
        """A still that stands for the film."""
        asset = await self._catalog.asset(asset_id)
        if not asset.has_poster:
            raise NotFound("This asset has no poster.")
        key = poster_key(asset_id)
        async with await self._blobs.open(key) as reader:
            extent = BlobExtent(key, 0, reader.size)
        return Representation(
            (extent,), "image/jpeg", f"{asset_id}-poster", asset.created_at // 1000, IMMUTABLE
        )

    async def master(self, asset_id: str) -> Representation:
        """The HLS multivariant playlist: the pictures to choose from, and the sound apart."""
        asset = await self._catalog.asset(asset_id)
        renditions = await self._catalog.renditions(asset_id)
        if asset.state == "failed":
            raise NotFound("This film could not be converted; there is no playlist of it.")
        if not renditions or any(one.init is None or one.bandwidth is None for one in renditions):
            raise NotReady("No segment is made yet.")
        videos = [one for one in renditions if one.kind == "video"]
        sounds = [one for one in renditions if one.kind == "audio"]
        text = hls.master_playlist(
            [_stream(one, sounds) for one in videos] or [_stream(one, []) for one in sounds],
            [hls.AudioMedia(f"{one.name}/index.m3u8", AUDIO_GROUP, "Sound", 2) for one in sounds]
            if videos
            else [],
        )
        return _playlist(text)

    async def playlist(self, asset_id: str, name: str) -> Representation:
        """The HLS media playlist of a rendition: as far as it is made, then whole."""
        _, rendition = await self._rendition(asset_id, name)
        complete = rendition.state == "ready"
        if (
            complete
            and rendition.blob is not None
            and (kept := self._playlists.get(rendition.blob)) is not None
        ):
            return kept
        segments = await self._catalog.durations(asset_id, name)
        if rendition.timescale is None or not segments:
            raise NotReady("No segment is made yet.")
        version = _version(rendition.blob)
        text = hls.media_playlist(
            [hls.PlaylistSegment(f"{number}.m4s?v={version}", ticks) for number, ticks in segments],
            timescale=rendition.timescale,
            init_uri=f"init.mp4?v={version}",
            complete=complete,
            least_target=LEAST_TARGET_SECONDS,
        )
        if complete and rendition.blob is not None:
            return self._playlists.keep(rendition.blob, _playlist(text))
        return _playlist(text)

    async def init_segment(self, asset_id: str, name: str, version: str | None) -> Representation:
        """A rendition's initialization segment."""
        _, rendition = await self._rendition(asset_id, name)
        if rendition.init is None:
            raise NotReady("No segment is made yet.")
        return Representation(
            (MemoryExtent(rendition.init),),
            _segment_type(rendition.kind),
            _digest(rendition.init),
            None,
            _caching(rendition.blob, version),
        )

    async def segment(self, asset_id: str, name: str, number: int, version: str | None) -> Representation:
        """A rendition's media segment `number`."""
        try:
            segment = await self._catalog.segment_of(asset_id, name, number)
        except NotFound:
            _, rendition = await self._rendition(asset_id, name)
            if rendition.state in {"ready", "failed"}:
                raise
            raise NotReady("This segment is not made yet.") from None
        return Representation(
            (BlobExtent(segment.blob, segment.start, segment.stop),),
            _segment_type(segment.kind),
            f"{_version(segment.blob)}-{number}",
            None,
            _caching(segment.blob, version),
        )

    async def _rendition(self, asset_id: str, name: str) -> tuple[Asset, Rendition]:
        asset = await self._catalog.asset(asset_id)
        for rendition in await self._catalog.renditions(asset_id):
            if rendition.name == name:
                return asset, rendition
        if asset.state in {"ready", "failed"}:
            raise NotFound(f"This asset has no rendition {name!r}.")
        raise NotReady("Renditions of this asset are still being planned.")


def _version(blob: str | None) -> str:
    """Names the run that made the bytes: a rendition made again after a crash is another version, with other ETags."""
    return (blob or "none").rpartition("/")[2]


def _caching(blob: str | None, version: str | None) -> tuple[tuple[str, str], ...]:
    return IMMUTABLE if version == _version(blob) else NO_STORE


def _segment_type(kind: RenditionKind) -> str:
    return "video/mp4" if kind == "video" else "audio/mp4"


def _stream(rendition: Rendition, sounds: list[Rendition]) -> hls.Stream:
    everything = [rendition, *sounds]
    return hls.Stream(
        uri=f"{rendition.name}/index.m3u8",
        bandwidth=sum(one.bandwidth or 0 for one in everything),
        average_bandwidth=sum(one.average_bandwidth or one.bandwidth or 0 for one in everything),
        codecs=",".join(one.codecs for one in everything if one.codecs),
        width=rendition.width,
        height=rendition.height,
        audio_group=AUDIO_GROUP if sounds else None,
    )


def _playlist(text: str) -> Representation:
    data = text.encode()
    return Representation((MemoryExtent(data),), hls.MEDIA_TYPE, _digest(data), None, NO_STORE)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
