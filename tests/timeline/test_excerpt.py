"""Parts of an outline: what is left keeps its numbers, its times and its name."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from media_service.timeline import dash, hls
from media_service.timeline.excerpt import ending, is_taller, no_taller, segments_before, starts
from media_service.timeline.outline import Outline
from media_service.timeline.outlining import outline as outline_of
from tests.timeline.outlines import any_films, film
from tests.timeline.test_hls import check

FILM = film(40)
OUTLINES = any_films().map(lambda source: outline_of(*source))
MILLISECONDS = st.integers(1, 60_000).map(lambda ms: Fraction(ms, 1000))


@given(OUTLINES, MILLISECONDS)
def test_what_begins_before_the_end_is_left_whole_and_nothing_else(outline: Outline, stop: Fraction) -> None:
    cut = ending(outline, stop)
    assert cut.version == outline.version
    assert cut.subtitles == ()
    assert cut.seconds <= outline.seconds
    left = {one.name: one for one in cut.renditions}
    assert list(left) == [one.name for one in outline.renditions if one.name in left]
    for one in outline.renditions:
        count = segments_before(outline, one, stop)
        assert count == sum(starts(outline, one, number) < stop for number in range(one.count))
        if count == 0:
            assert one.name not in left
            continue
        assert left[one.name].boundaries == one.boundaries[: count + 1]
        if one.packaged is not None:
            packaged = left[one.name].packaged
            assert packaged is not None
            assert packaged.packets == one.packaged.packets[: count + 1]


@given(OUTLINES, MILLISECONDS)
def test_all_pictures_end_with_the_same_segment(outline: Outline, stop: Fraction) -> None:
    assert len({one.count for one in ending(outline, stop).videos}) <= 1


@given(OUTLINES, MILLISECONDS, st.integers(1, 3000))
def test_playlists_can_be_written_of_whatever_is_left(outline: Outline, stop: Fraction, height: int) -> None:
    cut = ending(outline, stop)
    seen = no_taller(cut, height)
    assert seen.version == outline.version
    for one in cut.renditions:
        playlist = hls.media_playlist(cut, one)
        assert playlist.count(f".m4s?v={outline.version}") == one.count
    if seen.renditions:
        check(seen)
        assert "#EXT-X-START:TIME-OFFSET=0.001\n" in hls.master(seen, {}, [], begins_at=1)
        assert f"?v={outline.version}" in dash.manifest(seen, {})


def test_an_end_behind_the_film_leaves_all_but_the_subtitles() -> None:
    cut = ending(FILM, Fraction(41))
    assert cut.renditions == FILM.renditions
    assert cut.seconds == FILM.seconds


def test_a_film_ends_with_its_last_segment() -> None:
    main = FILM.main
    cut = ending(FILM, main.seconds(2))
    assert (cut.main.count, cut.seconds) == (2, float(main.seconds(2)))
    assert ending(FILM, main.seconds(2) + Fraction(1, 1000)).main.count == 3


@pytest.mark.parametrize(
    ("size", "taller"),
    [
        ((1280, 720), False),
        ((720, 1280), False),
        ((1280, 721), True),
        ((None, 720), True),
        ((None, None), True),
    ],
)
def test_the_short_side_of_a_picture_counts(size: tuple[int | None, int | None], taller: bool) -> None:
    one = replace(FILM.main, width=size[0], height=size[1])
    assert is_taller(one, 720) == taller
    assert not is_taller(replace(one, kind="audio"), 720)


def test_nothing_is_left_of_a_film_that_is_too_tall_without_sound() -> None:
    pictures = replace(FILM, renditions=FILM.videos)
    assert no_taller(pictures, 1).renditions == ()
    assert [one.kind for one in no_taller(FILM, 1).renditions] == ["audio"]
    assert no_taller(FILM, 5000) is FILM
