"""Where the keyframes of a film lie in time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.keyframes import keyframe_times, thinned
from tests.timeline.tracks import stored_track, track


def test_keyframes_come_in_the_order_of_their_times_and_only_those_that_are_shown() -> None:
    made = track([0, 120, 40, 80, 200, 160, 240], sync=[0, 1, 4, 6], hidden=[0])
    assert keyframe_times(stored_track(made)) == [120, 200, 240]


def test_where_every_packet_is_one_all_that_are_shown_count() -> None:
    assert keyframe_times(stored_track(track([80, 0, 40], hidden=[1], kind="audio"))) == [40, 80]


@pytest.mark.parametrize(("count", "most"), [(0, 2), (2, 2), (5, 5), (4, 5)])
def test_few_are_left_as_they_are(count: int, most: int) -> None:
    assert list(thinned(range(count), most)) == list(range(count))


@given(count=st.integers(2, 3000), most=st.integers(2, 300))
def test_of_many_the_first_the_last_and_some_at_even_distances_stay(count: int, most: int) -> None:
    kept = list(thinned(range(count), most))
    assert len(kept) == min(count, most)
    assert (kept[0], kept[-1]) == (0, count - 1)
    gaps = {after - before for before, after in pairwise(kept)}
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1
