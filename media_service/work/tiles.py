"""Tiles as ffmpeg writes them -> the pack they grow. Every JPEG is looked at whole before it counts."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from media_service.errors import BrokenMedia, TranscodeFailed
from media_service.jpeg.segments import read_jpeg
from media_service.mp4.boxes import BoxCutter
from media_service.mp4.fragments import read_fragment
from media_service.store.blobs import BlobStore, BlobWriter
from media_service.store.keys import previews_key
from media_service.timeline.previews import MOST_TILES, Pack, Tile

MAX_TILE_BYTES = 1 << 20  # noise of the largest size has some 300 kB
COPIED_BYTES = 1 << 20  # at a time


class HeaderChanged(Exception):
    """New tiles do not go with those that are there: another ffmpeg made them, or other settings. All are made anew."""


class TileCutter:
    """Cuts fragmented MP4 of one JPEG in each fragment (ffmpeg.preview_recipes) into times and JPEGs."""

    def __init__(self) -> None:
        self._cutter = BoxCutter(MAX_TILE_BYTES)
        self._time_us: int | None = None

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """Time in microseconds and JPEG of each that `chunk` completes. Raises MediaRejected, TranscodeFailed."""
        for box in self._cutter.feed(chunk):
            if box.type == "moof":
                self._time_us = read_fragment(box.data).base_time
            elif box.type == "mdat":
                if self._time_us is None:
                    raise TranscodeFailed("The converter wrote a picture without its time.")
                yield self._time_us, bytes(box.data[box.header_size :])
                self._time_us = None


class GrowingPack:
    """A pack that is being written: what was in the one before, and what is added."""

    def __init__(self, writer: BlobWriter, version: str, size: tuple[int, int], film_us: int) -> None:
        self.version = version
        self._writer = writer
        self._width, self._height = size
        self._film_us = film_us
        self._header = b""
        self._tiles: dict[int, Tile] = {}

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """All of them, in the order of their times."""
        return tuple(sorted(self._tiles.values()))

    async def copy(self, blobs: BlobStore, asset_id: str, before: Pack) -> None:
        """Begin with all of a pack that is there. Raises NotFound, BlobCut, StorageFull."""
        async with await blobs.open(previews_key(asset_id, before.version)) as reader:
            size = max(tile.offset + tile.size for tile in before.tiles)
            for start in range(0, size, COPIED_BYTES):
                await self._writer.write(await reader.read(start, min(size, start + COPIED_BYTES)))
            first = before.tiles[0]
            self._header = bytes(await reader.read(first.offset, first.offset + before.header_size))
        self._tiles = {tile.time_us: tile for tile in before.tiles}

    async def add(self, time_us: int, jpeg: bytes) -> None:
        """One more; of two with the same time the first one stays.

        Raises BrokenMedia for a JPEG that is not as a tile has to be, HeaderChanged, StorageFull.
        """
        if time_us in self._tiles or len(self._tiles) >= MOST_TILES:
            return
        found = read_jpeg(jpeg)
        if (found.width, found.height, found.mcu_height) != (self._width, self._height, 16):
            raise BrokenMedia(f"a tile of {found.width} x {found.height} pixels was not asked for")
        self._header = self._header or jpeg[: found.size]
        if jpeg[: found.size] != self._header:
            raise HeaderChanged
        offset = self._writer.size
        await self._writer.write(jpeg)
        self._tiles[time_us] = Tile(time_us, offset, len(jpeg))

    async def seal(self, *, complete: bool) -> Pack:
        """What it has become; its blob survives a loss of power. Raises StorageFull."""
        await self._writer.seal()
        return Pack(
            version=self.version,
            width=self._width,
            height=self._height,
            header_size=len(self._header),
            complete=complete,
            film_us=self._film_us,
            tiles=self.tiles,
        )


@asynccontextmanager
async def growing_pack(
    blobs: BlobStore, asset_id: str, size: tuple[int, int], film_us: int, before: Pack | None
) -> AsyncIterator[GrowingPack]:
    """A pack with all that `before` has, gone again unless it is sealed. Raises NotFound, StorageFull."""
    # Drawn and not computed: a pack is served by its version for ever, so two never share one.
    version = secrets.token_hex(6)
    async with await blobs.create(previews_key(asset_id, version)) as writer:
        pack = GrowingPack(writer, version, size, film_us)
        if before is not None:
            await pack.copy(blobs, asset_id, before)
        yield pack
