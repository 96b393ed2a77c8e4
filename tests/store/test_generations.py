"""Stamps in memory that processes share, and the file that it is."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from media_service.errors import CatalogUnavailable, StorageFull
from media_service.store import generations
from media_service.store.files import write_all
from media_service.store.generations import (
    EVERYTHING,
    GENERATIONS_FILE,
    SLOTS,
    Generations,
    open_generations,
)

NAMES = [f"film{number}" for number in range(500)]


@pytest.fixture(params=["shared", "alone"])
def stamps(request: pytest.FixtureRequest) -> Generations:
    return Generations(mmap.mmap(-1, SLOTS * 8) if request.param == "shared" else None)


def settled(stamps: Generations) -> dict[str, int]:
    stamps.changed(EVERYTHING)
    return {name: stamps.stamp(name) for name in NAMES}


def test_a_stamp_stays_until_its_asset_changes(stamps: Generations) -> None:
    before = settled(stamps)
    stamps.changed("film7")
    assert stamps.stamp("film7") != before["film7"]
    others = [name for name in NAMES if stamps.stamp(name) != before[name]]
    assert len(others) < 5  # who shares its slot


def test_a_change_of_everything_leaves_no_stamp_as_it_was(stamps: Generations) -> None:
    before = settled(stamps)
    after = settled(stamps)
    assert not any(before[name] == after[name] for name in NAMES)


@pytest.mark.parametrize("of", ["film7", EVERYTHING])
def test_nothing_holds_while_a_change_is_under_way(stamps: Generations, of: str) -> None:
    before = settled(stamps)
    stamps.changing(of)
    seen = {stamps.stamp("film7") for _ in range(100)}
    assert len(seen) == 100
    assert before["film7"] not in seen
    stamps.changed(of)
    assert stamps.stamp("film7") == stamps.stamp("film7") not in seen | {before["film7"]}


def test_what_concerns_no_asset_changes_no_stamp(stamps: Generations) -> None:
    before = settled(stamps)
    stamps.changing(None)
    stamps.changed(None)
    assert {name: stamps.stamp(name) for name in NAMES} == before


def test_a_fresh_stamp_never_looks_as_if_a_change_were_under_way(
    stamps: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)  # so many zeros
    stamps.changed("film7")
    assert stamps.stamp("film7") == 1


def test_slots_are_shared_evenly_and_every_text_has_one(stamps: Generations) -> None:
    slots = {generations._slot(f"{number:032x}") for number in range(SLOTS)}
    assert len(slots) > SLOTS // 2
    for name in ("", "\ud800", "ü" * 100_000):
        stamps.changed(name)
        assert stamps.stamp(name) == stamps.stamp(name)


def test_all_who_open_a_directory_share_its_stamps_and_those_of_others_are_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        open_generations(tmp_path) as one,
        open_generations(tmp_path) as two,
        open_generations(tmp_path / "other") as other,
    ):
        before, there = two.stamp("film7"), other.stamp("film7")
        one.changed("film7")
        assert two.stamp("film7") == one.stamp("film7") != before
        two.changing("film7")
        assert one.stamp("film7") != one.stamp("film7")
        assert other.stamp("film7") == there


def test_who_opens_changes_everything(tmp_path: Path) -> None:
    with open_generations(tmp_path) as one:
        before = one.stamp("film7")
        one.changing("film8")  # ... and is killed
        with open_generations(tmp_path):
            pass
        assert one.stamp("film7") != before
        assert one.stamp("film8") == one.stamp("film8")


def test_once_closed_nothing_holds_and_nothing_is_left_open(tmp_path: Path) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with open_generations(tmp_path) as stamps:
        before = stamps.stamp("film7")
    assert stamps.stamp("film7") not in {before, stamps.stamp("film7")}
    stamps.changed("film7")
    assert GENERATIONS_FILE not in Path("/proc/self/maps").read_text()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_without_a_directory_they_are_of_this_process_alone() -> None:
    with open_generations(None) as stamps:
        stamps.changed("film7")
        assert stamps.stamp("film7") == stamps.stamp("film7")


@pytest.mark.parametrize("size", [0, 8, SLOTS * 8 - 1])
def test_a_file_that_was_not_written_whole_is(tmp_path: Path, size: int) -> None:
    file = tmp_path / GENERATIONS_FILE
    file.write_bytes(bytes(size))
    with open_generations(tmp_path) as stamps:
        stamps.changed(NAMES[0])
    assert file.stat().st_size == SLOTS * 8
    assert file.stat().st_blocks * 512 >= SLOTS * 8  # no holes: a write to one kills where the disk is full


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with open_generations(tmp_path):
        assert (tmp_path / GENERATIONS_FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / GENERATIONS_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CatalogUnavailable, match="generations cannot be used"), open_generations(tmp_path):
        pass
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_a_full_disk_is_storage_full(small_disk: Path) -> None:
    with (small_disk / "filling").open("wb") as file, pytest.raises(OSError, match="No space"):
        write_all(file.fileno(), memoryview(bytes(200 << 20)), 0)
    with pytest.raises(StorageFull), open_generations(small_disk):
        pass
