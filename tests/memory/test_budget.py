from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from media_service import errors
from media_service.memory.budget import Budget, Reservation


def test_what_does_not_fit_is_busy_and_reserves_nothing() -> None:
    budget = Budget(100)
    with budget.reserve(60):
        with pytest.raises(errors.Busy):
            budget.reserve(41)
        assert budget.free == 40
    assert budget.free == 100


def test_a_block_that_fails_gives_its_bytes_back() -> None:
    budget = Budget(10)
    with pytest.raises(KeyError), budget.reserve(10):
        raise KeyError
    assert budget.free == 10


def test_growing_step_by_step_stops_at_the_budget() -> None:
    budget = Budget(10)
    reservation = budget.reserve(0)
    assert [reservation.grow(4) for _ in range(3)] == [True, True, False]
    assert (reservation.size, budget.free) == (8, 2)


def test_releasing_twice_gives_back_once() -> None:
    budget = Budget(10)
    first, second = budget.reserve(4), budget.reserve(6)
    first.release()
    first.release()
    assert budget.free == 4
    assert second.size == 6


def test_a_released_reservation_does_not_grow_again() -> None:
    budget = Budget(10)
    reservation = budget.reserve(1)
    reservation.release()
    assert not reservation.grow(1)
    assert budget.free == 10


def test_an_empty_budget_admits_empty_uploads_only() -> None:
    budget = Budget(0)
    budget.reserve(0).release()
    with pytest.raises(errors.Busy):
        budget.reserve(1)


@pytest.mark.parametrize("wrong", [-1, -100])
def test_negative_sizes_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        Budget(wrong)
    with pytest.raises(ValueError, match="grows"):
        Budget(10).reserve(wrong)


class Uploads(RuleBasedStateMachine):
    """Uploads that come, grow and go in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(1000)
        self.held: list[Reservation] = []

    @rule(size=st.integers(0, 1500))
    def come(self, size: int) -> None:
        fits = size <= self.budget.free
        try:
            self.held.append(self.budget.reserve(size))
        except errors.Busy:
            assert not fits
        else:
            assert fits

    @precondition(lambda self: self.held)
    @rule(size=st.integers(0, 500), data=st.data())
    def grow(self, size: int, data: st.DataObject) -> None:
        fits = size <= self.budget.free
        assert data.draw(st.sampled_from(self.held)).grow(size) is fits

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.held.pop(data.draw(st.integers(0, len(self.held) - 1))).release()

    @invariant()
    def every_byte_is_free_or_held(self) -> None:
        assert self.budget.free == 1000 - sum(reservation.size for reservation in self.held)
        assert self.budget.free >= 0


TestUploads = Uploads.TestCase
