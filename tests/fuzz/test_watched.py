"""The fuzzer finds what it is for: hangs, memory, errors that are in no table; and finds it again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from media_service.errors import BrokenMedia
from tests.fuzz import watched
from tests.fuzz.mutations import Seed, mutants
from tests.fuzz.watched import Target, fuzz

SEED = Seed("seed", bytes(range(64)), [(8, 16)], [(0, 8), (8, 16), (16, 64)], [b"moov"])


def hang(_: bytes) -> None:
    for number in itertools.count():
        assert number >= 0


def hoard(_: bytes) -> bytes:
    return b"x" * (64 << 20)


def claim(_: bytes) -> bytes:
    return bytes(watched.MOST_ADDRESSES * 2)


def stumble(data: bytes) -> int:
    return dict[bytes, int]()[data]


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (hang, "TooLong"),
        (hoard, "bytes of memory"),
        (claim, "MemoryError"),
        (stumble, "KeyError"),
    ],
)
def test_what_must_not_be_is_found(
    read: Callable[[bytes], object], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "MOST_SECONDS", 0.2)
    with pytest.raises(AssertionError, match=words):
        fuzz(Target("bad", [SEED], read), 3, keep=tmp_path)
    assert (tmp_path / "bad-mutant").read_bytes() == next(mutants(SEED, 1, 1))


def test_refusals_are_counted() -> None:
    def refuse(data: bytes) -> None:
        if len(data) != len(SEED.data):
            raise BrokenMedia("of another length")

    tally = fuzz(Target("good", [SEED], refuse), 200)
    assert tally.read > 50
    assert tally.refused > 20


def test_mutants_are_many_and_the_same_again() -> None:
    first = list(mutants(SEED, 300, 1))
    assert first == list(mutants(SEED, 300, 1))
    assert first != list(mutants(SEED, 300, 2))
    assert len(set(first)) > 250


def test_an_empty_seed_has_mutants_too() -> None:
    assert len(list(mutants(Seed("empty", b"", []), 100, 1))) == 100
