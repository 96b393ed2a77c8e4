"""A film's clip, and the waveform of its sound: small files that lie in the store, named by what is in them."""

from __future__ import annotations

from media_service.errors import NotFound, NotReady
from media_service.playback.access import Access
from media_service.playback.caching import replaceable
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import animation_key, clip_key, waveform_key
from media_service.store.records import Asset
from media_service.timeline.clips import clip_size
from media_service.wire.representation import BlobExtent, Representation


class Clips:
    """Opens them. Methods raise NotFound, NotReady while they are still to be made, and what `access` refuses with: they tell
    of the whole film. `version` is what the address names, if it does."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore) -> None:
        self._catalog = catalog
        self._blobs = blobs

    async def clip(self, asset_id: str, access: Access, version: str | None) -> Representation:
        """A few seconds of the film as MP4."""
        asset = await self._seen(asset_id, access)
        there = _there(asset, asset.clip, "clip")
        return await self._opened(clip_key(asset_id), "video/mp4", there, version)

    async def animation(self, asset_id: str, access: Access, version: str | None) -> Representation:
        """The same as an animated WebP."""
        asset = await self._seen(asset_id, access)
        there = _there(asset, asset.animation, "animated picture")
        return await self._opened(animation_key(asset_id), "image/webp", there, version)

    async def waveform(self, asset_id: str, access: Access, version: str | None) -> Representation:
        """How loud its main sound is, as JSON."""
        asset = await self._admitted(asset_id, access)
        there = _there(asset, asset.waveform, "waveform")
        return await self._opened(waveform_key(asset_id), "application/json", there, version)

    async def _admitted(self, asset_id: str, access: Access) -> Asset:
        access.whole()
        asset = await self._catalog.asset(asset_id)
        access.admit(asset.visibility)
        return asset

    async def _seen(self, asset_id: str, access: Access) -> Asset:
        asset = await self._admitted(asset_id, access)
        if asset.width is not None and asset.height is not None:
            access.picture(*clip_size(asset.width, asset.height))
        return asset

    async def _opened(self, key: str, media_type: str, there: str, version: str | None) -> Representation:
        async with await self._blobs.open(key) as reader:
            extent = BlobExtent(key, 0, reader.size)
        return Representation((extent,), media_type, there, None, replaceable(there, version))


def _there(asset: Asset, version: str | None, what: str) -> str:
    """The version of what there is."""
    if asset.state == "failed" or version == "":
        raise NotFound(f"This asset has no {what}.")
    if version is None:
        raise NotReady(f"The {what} is still to be made.")
    return version
