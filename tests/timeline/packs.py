"""Packs of previews made by hand, for the tests of what follows from them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from media_service.timeline.previews import MOST_TILES, Pack, Tile

TILE_BYTES = 5000


def pack_of(
    times_us: Sequence[int], *, size: tuple[int, int] = (256, 144), film_us: int | None = None
) -> Pack:
    """Tiles at these times, each of TILE_BYTES and a few more; the film ends a second after the last one if nothing is said."""
    tiles, at = [], 0
    for number, time in enumerate(times_us):
        tiles.append(Tile(time, at, TILE_BYTES + number))
        at += TILE_BYTES + number
    end = times_us[-1] + 1_000_000 if film_us is None else film_us
    return Pack("abc123", *size, header_size=600, complete=True, film_us=end, tiles=tuple(tiles))


def any_packs() -> st.SearchStrategy[Pack]:
    """Of any times at least a frame's length apart, whatever the film's end is said to be."""
    steps = st.lists(st.integers(1_000, 10_000_000_000), max_size=60)
    sizes = st.sampled_from([(256, 144), (192, 144), (144, 256), (640, 16), (2, 640)])
    return st.builds(_any_pack, st.integers(0, 5_000_000), steps, sizes, st.integers(0, 10**12))


def _any_pack(first: int, steps: list[int], size: tuple[int, int], film_us: int) -> Pack:
    assert len(steps) < MOST_TILES
    times = [first]
    for step in steps:
        times.append(times[-1] + step)
    return pack_of(times, size=size, film_us=film_us)
