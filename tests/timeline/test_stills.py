"""Which frame is shown at a time, and how large it is drawn."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.seeking import Mode
from media_service.timeline.stills import (
    LONGEST_SIDE,
    MOST_WIDTH,
    drawn_size,
    frame_for,
    shown_between,
    still_cut,
)
from tests.timeline.tracks import stored_track, track

FACTS = Facts(container="mov,mp4", video=VideoFacts(index=0, codec="h264", width=64, height=36))
# Ten frames, 40 ms each, from 100 ms on; in decoding order with a B frame; keyframes are the first and the sixth.
FILM = track([100, 180, 140, 220, 260, 300, 380, 340, 420, 460], sync=[0, 5])


@pytest.mark.parametrize(
    ("milliseconds", "mode", "shown"),
    [
        (140, "exact", 140),
        (179, "exact", 140),
        (180, "exact", 180),
        (0, "exact", 100),
        (9000, "exact", 460),
        (259, "keyframe", 100),
        (300, "keyframe", 300),
        (341, "keyframe", 300),
        (9000, "keyframe", 300),
    ],
)
def test_a_time_means_the_frame_on_the_screen_or_its_keyframe(
    milliseconds: int, mode: Mode, shown: int
) -> None:
    assert frame_for(stored_track(FILM), Fraction(milliseconds, 1000), mode).time == shown


def test_a_time_that_was_rounded_down_still_means_its_frame() -> None:
    made = stored_track(track([0, 1, 2], timescale=30))
    assert frame_for(made, Fraction("0.033333"), "exact").time == 1


def test_a_keyframe_that_is_never_shown_is_none() -> None:
    made = stored_track(track([0, 40, 80], sync=[0], hidden=[0]))
    assert frame_for(made, Fraction(0), "keyframe").time == 40


def test_a_picture_without_keyframes_shows_the_frame_itself() -> None:
    assert frame_for(stored_track(track([0, 40, 80], sync=[])), Fraction(80, 1000), "keyframe").time == 80


def test_the_cut_holds_one_frame_and_no_other() -> None:
    made = stored_track(FILM)
    times = sorted(FILM.columns.times)
    for time in times:
        frame = made.at(time)
        assert frame is not None
        cut = still_cut(FACTS, made, frame)
        assert [one for one in times if cut.start <= Fraction(one, 1000) < cut.stop] == [time]
        assert cut.frames >= 1
        assert shown_between(made, frame)[0] == Fraction(time, 1000)


def test_another_attempt_begins_further_back() -> None:
    numbers = range(1000)
    made = stored_track(track([40 * number for number in numbers], sync=list(numbers[::25])))
    frame = made.packet(900)
    near, far = (still_cut(FACTS, made, frame, attempt=attempt).seek for attempt in (0, 1))
    assert near is not None
    assert far is not None
    assert far <= near - 10


@pytest.mark.parametrize(
    ("film", "width", "short_side", "size"),
    [
        pytest.param((1920, 1080), None, None, (1920, 1080), id="as it is"),
        pytest.param((3840, 2160), None, None, (1920, 1080), id="no wider than the most"),
        pytest.param((1920, 1080), 320, None, (320, 180), id="as wide as wanted"),
        pytest.param((320, 180), 1280, None, (320, 180), id="never enlarged"),
        pytest.param((1080, 1920), 540, None, (540, 960), id="upright"),
        pytest.param((161, 121), None, None, (160, 120), id="even"),
        pytest.param((1920, 1080), None, 480, (854, 480), id="as tall as the token allows"),
        pytest.param((1920, 1080), None, 243, (430, 242), id="no taller than the token allows"),
        pytest.param((1920, 1080), 320, 480, (320, 180), id="less than the token allows"),
        pytest.param((100, 8000), None, None, (52, 4096), id="a strip"),
        pytest.param((8000, 2), 16, None, (16, 2), id="a line"),
    ],
)
def test_pictures_are_drawn_as_large_as_wanted(
    film: tuple[int, int], width: int | None, short_side: int | None, size: tuple[int, int]
) -> None:
    assert drawn_size(*film, width, short_side) == size


@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.none() | st.integers(16, 1920),
    st.none() | st.integers(1, 4096),
)
def test_any_film_can_be_drawn(across: int, down: int, width: int | None, short_side: int | None) -> None:
    drawn = drawn_size(across, down, width, short_side)
    assert all(side >= 2 and side % 2 == 0 for side in drawn)
    assert drawn[0] <= max(2, min(MOST_WIDTH, width or MOST_WIDTH) + 1)
    assert max(drawn) <= LONGEST_SIDE
