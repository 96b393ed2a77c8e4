"""Whole files that lie in the store: the original, its still, its subtitles. No media byte is read here."""

from __future__ import annotations

from collections.abc import Sequence

from media_service.errors import NotFound, NotReady
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, replaceable, versioned
from media_service.playback.opening import Film, Opener
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import poster_key, subtitles_key
from media_service.store.records import Asset
from media_service.timeline.outline import SubtitleTrack
from media_service.wire import layout
from media_service.wire.disposition import ending_in
from media_service.wire.representation import BlobExtent, Extent, Representation

FEW_EXTENTS = 64  # an upload has one to three, unless its boxes lie in disorder


class Library:
    """Opens them. Methods raise NotFound, NotReady for what is still being made, and what `access` refuses with."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, opener: Opener) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._opener = opener

    async def original(self, asset_id: str, access: Access, extension: str) -> Representation:
        """The upload: its `moov` first, every other byte as it came."""
        asset = await self._catalog.asset(asset_id)
        access.original(asset)
        if extension != asset.extension:
            raise NotFound(f"The original of this asset is original.{asset.extension}.")
        return self._original(asset)

    async def download(self, asset_id: str, access: Access) -> tuple[str, Representation]:
        """The same, and the name to keep it under."""
        asset = await self._catalog.asset(asset_id)
        access.original(asset)
        return ending_in(asset.filename or asset_id, asset.extension), self._original(asset)

    def _original(self, asset: Asset) -> Representation:
        if asset.original_layout is None:
            if asset.state == "failed":
                raise NotFound("This file could not be read; there is nothing to play.")
            raise NotReady("The file is still being looked at.")
        extents: Sequence[Extent] = layout.unpack(asset.original_layout)
        if len(extents) <= FEW_EXTENTS:
            extents = tuple(extents)  # each is made once, not for each range of it
        rewritten = len(extents) > 1
        return Representation(
            extents=extents,
            media_type=asset.media_type,
            etag=asset.sha256[:32] + ("-moov-first" if rewritten else ""),
            last_modified=asset.created_at // 1000,
            headers=IMMUTABLE,
        )

    async def poster(self, asset_id: str, access: Access, version: str | None) -> Representation:
        """A still that stands for the film, as it is now, whatever version was asked for."""
        asset, extent = await self._poster(asset_id, access, None)
        etag = f"{asset_id}-{asset.poster_version or 'poster'}"
        headers = replaceable(asset.poster_version, version)
        return Representation((extent,), "image/jpeg", etag, None, headers)

    async def _poster(self, asset_id: str, access: Access, gone: Asset | None) -> tuple[Asset, BlobExtent]:
        """The asset and its poster's bytes. `gone`: the asset as it was, and its poster was not there then."""
        asset = await self._catalog.asset(asset_id)
        access.admit(asset.visibility)
        if not asset.has_poster:
            raise NotFound("This asset has no poster.")
        try:
            return asset, await self._whole(poster_key(asset_id, asset.poster_version))
        except NotFound:
            # Another one may have taken its place since the catalog was asked: then that one is there.
            if gone is not None and gone.poster_version == asset.poster_version:
                raise
        return await self._poster(asset_id, access, asset)

    async def subtitles(
        self, asset_id: str, access: Access, number: int, version: str | None
    ) -> Representation:
        """A text subtitle track of the upload as WebVTT."""
        access.whole()
        film = await self._opener.film(asset_id, access)
        track = subtitle_track(film, number)
        try:
            extent = await self._whole(subtitles_key(asset_id, track.number))
        except NotFound:
            if film.asset.state == "playable":
                raise NotReady("The subtitles are still being read out of the film.") from None
            raise NotFound("These subtitles could not be read.") from None
        # Exactly so: a player that compares the type takes nothing behind it.
        return Representation(
            (extent,),
            "text/vtt",
            f"{film.outline.version}-subtitles-{number}",
            None,
            versioned(film.outline, version),
        )

    async def _whole(self, key: str) -> BlobExtent:
        async with await self._blobs.open(key) as reader:
            return BlobExtent(key, 0, reader.size)


def subtitle_track(film: Film, number: int) -> SubtitleTrack:
    """The text track of that number. Raises NotFound, in words for those that are images."""
    for track in film.outline.subtitles:
        if track.number == number:
            if not track.convertible:
                raise NotFound(f"These subtitles are images ({track.codec}); they cannot become text.")
            return track
    raise NotFound("This film has no such subtitles.")
