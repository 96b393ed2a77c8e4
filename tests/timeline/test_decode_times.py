"""Decode times of a segment: from its boundary to the next, never after what they belong to is shown."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.decode_times import decode_times, first_decode_time, step_of

FRAME = 512  # ticks; 25 frames/s at 12800 ticks/s
STEP = step_of(12800)


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Presentation and decode times of a segment from 0 on: mini-groups of a reference and up to 15 B frames before it."""
    order = [0]
    for size in draw(st.lists(st.integers(1, 16), max_size=12)):
        last = max(order)
        order += [last + size, *draw(st.permutations(range(last + 1, last + size)))]
    delay = draw(st.integers(-3, 20))
    return [FRAME * place for place in order], [FRAME * (number - delay) for number in range(len(order))]


@given(groups(), st.integers(0, 5 * FRAME))
def test_they_fill_the_segment_and_nothing_is_decoded_after_it_is_shown(
    group: tuple[list[int], list[int]], late: int
) -> None:
    times, decoded = [time + late for time in group[0]], group[1]
    end = max(times) + FRAME
    start = first_decode_time(times, 0, STEP)
    found = decode_times(times, decoded, start=start, stop=end, end=end, step=STEP)
    assert start == found[0] == 0
    assert all(after - here >= STEP for here, after in pairwise((*found, end)) if here or after != found[0])
    assert all(decode <= time for decode, time in zip(found, times, strict=True))
    # What the first one lasts bridges the time until the film's first picture.
    lasting = zip(times[1:], pairwise((*found[1:], end)), strict=True)
    assert all(time + after - here <= end for time, (here, after) in lasting)


@given(groups(), st.lists(st.integers(-(1 << 40), 1 << 40), min_size=200, max_size=200))
def test_a_source_whose_decode_times_are_nonsense_gets_some_that_are_not(
    group: tuple[list[int], list[int]], nonsense: list[int]
) -> None:
    times = group[0]
    end = max(times) + FRAME
    found = decode_times(times, nonsense[: len(times)], start=0, stop=end, end=end, step=STEP)
    assert all(here < after for here, after in pairwise((*found, end)))
    assert all(decode <= time for decode, time in zip(found, times, strict=True))


def test_without_b_frames_they_are_the_presentation_times() -> None:
    times = [FRAME * number for number in range(10)]
    decoded = [time - 3 * FRAME for time in times]
    assert decode_times(times, decoded, start=0, stop=10 * FRAME, end=10 * FRAME, step=STEP) == times


def test_in_the_middle_they_are_the_sources_own() -> None:
    times = [FRAME * place for place in (0, 2, 1, 4, 3, 6, 5)]  # I P b P b P b
    decoded = [FRAME * (number - 1) for number in range(7)]
    found = decode_times(times, decoded, start=0, stop=7 * FRAME, end=7 * FRAME, step=STEP)
    # The keyframe at its boundary, the P frame right behind it; at the end b is decoded when it is shown, and P not before
    # it may last until then.
    assert found == [0, STEP, FRAME, 2 * FRAME, 3 * FRAME, 4 * FRAME, 5 * FRAME]


def test_leading_pictures_of_an_open_group_are_decoded_in_time_before_the_boundary() -> None:
    boundary = 100 * FRAME
    times = [boundary + FRAME * place for place in (0, -2, -1, 3, 1, 2)]
    start = first_decode_time(times, boundary, STEP)
    assert start == boundary - 2 * FRAME - STEP
    decoded = [boundary + FRAME * (number - 3) for number in range(6)]
    found = decode_times(
        times, decoded, start=start, stop=boundary + 4 * FRAME, end=boundary + 4 * FRAME, step=STEP
    )
    assert all(decode <= time for decode, time in zip(found, times, strict=True))


@pytest.mark.parametrize(("timescale", "step"), [(25, 1), (600, 1), (90_000, 1), (10_000_000, 200)])
def test_close_order_is_twenty_microseconds_where_the_clock_can_say_that(timescale: int, step: int) -> None:
    assert step_of(timescale) == step
