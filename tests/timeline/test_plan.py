"""Where films are cut: Jellyfin's published case, keyframes, grids, open groups, late pictures, sound."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.index import TrackIndex
from media_service.timeline.plan import (
    LEAST_SHARE,
    Plan,
    at_keyframes,
    audio_boundaries,
    frame_boundaries,
    grid,
    plan,
)
from tests.timeline.tracks import stored_track, track

FRAME = 40  # ticks of a millisecond: 25 frames per second


def film(seconds: int, every: int, *, start: int = 0) -> TrackIndex:
    """25 frames per second, a keyframe every `every` frames, from tick `start`."""
    count = seconds * 25
    return track([start + number * FRAME for number in range(count)], sync=range(0, count, every))


def sound(seconds: Fraction, *, start: int = 0, timescale: int = 48000) -> TrackIndex:
    """Packets of 1024 ticks."""
    count = int(seconds * timescale) // 1024
    times = [start + number * 1024 for number in range(count)]
    return track(times, kind="audio", stream=1, timescale=timescale, stop=start + count * 1024)


def test_jellyfins_known_case() -> None:
    boundaries = at_keyframes(0, [0, 10427, 20854, 31240], 35000, target=6000, gap=11000)
    assert boundaries is not None
    assert [b - a for a, b in pairwise(boundaries)] == [10427, 10427, 10386, 3760]


def test_keyframes_further_apart_than_the_limit_are_of_no_use() -> None:
    assert at_keyframes(0, [10427, 20854, 31240], 35000, target=6000, gap=10426) is None
    assert at_keyframes(0, [4000, 8000], 17000, target=4000, gap=8000) is None


def test_keyframes_out_of_order_are_of_no_use() -> None:
    assert at_keyframes(0, [4000, 3000], 8000, target=4000, gap=8000) is None


@pytest.mark.parametrize(
    ("every", "expected"),
    [(50, 4000), (25, 4000), (75, 3000), (100, 4000), (125, 5000), (150, 6000), (200, 8000)],
)
def test_cuts_are_at_the_keyframes_nearest_to_the_target(every: int, expected: int) -> None:
    made = plan(stored_track(film(120, every)))
    assert made.on_keyframes
    assert made.independent
    assert set(made.durations) == {expected}


def test_a_film_with_rare_keyframes_is_cut_on_a_grid_of_frames() -> None:
    times = [number * 1001 for number in range(900)]  # 29.97 frames per second
    made = plan(stored_track(track(times, sync=[0], timescale=30000, stop=900_900)))
    assert not made.on_keyframes
    assert made.boundaries == (0, 120_120, 240_240, 360_360, 480_480, 600_600, 720_720, 840_840, 900_900)
    assert set(made.boundaries[:-1]) <= set(times)


def test_the_last_segment_is_never_a_sliver() -> None:
    made = plan(stored_track(track(range(0, 8500, 100), sync=[0], stop=8500)))
    assert made.durations == (4000, 4500)
    made = plan(stored_track(track(range(0, 9000, 100), sync=[0], stop=9000)))
    assert made.durations == (4000, 4000, 1000)


def test_one_frame_is_one_segment() -> None:
    assert plan(stored_track(track([0], stop=40))).boundaries == (0, 40)
    assert plan(stored_track(track([0], stop=0))).boundaries == (0, 1)


def test_variable_frame_rate_gives_one_boundary_for_all_multiples_inside_a_long_frame() -> None:
    made = plan(stored_track(track([0, 1000, 4100, 17_000, 17_040, 20_100], sync=[0], stop=24_000)))
    assert made.boundaries == (0, 4100, 17_000, 20_100, 24_000)


def test_a_frame_right_after_a_long_one_is_no_boundary_of_its_own() -> None:
    made = plan(stored_track(track([0, 7999, 8000, 12_000], sync=[0], stop=16_000)))
    assert made.boundaries == (0, 7999, 12_000, 16_000)


def test_b_frames_are_cut_by_presentation_and_not_by_decoding_order() -> None:
    shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    made = plan(stored_track(track([time * 2000 for time in shown], sync=[0], stop=20_000)))
    assert made.boundaries == (0, 4000, 8000, 12_000, 16_000, 20_000)


def open_groups(closed: set[int]) -> TrackIndex:
    """Ten groups of two seconds, each but those numbered `closed` with a leading picture."""
    times: list[int] = []
    keys: list[int] = []
    for group in range(10):
        keys.append(len(times))
        start = group * 2000
        times.append(start)
        if group and group not in closed:
            times.append(start - 500)
        times += [
            start + 500,
            start + 1000,
            *([] if group + 1 < 10 and group + 1 not in closed else [start + 1500]),
        ]
    return track(times, sync=keys, stop=20_000)


def test_an_open_group_is_cut_at_its_keyframe_and_its_leading_pictures_lie_before() -> None:
    made = plan(stored_track(open_groups(set())))
    assert made.boundaries == (0, 4000, 8000, 12_000, 16_000, 20_000)
    assert (made.on_keyframes, made.independent) == (True, False)
    assert made.segment_at(3500) == 0


def test_closed_groups_are_preferred_where_they_are_enough() -> None:
    made = plan(stored_track(open_groups({3, 6, 9})))
    assert made.boundaries == (0, 6000, 12_000, 18_000, 20_000)
    assert (made.on_keyframes, made.independent) == (True, True)


def test_a_file_that_begins_without_a_keyframe_is_not_independent() -> None:
    made = plan(stored_track(track(range(0, 8000, 100), sync=[40], stop=8000)))
    assert made.boundaries == (0, 4000, 8000)
    assert not made.independent


def test_a_picture_that_begins_later_than_the_sound_has_its_first_segment_from_the_films_start() -> None:
    assert plan(stored_track(film(20, 100, start=1000))).boundaries == (0, 5000, 9000, 13_000, 17_000, 21_000)
    late = track(range(9000, 20_000, 100), sync=[0], stop=20_000)
    made = plan(stored_track(late))
    assert made.boundaries == (0, 12_000, 16_000, 20_000), "no segment without a picture"


def test_a_film_without_a_picture_is_cut_at_its_sound() -> None:
    made = plan(stored_track(sound(Fraction(20))))
    assert made.boundaries[:3] == (0, 188 * 1024, 375 * 1024)
    assert (made.on_keyframes, made.independent) == (True, True)


def test_sound_is_cut_at_the_packet_at_or_after_each_boundary_of_the_picture() -> None:
    made = plan(stored_track(film(20, 50)))
    heard = audio_boundaries(made, stored_track(sound(Fraction(20))))
    assert heard.timescale == 48000
    assert heard.boundaries == (
        0,
        *(-(-second * 48000 // 1024) * 1024 for second in (4, 8, 12, 16)),
        937 * 1024,
    )
    assert heard.boundaries == frame_boundaries(made, timescale=48000, frame=1024, stop=937 * 1024).boundaries


def test_sound_that_outlasts_the_picture_is_cut_further_but_not_for_a_sliver() -> None:
    made = plan(stored_track(film(8, 50)))
    assert made.count == 2
    assert audio_boundaries(made, stored_track(sound(Fraction(17, 2)))).count == 2
    longer = audio_boundaries(made, stored_track(sound(Fraction(60))))
    assert longer.count == 15
    assert max(longer.durations) < 5 * 48000


def test_sound_that_ends_early_or_begins_late_has_no_empty_segments() -> None:
    made = plan(stored_track(film(40, 50)))
    assert audio_boundaries(made, stored_track(sound(Fraction(10)))).count == 3
    assert audio_boundaries(made, stored_track(sound(Fraction(9)))).count == 2
    late = stored_track(sound(Fraction(10), start=480_000))
    heard = audio_boundaries(made, late)
    assert (heard.boundaries[0], heard.boundaries[-1]) == (0, late.stop)
    for start, stop in pairwise(heard.boundaries):
        assert late.between(start, stop)


def test_a_time_is_in_the_segment_that_shows_it() -> None:
    made = Plan(1000, (0, 4000, 8000), on_keyframes=True, independent=True)
    assert [made.segment_at(time) for time in (-5, 0, 3999, 4000, 7999, 8000, 9000)] == [0, 0, 0, 1, 1, 1, 1]


gaps = st.lists(st.integers(1, 9000), min_size=1, max_size=60)


@given(steps=gaps, last=st.integers(1, 9000), target=st.integers(1, 7000))
def test_cuts_at_keyframes_are_at_keyframes_and_neither_too_near_nor_too_far(
    steps: list[int], last: int, target: int
) -> None:
    keys = list(accumulate(steps))
    stop = keys[-1] + last
    gap = max(*steps, last)
    boundaries = at_keyframes(0, keys, stop, target=target, gap=gap)
    assert boundaries is not None
    assert (boundaries[0], boundaries[-1]) == (0, stop)
    assert set(boundaries[1:-1]) <= set(keys)
    durations = [b - a for a, b in pairwise(boundaries)]
    assert all(2 * duration >= target for duration in durations[:-1])
    assert durations[-1] * LEAST_SHARE >= target or len(durations) == 1
    # The keyframe after the target is chosen where none lies in the half before it, or where it is the nearer of two.
    assert max(durations) <= max(target / 2 + gap, target + gap / 2) + target / LEAST_SHARE + 1


@given(steps=gaps, first=st.integers(0, 9000), last=st.integers(1, 9000), target=st.integers(1, 7000))
def test_every_segment_of_a_grid_has_a_frame_and_begins_with_one(
    steps: list[int], first: int, last: int, target: int
) -> None:
    times = list(accumulate(steps, initial=first))
    stop = times[-1] + last

    def at_or_after(time: int) -> int | None:
        return next((frame for frame in times if frame >= time), None)

    boundaries = grid(0, stop, at_or_after, target=target, first=first)
    assert (boundaries[0], boundaries[-1]) == (0, stop)
    assert set(boundaries[1:-1]) <= set(times)
    for start, end in pairwise(boundaries):
        assert any(start <= time < end for time in times)
    assert all((b - a) * LEAST_SHARE >= target for a, b in pairwise(boundaries[:-1]))
    for boundary in boundaries[1:-1]:
        multiple = boundary // target * target
        assert at_or_after(multiple) == boundary
