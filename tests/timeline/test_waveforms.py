"""Waveforms as JSON."""

from __future__ import annotations

import json
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.ladder import AUDIO_SAMPLE_RATE
from media_service.timeline.waveforms import (
    MOST_POINTS,
    point_count,
    samples_per_point,
    total_samples,
    waveform_json,
)


def test_the_json_is_what_waveform_data_js_reads() -> None:
    assert json.loads(waveform_json(0.1, [-0.5, -1.0, 0.0], [0.5, 1.0, 0.25])) == {
        "version": 2,
        "channels": 1,
        "sample_rate": 48_000,
        "samples_per_pixel": 1920,
        "bits": 8,
        "length": 3,
        "data": [-64, 64, -128, 127, 0, 32],
    }


def test_what_is_no_number_is_silent_and_what_is_too_loud_is_as_loud_as_can_be() -> None:
    assert json.loads(waveform_json(0.12, [nan, -1.5, -inf], [inf, 3.0, nan]))["data"] == [
        0,
        0,
        -128,
        127,
        0,
        0,
    ]


def test_points_that_did_not_come_are_silent_and_those_too_many_are_left_out() -> None:
    assert json.loads(waveform_json(0.1, [-1.0], [1.0]))["data"] == [-128, 127, 0, 0, 0, 0]
    assert len(json.loads(waveform_json(0.1, [0.0] * 9, [0.0] * 9))["data"]) == 6


@pytest.mark.parametrize(
    ("seconds", "each"),
    [(0.001, 1920), (800.0, 1920), (3600.0, 8640), (36_000.0, 86_400), (86_400.0, 207_360)],
)
def test_long_films_have_longer_points(seconds: float, each: int) -> None:
    assert samples_per_point(seconds) == each


@given(st.floats(0, 1e6))
def test_the_points_cover_the_film_and_are_not_too_many(seconds: float) -> None:
    count, each = point_count(seconds), samples_per_point(seconds)
    assert 1 <= count <= MOST_POINTS
    assert (count - 1) * each < total_samples(seconds) <= count * each
    assert total_samples(seconds) >= seconds * AUDIO_SAMPLE_RATE
