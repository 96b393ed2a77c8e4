"""Films, damaged: what the service reads of them by itself ends soon, in bounded memory, with an index or a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import pieces
from tests.fuzz.films import target
from tests.fuzz.watched import Tally, Target, fuzz

QUICK_BYTES = 150_000  # of the films of the shorter run


async def _all(paths: list[Path], count: int, number: int, keep: Path) -> Tally:
    """`count` mutants of all the films together."""
    total = Tally()
    for place, path in enumerate(paths):
        share = count // len(paths) + (place < count % len(paths))
        tally = fuzz(await target(path), share, number, keep)
        total.read += tally.read
        total.refused += tally.refused
        total.peak_bytes = max(total.peak_bytes, tally.peak_bytes)
    return total


def _of(paths: list[Path], *suffixes: str) -> list[Path]:
    return [path for path in paths if path.suffix in suffixes]


@pytest.mark.parametrize("suffixes", [(".mp4", ".mov"), (".mkv", ".webm")], ids=["mp4", "matroska"])
async def test_a_damaged_film_is_read_or_refused(
    honest: list[Path], suffixes: tuple[str, ...], tmp_path: Path
) -> None:
    small = [path for path in _of(honest, *suffixes) if path.stat().st_size < QUICK_BYTES]
    tally = await _all(small, 200, 1, tmp_path)
    assert tally.read > 20
    assert tally.refused > 20


@pytest.mark.torture
@pytest.mark.parametrize("suffixes", [(".mp4", ".mov"), (".mkv", ".webm")], ids=["mp4", "matroska"])
async def test_ten_thousand_damaged_films_are_read_or_refused(
    honest: list[Path], suffixes: tuple[str, ...], tmp_path: Path
) -> None:
    tally = await _all(_of(honest, *suffixes), 10_000, 2, tmp_path)
    assert tally.read > 500
    assert tally.refused > 500
    print(f"{suffixes}: {tally}")


@pytest.fixture(scope="module")
def parts(honest: list[Path]) -> list[Target]:
    return pieces.targets(next(path for path in honest if path.name == "fragments.mp4"))


def test_damaged_fragments_are_read_or_refused(parts: list[Target], tmp_path: Path) -> None:
    for one in parts:
        assert fuzz(one, 300, keep=tmp_path).refused


@pytest.mark.torture
def test_ten_thousand_damaged_fragments_are_read_or_refused(parts: list[Target], tmp_path: Path) -> None:
    for one in parts:
        print(f"{one.name}: {fuzz(one, 10_000, number=2, keep=tmp_path)}")
