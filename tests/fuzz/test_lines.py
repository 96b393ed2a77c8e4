"""Requests, damaged: at most an error of the table, soon, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.lines import TARGETS
from tests.fuzz.watched import Target, fuzz


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_damaged_request_is_read_or_refused(target: Target, tmp_path: Path) -> None:
    tally = fuzz(target, 400, keep=tmp_path)
    assert tally.read


@pytest.mark.torture
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_ten_thousand_damaged_requests_are_read_or_refused(target: Target, tmp_path: Path) -> None:
    tally = fuzz(target, 10_000, number=2, keep=tmp_path)
    assert tally.read
    print(f"{target.name}: {tally}")
