"""Where a time lies, as a player would be told."""

from __future__ import annotations

import math

import pytest

from media_service.timeline.plan import plan
from media_service.timeline.seeking import seek
from tests.timeline.tracks import stored, track

# 30 frames of 1/30 s, a keyframe every ten; 10 bytes each from byte 100 on.
FILM = stored(track([number * 1001 for number in range(30)], sync=[0, 10, 20], timescale=30000, stop=30030))


def test_an_exact_seek_fetches_from_the_keyframe_to_the_frame() -> None:
    found = seek(FILM, 0.5, "exact")
    assert (found.frame_ticks, found.keyframe_ticks, found.timescale) == (14 * 1001, 10 * 1001, 30000)
    assert found.time == found.frame_time == 14 * 1001 / 30000
    assert (found.start, found.stop) == (200, 250)


def test_a_keyframe_seek_fetches_the_keyframe_alone() -> None:
    found = seek(FILM, 0.5, "keyframe")
    assert found.time == found.keyframe_time == 10 * 1001 / 30000
    assert found.frame_ticks == 14 * 1001
    assert (found.start, found.stop) == (200, 210)


def test_a_time_rounded_to_the_microsecond_means_the_frame_it_was_rounded_from() -> None:
    for number in range(30):
        assert seek(FILM, round(number * 1001 / 30000, 6)).frame_ticks == number * 1001


def test_times_outside_the_film_mean_its_ends() -> None:
    assert seek(FILM, -5.0).frame_ticks == 0
    assert seek(FILM, 1e300).frame_ticks == 29 * 1001
    late = stored(track([1000, 1040], stop=1080))
    assert seek(late, 0.0).time == 1.0


def test_a_time_that_is_no_number_is_refused() -> None:
    for time in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="finite"):
            seek(FILM, time)


def test_a_film_without_tracks_cannot_be_sought() -> None:
    with pytest.raises(LookupError):
        seek(stored(), 0.0)


def test_the_segment_is_the_one_where_playback_begins() -> None:
    film = stored(track(range(0, 20_000, 500), sync=range(0, 40, 8), stop=20_000))
    made = plan(film.tracks[0])
    assert seek(film, 9.7, "exact", made).segment == 2
    assert seek(film, 9.7, "exact").segment is None


def test_a_keyframe_before_the_edit_lists_beginning_is_fetched_and_never_shown() -> None:
    film = stored(track([-80, -40, 0, 40], sync=[0], hidden=[0, 1]))
    found = seek(film, 0.01, "keyframe")
    assert (found.time, found.keyframe_ticks) == (0.0, 0)
    assert (found.start, found.stop) == (100, 110)
    assert (seek(film, 0.041).start, seek(film, 0.041).stop) == (100, 140)


def test_where_nobody_knows_the_place_there_is_no_span() -> None:
    film = stored(track([0, 40], offsets=[-1, -1]))
    assert (seek(film, 0.0).start, seek(film, 0.0).stop) == (None, None)


def test_a_film_that_begins_without_a_keyframe_is_decoded_from_its_first_packet() -> None:
    film = stored(track([0, 40, 80], sync=[2]))
    assert (seek(film, 0.05).start, seek(film, 0.05).stop) == (100, 120)
