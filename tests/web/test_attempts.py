"""How often somebody may try to sign in."""

from __future__ import annotations

import pytest

from media_service.errors import TooManyAttempts
from media_service.web.attempts import OVERALL, PER_CLIENT, WINDOW_SECONDS, Attempts


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(now=clock)


def test_one_client_has_so_many_and_others_are_not_concerned(attempts: Attempts) -> None:
    for _ in range(PER_CLIENT):
        attempts.begin("one")
    with pytest.raises(TooManyAttempts):
        attempts.begin("one")
    attempts.begin("other")


def test_all_together_have_so_many(attempts: Attempts) -> None:
    for number in range(OVERALL):
        attempts.begin(f"client {number}")
    with pytest.raises(TooManyAttempts):
        attempts.begin("another")


def test_after_as_long_as_the_answer_says_it_may_try_again(attempts: Attempts, clock: Clock) -> None:
    for _ in range(PER_CLIENT):
        attempts.begin("one")
        clock.seconds += 1
    clock.seconds = 1000.0 + WINDOW_SECONDS - 0.1
    with pytest.raises(TooManyAttempts) as refused:
        attempts.begin("one")
    assert refused.value.retry_after == WINDOW_SECONDS
    clock.seconds = 1000.0 + WINDOW_SECONDS
    attempts.begin("one")
    with pytest.raises(TooManyAttempts):
        attempts.begin("one")


def test_refused_attempts_are_not_counted(attempts: Attempts, clock: Clock) -> None:
    for _ in range(PER_CLIENT):
        attempts.begin("one")
    for _ in range(50):
        clock.seconds += 1
        with pytest.raises(TooManyAttempts):
            attempts.begin("one")
    clock.seconds = 1000.0 + WINDOW_SECONDS
    attempts.begin("one")


def test_a_right_token_costs_no_attempt(attempts: Attempts) -> None:
    attempts.begin("other")
    for _ in range(3 * PER_CLIENT):
        attempts.begin("one")
        attempts.forgive("one")
    attempts.forgive("nobody")
    for _ in range(PER_CLIENT):
        attempts.begin("one")
    with pytest.raises(TooManyAttempts):
        attempts.begin("one")
