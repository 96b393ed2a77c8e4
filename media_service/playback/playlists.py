"""What players read first: HLS playlists and the DASH manifest, from a film's outline, whole from the first second on.

The text of a rendition's playlist never changes. A master playlist and a manifest do, when bandwidths have been measured
and previews are made; so all of them are asked for again each time (`no-cache`), which costs an answer without a body.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from media_service.errors import NotFound, NotReady, OutsideWindow
from media_service.playback.access import Access
from media_service.playback.caching import REVALIDATE, digest
from media_service.playback.kept import KeptRepresentations
from media_service.playback.library import subtitle_track
from media_service.playback.opening import Film, Opener
from media_service.playback.packs import Packs
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import index_key
from media_service.store.records import Rendition
from media_service.timeline import dash, hls, hls_images, packaging
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.timeline.previews import Pack
from media_service.timeline.stored_index import StoredIndex
from media_service.wire.representation import MemoryExtent, Representation
from media_service.work.keeping import read_whole

MAX_KEPT_PLAYLISTS = 64  # that of a film of three hours has 100 kB, and takes 10 ms of CPU to write


class Playlists:
    """Writes them. Methods raise NotFound, NotReady before the film has an outline, and what `access` refuses with."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, opener: Opener, packs: Packs) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._opener = opener
        self._packs = packs
        self._kept = KeptRepresentations(MAX_KEPT_PLAYLISTS)
        # One for each playlist that is asked for now: of three hours it takes a second, for which no other film waits.
        self._measuring: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def master(self, asset_id: str, access: Access) -> Representation:
        """The HLS multivariant playlist."""
        film = await self._opener.film(asset_id, access)
        tracks = access.tracks(film.outline)
        rows = await self._catalog.renditions(asset_id)
        measured = _measured(rows)
        whole = sorted(row.name for row in rows if row.packaged or row.made_segments == row.segments)
        pack = await self._previews(asset_id, access)

        def write() -> Representation:
            images = () if pack is None else hls_images.variants(pack)
            text = hls.master(tracks, measured, whole, begins_at=access.begins_at, images=images)
            return _text(text, hls.MEDIA_TYPE)

        return self._once(f"{_key(film, access)}/master {measured} {whole} {_version(pack)}", write)

    async def manifest(self, asset_id: str, access: Access) -> Representation:
        """The DASH manifest."""
        film = await self._opener.film(asset_id, access)
        tracks = access.tracks(film.outline)
        measured = _measured(await self._catalog.renditions(asset_id))
        pack = await self._previews(asset_id, access)
        return self._once(
            f"{_key(film, access)}/manifest {measured} {_version(pack)}",
            lambda: _text(dash.manifest(tracks, measured, pack), dash.MEDIA_TYPE),
        )

    async def media(self, asset_id: str, access: Access, name: str) -> Representation:
        """The HLS media playlist of a rendition."""
        film = await self._opener.film(asset_id, access)
        length, rendition = _listed(film, access, name)
        return self._once(
            f"{_key(film, access)}/media/{name}",
            lambda: _text(hls.media_playlist(length, rendition), hls.MEDIA_TYPE),
        )

    async def subtitles(self, asset_id: str, access: Access, number: int) -> Representation:
        """The HLS media playlist of a text subtitle track."""
        access.whole()
        film = await self._opener.film(asset_id, access)
        track = subtitle_track(film, number)
        return _text(hls.subtitle_playlist(film.outline, track), hls.MEDIA_TYPE)

    async def iframes(self, asset_id: str, access: Access, name: str) -> Representation:
        """The HLS I-frame playlist of a picture. Of an encoded one NotReady until all of it is made."""
        film = await self._opener.film(asset_id, access)
        length, rendition = _listed(film, access, name)
        if rendition.kind != "video":
            raise NotFound("Sound has no I-frames.")
        key = f"{_key(film, access)}/iframes/{name}"
        if (kept := self._kept.get(key)) is not None:
            return kept
        async with self._measuring.setdefault(key, asyncio.Lock()):
            if (kept := self._kept.get(key)) is not None:
                return kept
            sizes = await self._iframe_sizes(film, rendition)
            text = hls.iframe_playlist(length, rendition, sizes)
            return self._kept.keep(key, _text(text, hls.MEDIA_TYPE))

    async def _previews(self, asset_id: str, access: Access) -> Pack | None:
        """Those that a viewer may have, if there are any yet: Shaka plays nothing where what is offered is not there."""
        pack = await self._packs.newest(asset_id) if access.has_whole else None
        return pack if pack is not None and access.has_picture(pack.width, pack.height) else None

    def _once(self, key: str, write: Callable[[], Representation]) -> Representation:
        """What was written under that key, or is now."""
        return self._kept.get(key) or self._kept.keep(key, write())

    async def _iframe_sizes(self, film: Film, rendition: OutlineRendition) -> list[int]:
        """Bytes from each segment's start to the end of its first frame."""
        if rendition.packaged is not None:
            # One of our own: an open index is used by one thread at a time.
            index = await read_whole(self._blobs, index_key(film.asset.id))
            return await asyncio.to_thread(_packaged_sizes, index, rendition)
        made = await self._catalog.sizes(film.asset.id, rendition.name)
        if len(made) < film.rendition(rendition.name).count:
            raise NotReady("Not all segments of this rendition are made yet.")
        return [iframe for _, _, iframe in made[: rendition.count]]


def _packaged_sizes(index: bytes, rendition: OutlineRendition) -> list[int]:
    track = StoredIndex(index).track(rendition.stream)
    cuts = (packaging.segment(track, rendition, number) for number in range(rendition.count))
    return [len(cut.head) + cut.samples[0].size for cut in cuts]


def _key(film: Film, access: Access) -> str:
    return f"{film.asset.id}/{film.outline.version}/{access.view}"


def _version(pack: Pack | None) -> str:
    return "" if pack is None else pack.version


def _listed(film: Film, access: Access, name: str) -> tuple[Outline, OutlineRendition]:
    """The film as long as it may be seen, and the rendition as long as that. All pictures have the clock of the first, so
    those that may not be seen stay in the outline."""
    access.rendition(film.rendition(name))
    length = access.length(film.outline)
    try:
        return length, length.rendition(name)
    except KeyError:
        raise OutsideWindow("Nothing of this track is in the part that the token is for.") from None


def _measured(rows: list[Rendition]) -> dict[str, tuple[int, int]]:
    """Peak and average of what is whole; of the rest the outline has the bounds."""
    return {row.name: (row.bandwidth, row.average_bandwidth) for row in rows if row.state == "ready"}


def _text(text: str, media_type: str) -> Representation:
    data = text.encode()
    return Representation((MemoryExtent(data),), media_type, digest(data), None, REVALIDATE)
