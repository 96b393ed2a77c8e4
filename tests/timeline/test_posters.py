"""Which preview becomes the poster."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from media_service.timeline.posters import poster_time_us
from media_service.timeline.previews import Pack
from tests.timeline.packs import any_packs, pack_of

SECOND = 1_000_000
BLACK, TITLE, LIT = 50, 400, 5000


def film(*sizes: int) -> Pack:
    """A preview each second, of so many bytes behind its header."""
    pack = pack_of([number * SECOND for number in range(len(sizes))])
    tiles = (
        tile._replace(size=pack.header_size + size) for tile, size in zip(pack.tiles, sizes, strict=True)
    )
    return replace(pack, tiles=tuple(tiles))


def test_a_black_beginning_is_passed_over() -> None:
    assert poster_time_us(film(*[BLACK] * 10, *[LIT] * 10)) == 10 * SECOND


def test_a_title_on_black_is_no_picture() -> None:
    assert poster_time_us(film(BLACK, TITLE, TITLE, TITLE, LIT, LIT, LIT, LIT, LIT, LIT)) == 4 * SECOND


def test_a_film_that_is_black_but_for_a_moment_shows_that() -> None:
    assert poster_time_us(film(*[BLACK] * 19, LIT)) == 19 * SECOND


def test_an_ordinary_film_is_shown_soon_after_its_beginning() -> None:
    assert poster_time_us(film(*[LIT] * 100)) == 9 * SECOND


def test_the_end_is_not_told() -> None:
    assert poster_time_us(film(*[LIT] * 10, *[3 * LIT] * 10)) < 10 * SECOND + 2 * SECOND


def test_a_black_film_has_a_poster_too() -> None:
    assert poster_time_us(film(*[BLACK] * 10)) in range(10 * SECOND)


@given(any_packs())
def test_every_pack_has_one(pack: Pack) -> None:
    assert poster_time_us(pack) in {tile.time_us for tile in pack.tiles}
