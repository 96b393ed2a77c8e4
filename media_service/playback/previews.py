"""Previews in all their dialects, each put together from spans of one stored pack: nothing is decoded, nothing kept twice.

What lists them (storyboards, playlists) is asked for again each time, because a film's first packs are soon replaced by
denser ones. What is listed names the pack's version and never changes: who has an old list gets what that one told of, or
404 where nobody remembers it; the same number would mean another moment now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from media_service.errors import NotFound, NotReady
from media_service.jpeg.segments import EOI, read_header
from media_service.jpeg.sheets import sheet_header, stacked
from media_service.mp4.images import image_head, images_init
from media_service.playback.access import Access
from media_service.playback.caching import REVALIDATE, digest, replaceable
from media_service.playback.kept import KeptRepresentations
from media_service.playback.packs import Packs
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.keys import previews_key
from media_service.store.records import Asset
from media_service.timeline import hls, hls_images, storyboards
from media_service.timeline.previews import Pack, shown_at
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent, Representation

JPEG_TYPE = "image/jpeg"
MAX_KEPT_TEXTS = 64  # a storyboard of an hour has 200 kB


class Previews:
    """Opens them. Methods raise NotFound, NotReady while the first ones are still being made, and what `access` refuses with:
    previews show the whole film."""

    def __init__(self, *, catalog: Catalog, blobs: BlobStore, packs: Packs) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._packs = packs
        self._texts = KeptRepresentations(MAX_KEPT_TEXTS)

    async def storyboard(self, asset_id: str, access: Access) -> Representation:
        """WebVTT: each cue is a part of a sheet."""
        pack = (await self._open(asset_id, access, None)).pack
        return self._text(pack, asset_id, storyboards.VTT_TYPE, storyboards.webvtt)

    async def cues(self, asset_id: str, access: Access, prefix: str) -> Representation:
        """The same as JSON. `prefix` stands before the asset's addresses for this viewer."""
        pack = (await self._open(asset_id, access, None)).pack

        def cues(pack: Pack) -> str:
            return storyboards.cues(pack, f"/media/{asset_id}")

        plain = self._text(pack, asset_id, storyboards.JSON_TYPE, cues)
        if not prefix:
            return plain
        # A token, of no use to the next viewer: what is kept is the same for all.
        return _prefixed(plain, prefix)

    async def iframe_playlist(self, asset_id: str, access: Access) -> Representation:
        """The HLS playlist of the JPEG track."""
        pack = (await self._open(asset_id, access, None)).pack
        return self._text(pack, asset_id, hls.MEDIA_TYPE, hls_images.iframe_playlist)

    async def tile_playlist(self, asset_id: str, access: Access) -> Representation:
        """The HLS playlist of the JPEG files."""
        pack = (await self._open(asset_id, access, None)).pack
        return self._text(pack, asset_id, hls.MEDIA_TYPE, hls_images.tile_playlist)

    async def sheet(self, asset_id: str, access: Access, number: int, version: str | None) -> Representation:
        """A sheet of the storyboards, as one JPEG."""
        pack, blob = await self._open(asset_id, access, version)
        if number >= storyboards.sheet_count(pack):
            raise NotFound(f"The storyboard has {storyboards.sheet_count(pack)} sheets, no number {number}.")
        tiles = [pack.tiles[at] for at in storyboards.sheet_tiles(pack, number)]
        async with await self._blobs.open(blob) as reader:
            first = bytes(await reader.read(tiles[0].offset, tiles[0].offset + pack.header_size))
        head = sheet_header(first, read_header(first), len(tiles))
        scans = ((tile.offset + pack.header_size, tile.offset + tile.size - len(EOI)) for tile in tiles)
        extents = tuple(
            MemoryExtent(part) if isinstance(part, bytes) else BlobExtent(blob, *part)
            for part in stacked(head, scans)
        )
        return _piece(pack, version, extents, JPEG_TYPE, f"sheet-{number}")

    async def tile(self, asset_id: str, access: Access, number: int, version: str | None) -> Representation:
        """A single picture."""
        opened = await self._open(asset_id, access, version)
        return _piece(opened.pack, version, (opened.tile(number),), JPEG_TYPE, f"tile-{number}")

    async def init(self, asset_id: str, access: Access, version: str | None) -> Representation:
        """The init segment of the JPEG track."""
        pack, _ = await self._open(asset_id, access, version)
        made = MemoryExtent(images_init(pack.width, pack.height))
        return _piece(pack, version, (made,), "video/mp4", "init")

    async def segment(
        self, asset_id: str, access: Access, number: int, version: str | None
    ) -> Representation:
        """A segment of the JPEG track: a single picture."""
        opened = await self._open(asset_id, access, version)
        tile = opened.tile(number)
        head = MemoryExtent(image_head(number, *shown_at(opened.pack, number), tile.size))
        return _piece(opened.pack, version, (head, tile), "video/mp4", f"segment-{number}")

    async def _open(self, asset_id: str, access: Access, version: str | None) -> _Opened:
        """The pack of that version; the newest (None)."""
        access.whole()
        asset = await self._catalog.asset(asset_id)
        access.admit(asset.visibility)
        newest = await self._packs.newest(asset_id) if asset.state != "failed" else None
        if newest is None:
            raise _none_of(asset)
        access.picture(newest.width, newest.height)
        pack = newest if version is None else self._packs.known(asset_id, version)
        if pack is None:
            raise NotFound("There are other previews of this film by now; load the list of them again.")
        # One that grew out of it has its tiles where they were; its own blob is there for a while only.
        grown = pack is newest or set(pack.tiles) <= set(newest.tiles)
        blob = newest if grown else pack
        return _Opened(pack, previews_key(asset_id, blob.version))

    def _text(
        self, pack: Pack, asset_id: str, media_type: str, write: Callable[[Pack], str]
    ) -> Representation:
        key = f"{asset_id}/{pack.version}/{write.__name__}"
        return self._texts.get(key) or self._texts.keep(key, _text(write(pack), media_type))


class _Opened(NamedTuple):
    """A pack, and the blob that its tiles are in."""

    pack: Pack
    blob: str

    def tile(self, number: int) -> BlobExtent:
        """Where the tile of that number lies. Raises NotFound."""
        if number >= len(self.pack.tiles):
            raise NotFound(f"There are {len(self.pack.tiles)} previews, no number {number}.")
        _, offset, size = self.pack.tiles[number]
        return BlobExtent(self.blob, offset, offset + size)


def _none_of(asset: Asset) -> NotFound | NotReady:
    """Why a film has no previews."""
    if asset.width is None and asset.state in {"playable", "ready"}:
        return NotFound("This film has no picture.")
    if asset.state in {"ready", "failed"}:
        return NotFound("This film has no previews.")
    return NotReady("The previews are still being made.")


def _piece(
    pack: Pack, version: str | None, extents: tuple[Extent, ...], media_type: str, name: str
) -> Representation:
    headers = replaceable(pack.version, version)
    return Representation(extents, media_type, f"{pack.version}-{name}", None, headers)


def _prefixed(cues: Representation, prefix: str) -> Representation:
    data = b"".join(extent.data for extent in cues.extents if isinstance(extent, MemoryExtent))
    made = MemoryExtent(storyboards.prefixed(data, prefix))
    return replace(cues, extents=(made,), etag=digest(f"{cues.etag}{prefix}".encode()))


def _text(text: str, media_type: str) -> Representation:
    data = text.encode()
    return Representation((MemoryExtent(data),), media_type, digest(data), None, REVALIDATE)
