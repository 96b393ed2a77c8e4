"""What a run may take: more the more of a film it decodes and makes, and never nothing."""

from __future__ import annotations

from fractions import Fraction

from media_service.ffmpeg.fence import Limits
from media_service.work.allowance import allowance
from media_service.work.runs import Run
from tests.work import streams

LIMITS = Limits(stall_seconds=60.0, memory_bytes=1 << 30)
RENDITION = streams.picture_rendition(*range(0, 400 * 90_000, 4 * 90_000))  # a segment each four seconds


def test_what_is_only_decoded_takes_time_and_makes_nothing() -> None:
    near = allowance(LIMITS, RENDITION, Run("film", ("36p",), 50, 52), Fraction(198))
    far = allowance(LIMITS, RENDITION, Run("film", ("36p",), 50, 52), None)
    assert near.wall_seconds == 600 + 30 * 10 < far.wall_seconds == 600 + 30 * 208
    assert near.stall_seconds == 60 + 2 * 2 < far.stall_seconds == 60 + 2 * 200
    assert near.output_bytes == far.output_bytes
    assert near.cpu_seconds >= near.wall_seconds


def test_what_makes_more_may_write_more() -> None:
    one = allowance(LIMITS, RENDITION, Run("film", ("36p",), 0, 2), None)
    two = allowance(LIMITS, RENDITION, Run("film", ("36p", "18p"), 0, 2), None)
    assert one.output_bytes == (1 << 30) + 8 * (8 << 20)
    assert two.output_bytes == (1 << 30) + 16 * (8 << 20)
    assert two.wall_seconds > one.wall_seconds


def test_the_rest_of_the_fence_stays() -> None:
    assert allowance(LIMITS, RENDITION, Run("film", ("36p",), 0, 2), None).memory_bytes == 1 << 30
