"""What is kept of what was opened: as long as it holds, and no more of it than there is room for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_service.playback import opened as module
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE
from media_service.playback.opened import Opened, OpenedRepresentations, open_representations
from media_service.store.generations import EVERYTHING, Generations
from media_service.store.local_blobs import LocalBlobs
from media_service.wire.representation import MemoryExtent, Representation
from media_service.wire.signatures import PlaybackToken

PUBLIC = Access("public")
ADDRESS = (b"/media/a/original.mp4", b"")


@pytest.fixture
def generations() -> Generations:
    made = Generations()
    made.changed(EVERYTHING)
    return made


@pytest.fixture
def known(generations: Generations, tmp_path: Path) -> OpenedRepresentations:
    return OpenedRepresentations(generations, LocalBlobs(tmp_path))


def film(size: int = 10) -> Representation:
    return Representation((MemoryExtent(bytes(size)),), "video/mp4", "tag", None, IMMUTABLE)


def keep(known: OpenedRepresentations, name: str, *, size: int = 10) -> tuple[bytes, bytes]:
    address = (b"/media/a/" + name.encode(), b"")
    known.opening(address, "a").keep(PUBLIC, film(size), ())
    return address


def cache_control(opened: Opened) -> str | None:
    answers = opened.answers()
    return None if answers is None else dict(answers.whole().headers)[b"cache-control"].decode()


def test_what_was_opened_is_there_for_its_address_and_no_other(known: OpenedRepresentations) -> None:
    opened = known.opening(ADDRESS, "a").keep(PUBLIC, film(), ())
    assert known.get(ADDRESS) is opened
    assert known.get((ADDRESS[0], b"v=1")) is None


@pytest.mark.parametrize(
    ("query", "kept"), [(b"v=1", True), (b"1", False), (b"t=1", False), (b"v=1&t=1", False)]
)
def test_what_lists_do_not_name_so_is_in_nobodys_place(
    known: OpenedRepresentations, query: bytes, kept: bool
) -> None:
    known.opening((ADDRESS[0], query), "a").keep(PUBLIC, film(), ())
    assert (known.get((ADDRESS[0], query)) is not None) is kept
    assert len(known) == kept


def test_it_is_forgotten_when_its_asset_changes(
    known: OpenedRepresentations, generations: Generations
) -> None:
    known.opening(ADDRESS, "a").keep(PUBLIC, film(), ())
    generations.changed("another")
    assert known.get(ADDRESS) is not None
    generations.changed("a")
    assert known.get(ADDRESS) is None
    assert len(known) == 0


def test_a_change_between_the_look_and_the_answer_counts(
    known: OpenedRepresentations, generations: Generations
) -> None:
    opening = known.opening(ADDRESS, "a")
    generations.changed("a")
    opening.keep(PUBLIC, film(), ())
    assert known.get(ADDRESS) is None


def test_nothing_holds_while_a_change_is_under_way(
    known: OpenedRepresentations, generations: Generations
) -> None:
    known.opening(ADDRESS, "a").keep(PUBLIC, film(), ())
    generations.changing("a")
    assert known.get(ADDRESS) is None
    known.opening(ADDRESS, "a").keep(PUBLIC, film(), ())
    assert known.get(ADDRESS) is None


def test_a_token_opens_as_long_as_its_time_lasts_and_caches_keep_no_longer(
    known: OpenedRepresentations, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = PlaybackToken(asset_id="a", expires_at=2000, key_id="k", not_before=1000)
    opened = known.opening(ADDRESS, "a").keep(Access("signed", token), film(), ())
    said = {}
    for now in (999.9, 1000.0, 1500.0, 1500.9, 1999.0, 2000.0):
        monkeypatch.setattr(module, "time", lambda now=now: now)
        said[now] = cache_control(opened)
    ages = {
        now: None if text is None else int(text.split("=")[1].split(",")[0]) for now, text in said.items()
    }
    assert ages == {999.9: None, 1000.0: 1000, 1500.0: 500, 1500.9: 500, 1999.0: 1, 2000.0: None}


def test_those_that_were_not_asked_for_for_longest_give_way(
    known: OpenedRepresentations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPENED", 3)
    first, second = keep(known, "1"), keep(known, "2")
    keep(known, "3")
    assert known.get(first) is not None
    keep(known, "4")
    assert known.get(first) is not None
    assert known.get(second) is None
    assert len(known) == 3


def test_what_they_hold_in_memory_is_bounded(
    known: OpenedRepresentations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    for number in range(20):
        keep(known, f"{number}", size=200_000)
    assert len(known) == 5
    assert known.get(keep(known, "whole", size=600_000)) is None  # would leave nothing for others
    assert known.get(keep(known, "x" * 3000)) is None
    assert len(known) == 5


async def test_a_sweep_lets_go_of_what_changed_and_of_what_nobody_asks_for(
    known: OpenedRepresentations, generations: Generations
) -> None:
    used, idle = keep(known, "used"), keep(known, "idle")
    for _ in range(module.IDLE_SWEEPS):
        assert known.get(used) is not None
        await known.sweep()
    assert known.get(used) is not None
    assert known.get(idle) is None
    generations.changed("a")
    await known.sweep()
    assert len(known) == 0


async def test_sweeps_come_by_themselves(
    generations: Generations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.01)
    swept = asyncio.Event()

    async def sweep() -> None:
        swept.set()

    async with open_representations(generations, LocalBlobs(tmp_path)) as known, asyncio.timeout(10):
        monkeypatch.setattr(known, "sweep", sweep)
        await swept.wait()
