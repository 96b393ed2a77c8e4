"""The verdict on how well a source seeks."""

from __future__ import annotations

import pytest

from media_service.timeline.seekability import Moov, seekability
from media_service.timeline.stored_index import StoredIndex
from tests.timeline.tracks import stored, track


def film(every: int, size: int) -> StoredIndex:
    """Ten minutes of 25 frames per second with a keyframe every `every` frames of `size` bytes each."""
    count = 600 * 25
    return stored(
        track([number * 40 for number in range(count)], sync=range(0, count, every), sizes=[size] * count)
    )


@pytest.mark.parametrize(
    ("every", "size", "verdict"),
    [
        (50, 5_000, "excellent"),
        (50, 50_000, "good"),
        (125, 5_000, "good"),
        (250, 5_000, "fair"),
        (15_000, 5_000, "poor"),
        (250, 200_000, "poor"),
        (1, 5_000, "excellent"),
    ],
)
def test_the_verdict_follows_the_distance_of_keyframes_and_the_bytes_of_a_seek(
    every: int, size: int, verdict: str
) -> None:
    found = seekability(film(every, size), "front")
    assert found is not None
    assert found.verdict == verdict
    assert found.keyframe_longest_seconds == found.keyframe_mean_seconds == every / 25
    assert found.seek_median_bytes == pytest.approx((every + 1) // 2 * size, rel=0.05)
    assert found.seek_worst_bytes == every * size


def test_what_lies_between_of_other_tracks_is_fetched_too() -> None:
    picture = track([0, 40], sync=[0], sizes=[10, 10], offsets=[0, 1000], stop=80)
    found = seekability(stored(picture), "front")
    assert found is not None
    assert (found.seek_median_bytes, found.seek_worst_bytes) == (10, 1010)


@pytest.mark.parametrize(
    ("moov", "word"), [("end", "fast start"), ("fragmented", "fragments"), ("none", "Browsers")]
)
def test_the_advice_says_where_the_index_lies(moov: Moov, word: str) -> None:
    found = seekability(stored(track([0, 40])), moov)
    front = seekability(stored(track([0, 40])), "front")
    assert found is not None
    assert front is not None
    assert word in found.advice
    assert found.advice.startswith(front.advice)


def test_a_file_that_does_not_say_where_its_packets_lie_is_judged_by_its_keyframes() -> None:
    found = seekability(stored(track([0, 40], offsets=[-1, -1])), "none")
    assert found is not None
    assert (found.seek_median_bytes, found.seek_worst_bytes, found.verdict) == (None, None, "excellent")


def test_a_film_without_tracks_has_no_verdict() -> None:
    assert seekability(stored(), "none") is None
