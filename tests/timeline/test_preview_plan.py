"""Which frames become tiles, and how they are made, of tracks made by hand. Ticks are milliseconds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.preview_plan import (
    COARSE,
    MOST_STARTS,
    Wanted,
    beginning,
    coarse,
    lacking,
    stretches,
    true_time_us,
    wanted_frames,
)
from media_service.timeline.previews import Tile
from media_service.timeline.stored_index import StoredTrack
from tests.timeline.tracks import stored_track, track

SECOND = 1_000_000
MP4, MATROSKA, TS = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts"


def film(seconds: float, every: float, *, fps: int = 25, start: int = 0) -> StoredTrack:
    """A picture with a keyframe every so many seconds."""
    step = round(every * fps)
    times = [start + round(number * 1000 / fps) for number in range(round(seconds * fps))]
    return stored_track(track(times, sync=range(0, len(times), step), stop=start + round(seconds * 1000)))


def facts(container: str = MP4, codec: str = "h264", size: tuple[int, int] = (1920, 1080)) -> Facts:
    video = VideoFacts(index=0, codec=codec, width=size[0], height=size[1])
    return Facts(container=container, video=video)


def times(wanted: list[Wanted]) -> list[float]:
    return [one.time_us / SECOND for one in wanted]


def tiles(wanted: list[Wanted]) -> list[Tile]:
    return [Tile(one.time_us, 0, 1) for one in wanted]


def test_keyframes_that_are_near_enough_are_all_that_is_wanted() -> None:
    wanted = wanted_frames(film(20, 2.0), 20 * SECOND)
    assert times(wanted) == [2.0 * number for number in range(10)]
    assert all(one.key for one in wanted)


def test_of_keyframes_that_follow_closely_those_at_the_spacing_are_taken() -> None:
    assert times(wanted_frames(film(10, 0.2), 10 * SECOND))[:10] == [float(number) for number in range(10)]
    assert times(wanted_frames(film(1200, 0.4), 1200 * SECOND))[:4] == [0.0, 2.0, 4.0, 6.0]


def test_between_keyframes_that_lie_far_apart_frames_are_decoded() -> None:
    wanted = wanted_frames(film(20, 5.0), 20 * SECOND)
    assert times(wanted) == [float(number) for number in range(20)]
    assert [one.time_us // SECOND for one in wanted if one.key] == [0, 5, 10, 15]


def test_frames_are_those_that_are_shown_then() -> None:
    wanted = wanted_frames(film(10, 10, fps=3), 10 * SECOND)
    shown = {round(number * 1000 / 3) * 1000 for number in range(30)}
    assert {one.time_us for one in wanted} <= shown


@pytest.mark.parametrize(("seconds", "every"), [(30, 30), (700, 11), (3000, 3), (700, 1.0), (90, 2.1)])
def test_tiles_of_films_up_to_two_hours_are_never_far_apart(seconds: int, every: float) -> None:
    gaps = [
        after - time for time, after in pairwise(times(wanted_frames(film(seconds, every), seconds * SECOND)))
    ]
    assert max(gaps) <= 2.14
    assert min(gaps) >= 0.5


def test_a_film_of_ten_hours_has_no_more_tiles_than_one_of_two() -> None:
    hours = film(36_000, 4, fps=1)
    wanted = wanted_frames(hours, 36_000 * SECOND)
    assert len(wanted) <= 2 * 3600
    assert all(one.key for one in wanted)


def test_a_still_picture_is_one_tile() -> None:
    assert times(wanted_frames(stored_track(track([0], stop=30_000)), 30 * SECOND)) == [0.0]


def test_a_picture_that_begins_late_has_its_first_frame() -> None:
    assert times(wanted_frames(film(3, 1, start=5000), 8 * SECOND)) == [5.0, 6.0, 7.0]


def test_a_film_without_a_keyframe_at_its_beginning_has_its_first_frame_all_the_same() -> None:
    made = stored_track(track(list(range(0, 6000, 40)), sync=[125], stop=6000))
    wanted = wanted_frames(made, 6 * SECOND)
    assert (times(wanted)[0], wanted[0].key) == (0.0, False)
    assert 5.0 in times(wanted)


def test_frames_that_an_edit_list_cuts_away_are_no_tiles() -> None:
    made = stored_track(track([-40, 0, 40, 80], sync=[0, 2], hidden=[0], stop=120))
    assert times(wanted_frames(made, 120_000)) == [0.04]


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=200, unique=True), st.data())
def test_whatever_a_film_is_like_tiles_are_frames_of_it_in_order(
    shown: list[int], data: st.DataObject
) -> None:
    shown.sort()
    sync = data.draw(st.sets(st.integers(0, len(shown) - 1)))
    made = stored_track(track(shown, sync=sorted(sync)))
    wanted = wanted_frames(made, 60 * SECOND)
    assert {one.ticks for one in wanted} <= set(shown)
    assert all(one.ticks < after.ticks for one, after in pairwise(wanted))
    assert wanted[0].ticks <= shown[0] + 2_100
    for run in stretches(facts(), made, wanted):
        assert list(run.starts) == sorted(set(run.starts))
        assert run.starts[-1] < run.stop


# --- what is lacking ------------------------------------------------------------------------------------------


def test_of_an_empty_pack_everything_is_lacking_and_of_a_full_one_nothing() -> None:
    wanted = wanted_frames(film(20, 5), 20 * SECOND)
    assert lacking(wanted, []) == wanted
    assert lacking(wanted, tiles(wanted)) == []


def test_a_frame_that_came_a_little_later_is_not_lacking() -> None:
    wanted = wanted_frames(film(10, 10), 10 * SECOND)
    later = [Tile(one.time_us + 80_000, 0, 1) for one in wanted]
    assert lacking(wanted, later) == []


def test_a_tile_of_the_next_frame_that_is_wanted_does_not_count_for_the_one_before() -> None:
    wanted = wanted_frames(film(10, 10), 10 * SECOND)
    assert lacking(wanted, tiles(wanted[:3] + wanted[4:])) == [wanted[3]]


# --- the first pack -------------------------------------------------------------------------------------------


def test_the_first_pack_is_of_keyframes_spread_over_the_film() -> None:
    some = coarse(wanted_frames(film(800, 4), 800 * SECOND), 800 * SECOND)
    assert times(some) == [100.0 * number for number in range(COARSE)]
    assert all(one.key for one in some)


def test_a_short_film_has_all_its_keyframes_in_the_first_pack() -> None:
    assert times(coarse(wanted_frames(film(9, 4), 9 * SECOND), 9 * SECOND)) == [0.0, 4.0, 8.0]


# --- the runs -------------------------------------------------------------------------------------------------


def test_keyframes_come_in_one_pass_and_all_else_in_another() -> None:
    made = film(60, 5)
    keys, rest = stretches(facts(), made, wanted_frames(made, 60 * SECOND))
    assert (keys.how, rest.how) == ("keyframes", "frames")
    assert (len(keys.starts), len(rest.starts)) == (12, 48)
    assert (keys.seeks, rest.seeks) == ((None,), (None,))


def test_a_start_lies_between_the_frame_before_and_the_one_that_is_meant() -> None:
    made = film(20, 2)
    [run] = stretches(facts(), made, wanted_frames(made, 20 * SECOND))
    assert run.starts[1] == Fraction(1990, 1000)
    assert run.stop == Fraction(18_990, 1000)


def test_a_run_begins_at_the_keyframe_before_and_ends_when_no_more_is_wanted() -> None:
    made = film(60, 5)
    [run] = stretches(
        facts(), made, [one for one in wanted_frames(made, 60 * SECOND) if 31 <= one.ticks / 1000 < 34]
    )
    assert (run.seeks, len(run.starts)) == ((Fraction(30),), 3)
    assert 33 < run.stop < 35


def test_places_that_are_far_apart_are_decoded_apart() -> None:
    made = film(300, 5)
    some = [
        one
        for one in wanted_frames(made, 300 * SECOND)
        if not one.key and one.ticks // 1000 in {1, 8, 100, 101}
    ]
    first, second = stretches(facts(), made, some)
    assert (first.seeks, second.seeks) == ((None,), (Fraction(100),))


def test_no_run_decodes_more_than_a_quarter_of_an_hour_or_has_more_starts_than_an_argument_holds() -> None:
    made = film(4000, 10, fps=5)
    runs = stretches(facts(), made, wanted_frames(made, 4000 * SECOND))
    for run in runs:
        assert len(run.starts) <= MOST_STARTS
        if run.how == "frames":
            assert run.stop - run.starts[0] <= 905
    assert len(runs) == 6


def test_frames_that_no_other_needs_are_left_out_where_there_are_many() -> None:
    for fps, sparing in ((25, True), (5, False)):
        made = film(20, 20, fps=fps)
        run = stretches(facts(), made, wanted_frames(made, 20 * SECOND))[-1]
        assert (run.how, run.sparing) == ("frames", sparing)


@pytest.mark.parametrize(
    ("container", "codec", "how"),
    [
        (MP4, "h264", "keyframes"),
        (MP4, "av1", "keyframes"),
        (MATROSKA, "h264", "keyframes"),
        (MATROSKA, "vp9", "hops"),
        (MATROSKA, "av1", "hops"),
        (TS, "h264", "keyframes"),
    ],
)
def test_keyframes_are_sought_where_nothing_passes_over_the_others(
    container: str, codec: str, how: str
) -> None:
    made = film(40, 2)
    assert {
        run.how for run in stretches(facts(container, codec), made, wanted_frames(made, 40 * SECOND))
    } == {how}


def test_a_film_of_keyframes_only_is_hopped_through() -> None:
    made = film(40, 0.04)
    runs = stretches(facts(codec="prores"), made, wanted_frames(made, 40 * SECOND))
    assert {run.how for run in runs} == {"hops"}
    assert sum(len(run.starts) for run in runs) == 40
    assert all(len(run.seeks) == len(run.starts) for run in runs)


def test_of_large_pictures_fewer_are_decoded_side_by_side() -> None:
    made = film(40, 2)
    keys = wanted_frames(made, 40 * SECOND)[:8]
    sizes = ((640, 360), (3840, 2160), (8192, 4320))
    assert [len(beginning(facts(size=size), made, keys)) for size in sizes] == [1, 4, 8]


@pytest.mark.parametrize("container", ["avi", "mpeg"])
def test_where_frames_come_without_their_times_none_is_left_out(container: str) -> None:
    made = film(40, 2)
    keys = wanted_frames(made, 40 * SECOND)
    [run] = stretches(facts(container), made, keys)
    assert (run.how, run.sparing, len(run.starts)) == ("frames", False, 20)
    [first] = beginning(facts(container), made, keys)
    assert (first.how, len(first.starts)) == ("frames", 1)


def test_what_could_not_be_decoded_alone_is_decoded_with_all_before_it() -> None:
    made = film(40, 2)
    keys = wanted_frames(made, 40 * SECOND)
    [run] = stretches(facts(), made, keys[10:12], attempt=1)
    assert (run.how, run.seeks, len(run.starts)) == ("frames", (Fraction(10),), 2)


@pytest.mark.parametrize(
    ("told", "true"), [(0, 0), (39_000, 40_000), (41_000, 40_000), (60_000, None), (9_999_999, None)]
)
def test_a_time_that_ffmpeg_rounded_means_the_frame_beside_it(told: int, true: int | None) -> None:
    assert true_time_us(film(2, 1), told) == true
