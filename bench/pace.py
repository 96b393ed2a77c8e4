"""How long a measure takes: as long as its figures need, or only as long as it takes to see that it works (`--quick`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Named(Protocol):
    """Somebody who is measured."""

    @property
    def name(self) -> str:
        """What the table calls him."""


N = TypeVar("N", bound=Named)


class Pace(NamedTuple):
    """Rounds of each figure, and seconds of each round. `quick`: everything else is small too, and no figure means anything."""

    rounds: int = 3
    seconds: float = 2.0
    quick: bool = False


QUICK = Pace(rounds=1, seconds=0.3, quick=True)


def in_turns(who: Sequence[N], pace: Pace, measure: Callable[[N], T]) -> dict[str, list[T]]:
    """What `measure` finds for each of them, `pace.rounds` times, one after the other and not always in the same order."""
    found: dict[str, list[T]] = {one.name: [] for one in who}
    for turn in range(pace.rounds):
        first = turn * len(who) // pace.rounds
        for one in (*who[first:], *who[:first]):
            found[one.name].append(measure(one))
    return found
