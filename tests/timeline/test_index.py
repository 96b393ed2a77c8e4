"""Columns of packets, and tracks put on the film's clock."""

from __future__ import annotations

from fractions import Fraction

import pytest

from media_service.errors import BrokenMedia
from media_service.timeline.index import NO_OFFSET, Index, on_film_clock
from tests.timeline.tracks import track


def test_columns_say_what_is_shown_and_where_decoding_can_begin() -> None:
    columns = track([0, 80, 40], sync=[0], hidden=[0]).columns
    assert (list(columns.sync), list(columns.shown), list(columns.shown_times())) == (
        [1, 0, 0],
        [0, 1, 1],
        [80, 40],
    )
    assert len(columns) == 3
    assert columns.slice(1, 3).times.tolist() == [80, 40]


def test_a_byte_span_holds_all_packets_of_known_place() -> None:
    made = track([0, 40, 80], sizes=[5, 6, 7], offsets=[50, NO_OFFSET, 10]).columns
    assert made.byte_span() == (10, 55)
    assert made.slice(1, 2).byte_span() is None
    assert made.slice(0, 0).byte_span() is None


def test_the_earliest_track_begins_at_zero_and_the_others_keep_their_distance() -> None:
    picture = track([3000, 3040], timescale=1000, stop=3080)
    sound = track([96_480], timescale=48_000, kind="audio", stream=1, stop=97_504)
    index = on_film_clock([picture, sound])
    assert index.origin == Fraction(201, 100)
    assert [(made.start, made.stop) for made in index.tracks] == [(990, 1070), (0, 1024)]
    assert (
        index.tracks[0].columns.times.tolist() == index.tracks[0].columns.decode_times.tolist() == [990, 1030]
    )


def test_an_origin_that_is_known_better_is_taken() -> None:
    made = track([3000])
    assert on_film_clock([made], Fraction(0)) == Index(Fraction(0), (made,))
    assert on_film_clock([]) == Index(Fraction(0), ())


def test_tracks_that_begin_further_apart_than_any_clock_reaches_are_broken() -> None:
    with pytest.raises(BrokenMedia):
        on_film_clock([track([-(1 << 60)], timescale=1), track([0], timescale=90_000, stream=1)])
