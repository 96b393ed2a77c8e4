"""Packs of previews in the store and the catalog, without the film that they would be of."""

from __future__ import annotations

from collections.abc import Sequence

from media_service.jpeg.segments import read_jpeg
from media_service.store.keys import previews_key
from media_service.timeline.previews import Pack, Tile
from tests.support.workshop import Workshop


async def put_pack(
    workshop: Workshop,
    asset_id: str,
    jpegs: Sequence[bytes],
    *,
    version: str = "dense",
    seconds: int = 2,
    complete: bool = True,
    grown: Pack | None = None,
) -> Pack:
    """These pictures as the asset's pack, one for every `seconds` of the film, each at a millisecond past them.

    With `grown` the first of them are those of that pack, and the others lie between them.
    """
    header = read_jpeg(jpegs[0])
    known = () if grown is None else grown.tiles
    taken = {tile.time_us for tile in known}
    times = [number * seconds * 1_000_000 + 1_000 for number in range(len(jpegs))]
    times = [*(tile.time_us for tile in known), *(time for time in times if time not in taken)]
    tiles, at = [], 0
    for time, jpeg in zip(times, jpegs, strict=True):
        tiles.append(Tile(time, at, len(jpeg)))
        at += len(jpeg)
    pack = Pack(
        version=version,
        width=header.width,
        height=header.height,
        header_size=header.size,
        complete=complete,
        film_us=len(jpegs) * seconds * 1_000_000,
        tiles=tuple(sorted(tiles)),
    )
    async with await workshop.blobs.create(previews_key(asset_id, version)) as writer:
        await writer.write(b"".join(jpegs))
        await writer.seal()
    await workshop.catalog.keep_pack(asset_id, pack)
    return pack
