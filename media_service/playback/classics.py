"""Classic MP4s: a rendition as one plain file with its sound, put together from what lies in the store already.

Of what was encoded the worker has left a layout. A file with the original's own picture or sound is put together here,
when somebody asks: its header in memory, everything else spans of the original and of stored segments.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from media_service.errors import NotFound, NotReady
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, digest
from media_service.playback.kept import KeptRepresentations
from media_service.playback.opening import Film, Opener
from media_service.playback.segments import segment_type
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.timeline.outline import OutlineRendition
from media_service.wire.layout import Layout, unpack
from media_service.wire.representation import Representation
from media_service.work.classic import assembled

EXTENSIONS = {"video": "mp4", "audio": "m4a"}
NOT_YET = "This file is still being made; HLS and DASH play the film meanwhile."
NEVER = "A part of this file could not be converted; HLS and DASH play the rest."


class Classics:
    """Opens classic MP4s. Raises NotFound, also when a part of one cannot be made, NotReady while one is not made, and what
    `access` refuses with."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, opener: Opener) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._opener = opener
        self._kept = KeptRepresentations()
        # One at a time: a long film has a million samples, which take seconds and a hundred megabytes.
        self._building = asyncio.Lock()

    async def classic(self, asset_id: str, access: Access, name: str, extension: str) -> Representation:
        """`{name}.mp4` of a picture with its sound, `{name}.m4a` of a sound."""
        access.whole()
        film = await self._opener.film(asset_id, access)
        rendition = film.rendition(name)
        access.rendition(rendition)
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
            raise await self._lacking(film, rendition) from None
        return await asyncio.to_thread(_unpacked, packed, rendition)

    async def _lacking(self, film: Film, rendition: OutlineRendition) -> NotFound | NotReady:
        """Why it is not there: a picture has the main sound in it, and of either a part may be missing for good."""
        sounds = film.outline.sounds[:1] if rendition.kind == "video" else ()
        parts = {one.name for one in (rendition, *sounds)}
        rows = await self._catalog.renditions(film.asset.id)
        if any(row.state == "failed" for row in rows if row.name in parts):
            return NotFound(NEVER)
        return NotReady(NOT_YET)

    async def _put_together(self, film: Film, rendition: OutlineRendition) -> Representation:
        try:
            header, payloads = await assembled(
                self._catalog, self._blobs, film.asset.id, film.outline, rendition
            )
        except NotFound:
            raise await self._lacking(film, rendition) from None
        return await asyncio.to_thread(_whole, header, payloads, rendition)


def _unpacked(packed: bytes, rendition: OutlineRendition) -> Representation:
    return Representation(unpack(packed), segment_type(rendition.kind), digest(packed), None, IMMUTABLE)


def _whole(header: bytes, payloads: Layout, rendition: OutlineRendition) -> Representation:
    extents = replace(payloads, head=header)
    # The header tells every sample's size and place, and stored segments have names made of their bytes.
    etag = digest(header + "\n".join(extents.blobs).encode())
    return Representation(extents, segment_type(rendition.kind), etag, None, IMMUTABLE)
