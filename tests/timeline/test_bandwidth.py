"""Peak and average rates, against the definition counted out in full."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.bandwidth import average, peak, segment_bits, target_duration


@pytest.mark.parametrize(
    ("ticks", "target"), [([4000], 4), ([4499, 1], 4), ([4500], 5), ([1], 1), ([], 1), ([400], 1)]
)
def test_the_target_duration_is_the_longest_rounded(ticks: list[int], target: int) -> None:
    assert target_duration(ticks, 1000) == target


def test_the_peak_is_that_of_the_worst_segment() -> None:
    assert peak([4_000, 8_000, 4_000], [4, 4, 4], 1) == 2_000
    assert average([4_000, 8_000, 4_001], [4, 4, 4], 1) == 1334


def test_a_short_last_segment_counts_only_with_the_one_before() -> None:
    # 1 s with 6000 bits is under half the target of 4 s.
    assert peak([4_000, 4_000, 6_000], [4, 4, 1], 1) == 2_000


def test_of_a_very_short_film_the_peak_is_the_average() -> None:
    assert peak([100], [2], 10) == average([100], [2], 10) == 500


def test_a_segment_has_its_head_too() -> None:
    assert segment_bits(1000, 10) >= 8 * (1000 + 108 + 10 * 16)


def test_one_long_segment_among_very_many_costs_no_time() -> None:
    """A frame that is shown for 30,000 s makes every run of the others long enough to count with thousands of others."""
    durations = [4000] * 14_000 + [30_000_000]
    bits = [10_000 + number * 7919 % 5000 for number in range(14_000)] + [1]
    begun = time.process_time()
    found = peak(bits, durations, 1000)
    assert time.process_time() - begun < 2, "counting all of them takes a quarter of a minute"
    assert 12_500 / 4 <= found < 12_600 / 4


@given(st.lists(st.tuples(st.integers(0, 10**8), st.integers(1, 20_000)), min_size=1, max_size=25))
def test_the_peak_is_the_largest_of_all_runs_that_count(segments: list[tuple[int, int]]) -> None:
    bits, durations = zip(*segments, strict=True)
    target = target_duration(durations, 1000)
    rates = [Fraction(sum(bits) * 1000, sum(durations))]
    for first in range(len(bits)):
        for stop in range(first + 1, len(bits) + 1):
            lasts = Fraction(sum(durations[first:stop]), 1000)
            if Fraction(target, 2) <= lasts <= Fraction(3 * target, 2):
                rates.append(sum(bits[first:stop]) / lasts)
    assert 0 <= peak(bits, durations, 1000) - max(rates) < 1
    assert average(bits, durations, 1000) <= peak(bits, durations, 1000)
