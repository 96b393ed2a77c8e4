"""What chance makes of honest bytes: flips, cuts, numbers at the edges of their types, pieces doubled, swapped, moved.

Everything follows from the dice: the same seed is the same mutant, on every machine.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

# Where counts and sizes go wrong: nothing, one, the last of each width and the first beyond it, and half of all that.
EDGES = (0, 1, 2, 7, 8, 15, 16, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LONG_EDGES = (1 << 31, 1 << 32, (1 << 62) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
MOST_CHANGES = 6  # of one mutant; most have fewer, as the first error hides what is behind it
MOST_MOVED = 4096  # bytes that are cut out, doubled or moved at once

Span = tuple[int, int]


@dataclass(frozen=True)
class Seed:
    """Honest bytes. `telling` are the half-open spans worth changing, `units` whole pieces (boxes, elements, lines) of it.

    `words` are what may stand where others stand: names of boxes, of headers, of algorithms.
    """

    name: str
    data: bytes
    telling: Sequence[Span]
    units: Sequence[Span] = ()
    words: Sequence[bytes] = ()


def mutants(seed: Seed, count: int, number: int) -> Iterator[bytes]:
    """`count` of them, as the dice `number` fall."""
    dice = random.Random(f"{seed.name} {number}")
    places = _Places(seed, dice)
    for _ in range(count):
        yield _mutant(seed, places, dice)


class _Places:
    """Picks places in what is telling, each byte of it as likely as the next."""

    def __init__(self, seed: Seed, dice: random.Random) -> None:
        self._spans = [span for span in seed.telling if span[0] < span[1]] or [(0, max(1, len(seed.data)))]
        self._sums = list(accumulate(stop - start for start, stop in self._spans))
        self._dice = dice

    def pick(self) -> int:
        at = self._dice.randrange(self._sums[-1])
        number = bisect_right(self._sums, at)
        return self._spans[number][1] - (self._sums[number] - at)


def _mutant(seed: Seed, places: _Places, dice: random.Random) -> bytes:
    data = bytearray(seed.data)
    for _ in range(min(dice.randint(1, MOST_CHANGES), dice.randint(1, MOST_CHANGES))):
        # Of a place that a change before has moved something else is changed: no harm.
        change = dice.choices(_CHANGES, _WEIGHTS)[0]
        change(data, min(places.pick(), max(0, len(data) - 1)), seed, dice)
    return bytes(data)


def _flip(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    if data:
        data[at] ^= 1 << dice.randrange(8)


def _byte(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    if data:
        data[at] = dice.randrange(256)


def _edge(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    """A number at the edge of its type, in two, four or eight bytes."""
    width = dice.choice((1, 2, 4, 4, 4, 8))
    value = dice.choice(EDGES if width < 8 else EDGES + LONG_EDGES)
    at -= at % width if dice.random() < 0.5 else 0
    data[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width)


def _nearly(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    """What stands there as a number of four bytes, a little more or less."""
    value = int.from_bytes(data[at : at + 4]) + dice.choice((-8, -4, -1, 1, 4, 8))
    data[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4)


def _insert(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    data[at:at] = dice.randbytes(dice.choice((1, 2, 4, 8, 16)))


def _word(data: bytearray, at: int, seed: Seed, dice: random.Random) -> None:
    if seed.words:
        word = dice.choice(seed.words)
        data[at : at + (len(word) if dice.random() < 0.8 else 0)] = word


def _cut_out(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    del data[at : at + dice.choice((1, 2, 4, 8, dice.randint(1, MOST_MOVED)))]


def _cut_off(data: bytearray, at: int, _: Seed, __: random.Random) -> None:
    del data[at:]


def _double(data: bytearray, at: int, seed: Seed, dice: random.Random) -> None:
    """A whole piece once more: behind itself, or anywhere."""
    start, stop = _unit(data, at, seed, dice)
    to = stop if dice.random() < 0.5 else at
    data[to:to] = data[start:stop] * dice.choice((1, 1, 2, 9))


def _swap(data: bytearray, at: int, seed: Seed, dice: random.Random) -> None:
    (start, middle), (after, stop) = sorted((_unit(data, at, seed, dice), _unit(data, at, seed, dice)))
    if middle <= after:
        data[start:stop] = data[after:stop] + data[middle:after] + data[start:middle]


def _drop(data: bytearray, at: int, seed: Seed, dice: random.Random) -> None:
    start, stop = _unit(data, at, seed, dice)
    del data[start:stop]


def _blank(data: bytearray, at: int, _: Seed, dice: random.Random) -> None:
    stop = min(len(data), at + dice.choice((4, 8, 64)))
    data[at:stop] = bytes([dice.choice((0, 0xFF))]) * (stop - at)


def _unit(data: bytearray, at: int, seed: Seed, dice: random.Random) -> Span:
    small = [unit for unit in seed.units if unit[1] - unit[0] <= MOST_MOVED]
    if small:
        return dice.choice(small)
    return at, min(len(data), at + dice.randint(1, 64))


Change = Callable[[bytearray, int, Seed, random.Random], None]
_CHANGES: tuple[Change, ...] = (
    *(_flip, _byte, _edge, _nearly, _insert, _word),
    *(_cut_out, _cut_off, _double, _swap, _drop, _blank),
)
_WEIGHTS = (5, 3, 8, 3, 2, 4, 2, 1, 3, 2, 2, 2)
