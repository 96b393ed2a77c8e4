"""Previews of a film as one pack: small JPEGs ("tiles") one after another in a blob, each with the true time of its frame.

All tiles of a pack have one size and one header (tables, 4:2:0, no restart markers), and a height that is a multiple of
16: whole rows of MCUs (ITU-T T.81 A.2.3). So any run of them is also one tall JPEG, whose tiles are restart intervals
(E.1.4), and everything that is served of a pack is made of spans of it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from media_service.timeline.index_columns import IndexCorrupt, deflate, inflate, pack_columns, unpack_columns

SIDE = 144  # pixels of a tile's short side: what scrub bars show, and 256 x 144 is a common film's shape
LONG_SIDE = 640  # pixels at most of the other side: banners are shown smaller
ROWS = 16  # pixel rows of an MCU at 4:2:0: a tile is whole rows of them

MOST_TILES = 10_000  # of a pack; those of long films have up to 7200 (timeline.preview_plan)
_BYTES_PER_TILE = 24 + 3  # of three columns before deflating, and their widths' names


class Tile(NamedTuple):
    """One picture. `time_us`: of its frame on the film's clock, in microseconds; `offset`, `size`: its bytes of the blob."""

    time_us: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Pack:
    """The previews of a film; `tiles` in the order of their times, at least one.

    `version` names the blob (`store.keys.previews_key`); another pack of the same film has another one. `width`, `height`:
    of each tile, in pixels. A tile's first `header_size` bytes, up to its entropy-coded data, are the same in all tiles, and
    its last two are EOI. `complete`: no denser pack follows. `film_us`: when the film ends. A tile is shown from its time,
    the first one from 0, until the next one's.
    """

    version: str
    width: int
    height: int
    header_size: int
    complete: bool
    film_us: int
    tiles: tuple[Tile, ...]


def tile_at(pack: Pack, time_us: int) -> int:
    """The number of the tile that is shown at `time_us`."""
    return max(0, bisect_right(pack.tiles, time_us, key=attrgetter("time_us")) - 1)


def shown(pack: Pack) -> list[tuple[int, int]]:
    """When each tile is shown: [begin, stop) in microseconds of the film, one after another from 0 to its end."""
    return [shown_at(pack, number) for number in range(len(pack.tiles))]


def shown_at(pack: Pack, number: int) -> tuple[int, int]:
    """When the tile of that number is shown."""
    begin = pack.tiles[number].time_us if number else 0
    if number + 1 < len(pack.tiles):
        return begin, pack.tiles[number + 1].time_us
    return begin, max(pack.film_us, pack.tiles[-1].time_us + 1)


def longest_us(pack: Pack) -> int:
    """For how long a tile is shown at most (microseconds)."""
    return max(stop - begin for begin, stop in shown(pack))


def size_of(across: int, down: int) -> tuple[int, int]:
    """Width and height of the tiles of a film that is shown `across` x `down`, upright and with square pixels.

    The short side is about SIDE, or less where the other one would exceed LONG_SIDE.
    """
    aspect = Fraction(max(1, across), max(1, down))
    wanted = (
        min(Fraction(SIDE), LONG_SIDE / aspect) if aspect >= 1 else min(SIDE / aspect, Fraction(LONG_SIDE))
    )
    height = max(1, round(wanted / ROWS)) * ROWS
    return max(2, min(LONG_SIDE, 2 * round(height * aspect / 2))), height


def spacing_us(film_us: int) -> int:
    """How far apart tiles are meant to be (microseconds): of long films further, so that a pack stays a few megabytes."""
    if film_us <= 600_000_000:
        return 1_000_000
    return max(2_000_000, -(-film_us // 3600))


def pack_tiles(tiles: tuple[Tile, ...]) -> bytes:
    """Tiles as few bytes. The inverse of `unpack_tiles`."""
    columns = [array("q", column) for column in zip(*tiles, strict=True)]
    return len(tiles).to_bytes(4, "little") + deflate(pack_columns(columns))


def unpack_tiles(data: bytes) -> tuple[Tile, ...]:
    """The tiles that `pack_tiles` made bytes of. Raises IndexCorrupt."""
    count = int.from_bytes(data[:4], "little")
    if not 0 < count <= MOST_TILES:
        raise IndexCorrupt("no pack has so many tiles")
    raw = inflate(memoryview(data)[4:], _BYTES_PER_TILE * count, exact=False)
    return tuple(map(Tile, *unpack_columns(raw, 3, count)))
