"""Which excerpts a clip has, on tracks made by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.clips import BOX, EXCERPTS, Clip, clip_of, clip_size
from media_service.timeline.cutting import video_cut
from media_service.timeline.facts import VideoFacts
from media_service.timeline.stored_index import StoredTrack
from tests.timeline.outlines import facts_of, picture, video_facts
from tests.timeline.tracks import stored_track, track

FACTS = facts_of(video_facts())


def clip(made: StoredTrack, video: VideoFacts | None = None) -> Clip:
    found = clip_of(FACTS if video is None else facts_of(video), made)
    assert found is not None
    return found


def times(made: Clip) -> list[tuple[float, float]]:
    """When its excerpts begin and end, in seconds."""
    seconds = made.rendition.seconds
    return [(float(seconds(number)), float(seconds(number + 1))) for number in made.excerpts]


def test_the_excerpts_are_spread_over_the_film_and_begin_with_keyframes() -> None:
    made = clip(stored_track(picture(100)))  # a keyframe each 2 s
    assert times(made) == [(10, 11), (30, 31), (50, 51), (70, 71), (90, 91)]
    made = clip(stored_track(picture(100, every=175)))  # each 7 s
    assert times(made) == [(7, 8), (28, 29), (49, 50), (70, 71), (84, 85)]


def test_a_short_film_is_shown_from_its_start() -> None:
    assert times(clip(stored_track(picture(3)))) == [(0, 3)]
    assert times(clip(stored_track(picture(9, start=2000)))) == [(2, 7)]


def test_excerpts_far_behind_the_last_keyframe_are_left_out() -> None:
    lonely = track([40 * number for number in range(25 * 400)], sync=[0, 25 * 190])
    # The middles are at 40, 120, 200, 280 and 360 s, the keyframes at 0 and 190 s; an excerpt of the first has 40 s to spare.
    assert times(clip(stored_track(lonely))) == [(0, 1), (190, 191)]


def test_an_excerpt_a_little_behind_its_keyframe_is_decoded_from_there() -> None:
    few = track([40 * number for number in range(25 * 50)], sync=[0])
    assert times(clip(stored_track(few))) == [(0, 1), (15, 16)]


def test_a_film_with_one_keyframe_long_before_everything_is_shown_from_its_start() -> None:
    late = track([0, *(10_000_000 + 40 * number for number in range(1000))], sync=[0])
    made = clip(stored_track(late))
    assert times(made)[0] == (0, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_less_than_two_frames_make_no_clip(count: int) -> None:
    assert clip_of(FACTS, stored_track(track([0] * count))) is None


def test_sound_alone_has_no_clip() -> None:
    assert clip_of(facts_of(None), stored_track(picture(20))) is None


@pytest.mark.parametrize(
    ("film", "size"),
    [
        ((1920, 1080), (320, 180)),
        ((1080, 1920), (180, 320)),
        ((640, 480), (320, 240)),
        ((4096, 160), (320, 12)),
        ((161, 121), (160, 120)),
        ((1, 1), (2, 2)),
        ((8000, 2), (320, 2)),
    ],
)
def test_a_clip_fits_a_card_and_is_never_enlarged(film: tuple[int, int], size: tuple[int, int]) -> None:
    assert clip_size(*film) == size


def test_fast_films_leave_frames_out() -> None:
    made = clip(stored_track(track([16 * number for number in range(600)])), video_facts(frame_rate=(125, 2)))
    assert made.video.frame_step == 3
    assert made.video.frame_rate < 31


@given(
    st.lists(st.integers(1, 30_000), min_size=2, max_size=300),
    st.integers(1, 50),
    st.integers(0, 5000),
)
def test_every_film_has_excerpts_that_can_be_cut(gaps: list[int], every: int, start: int) -> None:
    shown = [start]
    for gap in gaps:
        shown.append(shown[-1] + gap)
    film = stored_track(track(shown, sync=range(0, len(shown), every)))
    made = clip(film)
    assert 1 <= len(made.excerpts) <= EXCERPTS
    assert all(before < after for before, after in pairwise(made.rendition.boundaries))
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times(made)))
    assert max(made.video.width, made.video.height) <= BOX
    for number in made.excerpts:
        cut = video_cut(FACTS, film, made.rendition, number, number + 1)
        assert cut.starts[0] < cut.stop
