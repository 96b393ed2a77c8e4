"""Which frame stands for a film: one that is not black, and that comes before the plot."""

from __future__ import annotations

from fractions import Fraction
from statistics import median

from media_service.timeline.previews import Pack, Tile

# Of the film: behind logos and fades, before the end is told.
EARLIEST, LATEST = Fraction(1, 12), Fraction(3, 5)
# A black picture, or one of a single colour, has hardly any bytes; no lit one has so few beside the richest of its film.
LIT_SHARE = Fraction(1, 4)


def poster_time_us(pack: Pack) -> int:
    """The time of a preview that will do, in microseconds of the film.

    Nothing is decoded for that: how much there is to see in a picture is how many bytes it takes.
    """
    lit = _lit(pack)
    begin, stop = pack.film_us * EARLIEST, pack.film_us * LATEST
    chosen = [tile for tile in lit if begin <= tile.time_us < stop] or lit
    enough = median(tile.size for tile in chosen)
    return next(tile.time_us for tile in chosen if tile.size >= enough)


def _lit(pack: Pack) -> list[Tile]:
    most = max(tile.size for tile in pack.tiles) - pack.header_size
    return [tile for tile in pack.tiles if tile.size - pack.header_size >= most * LIT_SHARE]
