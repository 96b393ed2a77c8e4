"""The trials pass behind real walls, and say so where there are none: they can tell the difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_service.ffmpeg.spawning import built
from media_service.ffmpeg.trials import trials
from media_service.ffmpeg.walls import Walls


def test_behind_the_walls_of_this_machine_everything_passes(tmp_path: Path) -> None:
    if built().gaps:
        pytest.skip("this machine has no whole fence")
    found = list(trials(tmp_path, built()))
    assert len(found) == 6
    assert all(trial.passed and trial.expected for trial in found), found
    assert not list(tmp_path.iterdir())


def test_without_walls_every_canary_is_found(tmp_path: Path) -> None:
    found = list(trials(tmp_path, Walls(files="none")))
    assert [trial.passed for trial in found] == [True, True, False, False, False, False]
    assert [trial.expected for trial in found] == [True, True, False, False, False, False]
    assert not list(tmp_path.iterdir())
