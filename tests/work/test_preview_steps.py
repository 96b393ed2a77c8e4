"""How the runs of a film's previews are kept together, and what each may take."""

from __future__ import annotations

from fractions import Fraction

import pytest

from media_service.ffmpeg.fence import PROBE_LIMITS, Limits
from media_service.timeline.preview_plan import How, Stretch
from media_service.work.preview_steps import QUICK_STEP_SECONDS, STEP_SECONDS, allowance, steps


def runs(how: How, seconds: int, count: int) -> list[Stretch]:
    """So many runs of so many seconds, one after the other."""
    return [
        Stretch(how, (Fraction(at),), (Fraction(at),), Fraction(at + seconds), Fraction(0), sparing=True)
        for at in range(0, seconds * count, seconds)
    ]


def covered(step: list[Stretch]) -> float:
    return sum(float(run.stop - run.starts[0]) for run in step)


@pytest.mark.parametrize(("how", "first"), [("frames", STEP_SECONDS), ("hops", QUICK_STEP_SECONDS)])
def test_each_step_is_as_long_as_all_before_it(how: How, first: float) -> None:
    made = steps(runs(how, 60, 24 * 60))
    lengths = [covered(step) for step in made]
    assert lengths[0] == first
    for at in range(1, len(lengths) - 1):
        assert lengths[at] == sum(lengths[:at])
    assert [run for step in made for run in step] == runs(how, 60, 24 * 60)


def test_what_passes_over_the_film_quickly_comes_first() -> None:
    slow, quick = runs("frames", 600, 2), runs("keyframes", 7200, 1)
    assert steps([slow[0], *quick, slow[1]]) == [quick, slow]
    assert steps([]) == []


def test_a_run_may_take_far_longer_than_its_film() -> None:
    (run,) = runs("frames", 100, 1)
    limits = allowance(Limits(), run)
    assert limits.wall_seconds == 3300
    assert limits.cpu_seconds >= limits.wall_seconds
    assert limits.memory_bytes == PROBE_LIMITS.memory_bytes
