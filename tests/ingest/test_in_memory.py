"""A file that is only looked at: every byte reserved before it is taken, all of it given back."""

from __future__ import annotations

import os

import pytest

from media_service.errors import Busy, EmptyUpload, UploadTooLarge
from media_service.ingest.in_memory import RESERVE_STEP_BYTES, MemoryIntake
from media_service.memory.budget import Budget

STEP = RESERVE_STEP_BYTES


async def test_what_is_written_can_be_read_and_changes_no_more() -> None:
    budget = Budget(4 * STEP)
    with MemoryIntake(budget=budget, max_bytes=STEP).begin(5) as file:
        await file.write(b"hel")
        await file.write(b"lo")
        file.finish()
        assert (file.size, os.pread(file.fd, 9, 0)) == (5, b"hello")
        with pytest.raises(PermissionError):
            os.pwrite(file.fd, b"J", 0)
        assert budget.free == 4 * STEP - 5
    assert budget.free == budget.total


async def test_one_of_unknown_length_reserves_as_it_grows() -> None:
    budget = Budget(4 * STEP)
    with MemoryIntake(budget=budget, max_bytes=4 * STEP).begin(None) as file:
        assert budget.free == 3 * STEP
        await file.write(bytes(STEP))
        assert budget.free == 3 * STEP
        await file.write(b"x")
        assert budget.free == 2 * STEP
    assert budget.free == budget.total


async def test_one_that_does_not_fit_is_refused_at_once() -> None:
    budget = Budget(2 * STEP)
    intake = MemoryIntake(budget=budget, max_bytes=2 * STEP)
    with pytest.raises(UploadTooLarge):
        intake.begin(2 * STEP + 1)
    with budget.reserve(STEP), pytest.raises(Busy):
        intake.begin(STEP + 1)
    assert budget.free == budget.total


async def test_one_that_would_never_fit_is_too_large_and_the_largest_that_does_is_taken() -> None:
    budget = Budget(STEP + 10)
    intake = MemoryIntake(budget=budget, max_bytes=8 * STEP)
    with pytest.raises(UploadTooLarge):
        intake.begin(STEP + 11)
    for announced in (None, STEP + 10):
        with intake.begin(announced) as file:
            await file.write(bytes(STEP + 10))
            with pytest.raises(UploadTooLarge):
                await file.write(b"x")
    with pytest.raises(UploadTooLarge):
        MemoryIntake(budget=Budget(0), max_bytes=STEP).begin(1)
    with MemoryIntake(budget=Budget(0), max_bytes=STEP).begin(None) as file, pytest.raises(UploadTooLarge):
        await file.write(b"x")


async def test_what_is_only_announced_keeps_nobody_out() -> None:
    budget = Budget(8 * STEP)
    intake = MemoryIntake(budget=budget, max_bytes=8 * STEP)
    with intake.begin(8 * STEP) as slow, intake.begin(4 * STEP) as file:
        await slow.write(b"x")
        await file.write(bytes(4 * STEP))
        file.finish()
    assert budget.free == budget.total


async def test_the_rest_of_a_form_is_not_counted_as_the_file() -> None:
    budget = Budget(4 * STEP)
    intake = MemoryIntake(budget=budget, max_bytes=STEP)
    with intake.begin(STEP + 100, overhead=100) as file:
        assert budget.free == 3 * STEP
        await file.write(bytes(STEP))
        with pytest.raises(UploadTooLarge):
            await file.write(b"x")
    assert budget.free == budget.total


async def test_one_that_grows_beyond_the_budget_is_refused_and_gives_all_back() -> None:
    budget = Budget(2 * STEP)
    intake = MemoryIntake(budget=budget, max_bytes=2 * STEP)
    with intake.begin(None) as file, budget.reserve(STEP), pytest.raises(Busy):
        await file.write(bytes(STEP + 1))
    assert budget.free == budget.total


async def test_an_empty_file_is_none() -> None:
    with MemoryIntake(budget=Budget(STEP), max_bytes=STEP).begin(0) as file, pytest.raises(EmptyUpload):
        file.finish()
