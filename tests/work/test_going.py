"""The batch beside those who wait: it stands still for them, and serves them where it is near."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from media_service.errors import (
    ConverterKilled,
    MediaServiceError,
    NotFound,
    SegmentFailed,
    TranscodeIncomplete,
)
from media_service.store.records import Asset
from media_service.work import demand as demand_module
from media_service.work import going as module
from media_service.work import turns as turns_module
from media_service.work.blame import KILLS
from media_service.work.runner import Runner
from media_service.work.runs import MAX_ATTEMPTS, Run
from tests.support.films import Film, Films
from tests.support.processes import children, wait_until
from tests.support.workshop import Workshop, encoders
from tests.work.conftest import Started

LONG = Film(seconds=60, size=(640, 360), container="ts", keyframe_seconds=2)  # 15 segments
SMALL, TINY = "360p", "240p"
BOTH = (SMALL, TINY)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that tests run on may be slower than any that serves viewers."""
    monkeypatch.setattr(demand_module, "WAIT_SECONDS", 60.0)


@pytest.fixture
async def film(workshop: Workshop, films: Films) -> Asset:
    return await workshop.indexed(films.film(LONG))


def standing_still() -> list[int]:
    """The encoders that are stopped by a signal (proc(5): state T)."""
    return [child.pid for child in children(os.getpid()) if child.name == "ffmpeg" and child.state == "T"]


async def stand_still(*wanted: int) -> None:
    """Returns when these encoders are stopped and no other is: on a busy machine a signal takes a moment to arrive."""
    await asyncio.to_thread(wait_until, lambda: standing_still() == list(wanted), 10, f"{wanted} stand still")


async def test_a_batch_makes_all_its_renditions_at_once(workshop: Workshop, film: Asset) -> None:
    async with workshop.going() as going:
        assert await going.batch(Run(film.id, BOTH, 2, 4)) is None
    assert await workshop.catalog.made(film.id) == {SMALL: {2, 3}, TINY: {2, 3}}


async def test_a_batch_stands_still_while_somebody_waits_and_then_goes_on(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    async with workshop.going() as going:
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 8)))
        await workshop.first_segments(film)
        (encoder,) = encoders()
        await workshop.demand(going).segment(film.id, TINY, 13)
        seen.append(standing_still())
        async with asyncio.timeout(60):
            await going.quiet()
        seen.append(standing_still())
        assert await batch is None
    assert seen == [[encoder], []]
    assert (await workshop.catalog.made(film.id))[SMALL] == set(range(8))
    assert started.firsts == [(SMALL, 0), (TINY, 13)]


async def test_a_batch_makes_way_for_a_still(workshop: Workshop, film: Asset) -> None:
    async with workshop.going() as going:
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 8)))
        await workshop.first_segments(film)
        (encoder,) = encoders()
        with going.making_way():
            with going.making_way():
                await stand_still(encoder)
            await stand_still(encoder)
        await stand_still()
        assert await batch is None


@pytest.mark.torture
async def test_stills_without_end_stop_a_batch_for_a_share_of_the_time_only(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "WAY_SECONDS", 0.5)
    monkeypatch.setattr(turns_module, "TURN_SECONDS", 1.0)
    async with workshop.going() as going:
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 8)))
        await workshop.first_segments(film)
        with going.making_way():
            async with asyncio.timeout(60):
                assert await batch is None
    assert (await workshop.catalog.made(film.id))[SMALL] == set(range(8))


async def test_whoever_waits_for_what_the_batch_is_about_to_make_waits_for_the_batch(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOIN_SECONDS", 60.0)
    async with workshop.going() as going:
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 4)))
        await started.until(1)
        await workshop.demand(going).segment(film.id, SMALL, 1)
        assert standing_still() == []
        assert await batch is None
    assert started.firsts == [(SMALL, 0)]


async def test_a_batch_that_somebody_waits_for_does_not_stand_still_for_others(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOIN_SECONDS", 60.0)
    async with workshop.going() as going:
        demand = workshop.demand(going)
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 4)))
        await started.until(1)
        await asyncio.gather(demand.segment(film.id, TINY, 12), demand.segment(film.id, SMALL, 2))
        assert await batch is None
    assert started.firsts == [(SMALL, 0), (TINY, 12)]


async def test_a_run_that_looks_ahead_stands_still_while_somebody_waits_for_another(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going)
        await demand.segment(film.id, SMALL, 0)
        (ahead,) = encoders()
        waiting = asyncio.create_task(demand.segment(film.id, TINY, 13))
        await started.until(2)
        await stand_still(ahead)
        await waiting
        assert standing_still() == []
        async with asyncio.timeout(60):
            await going.quiet()
    assert started.firsts == [(SMALL, 0), (TINY, 13)]
    assert (await workshop.catalog.made(film.id))[SMALL] == set(range(8))


async def test_a_batch_that_broke_says_why_and_the_attempt_is_counted(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(workshop.file(film), film.size // 2)
    async with workshop.going() as going:
        error = await going.batch(Run(film.id, BOTH, 13, 15))
    assert isinstance(error, MediaServiceError)
    failures = await workshop.catalog.failures(film.id)
    assert {key: failure.attempts for key, failure in failures.items()} == {(SMALL, 13): 1, (TINY, 13): 1}
    assert {failure.code for failure in failures.values()} == {error.code}
    assert encoders() == []


async def test_what_a_broken_batch_had_made_stays(workshop: Workshop, film: Asset) -> None:
    os.truncate(workshop.file(film), film.size // 2)
    async with workshop.going() as going:
        error = await going.batch(Run(film.id, BOTH, 0, 15))
    assert isinstance(error, TranscodeIncomplete)
    made = await workshop.catalog.made(film.id)
    assert made[SMALL] == made[TINY] == set(range(len(made[SMALL])))
    assert 3 <= len(made[SMALL]) <= 9
    failures = await workshop.catalog.failures(film.id)
    assert failures.keys() == {(name, len(made[name])) for name in BOTH}


def killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on something outside ends every run before it has made anything."""

    async def make(_: Runner) -> None:
        raise ConverterKilled("Something outside ended it.")

    monkeypatch.setattr(Runner, "make", make)


async def test_a_batch_that_is_killed_at_the_same_place_again_and_again_has_a_poison_segment(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch)
    got_on: list[str] = []
    run = Run(film.id, BOTH, 2, 4)
    async with workshop.going() as going:
        going.got_on = got_on.append
        for _ in range(KILLS - 1):
            with pytest.raises(ConverterKilled):
                await going.batch(run)
        assert (await workshop.catalog.failures(film.id), got_on) == ({}, [])
        assert isinstance(await going.batch(run), ConverterKilled)
        assert isinstance(await going.batch(replace(run, attempt=1)), ConverterKilled)
    failures = await workshop.catalog.failures(film.id)
    assert {key: failure.attempts for key, failure in failures.items()} == {(SMALL, 2): 2, (TINY, 2): 2}
    assert got_on == [film.id] * 2


async def test_whoever_waits_for_a_segment_that_gets_every_encoder_killed_hears_so_in_the_end(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(monkeypatch)
    async with workshop.going() as going:
        demand = workshop.demand(going)
        for _ in range(KILLS - 1):
            with pytest.raises(ConverterKilled):
                await demand.segment(film.id, SMALL, 5)
        with pytest.raises(SegmentFailed, match="Something outside"):
            await demand.segment(film.id, SMALL, 5)
    failures = await workshop.catalog.failures(film.id)
    assert {key: failure.attempts for key, failure in failures.items()} == {(SMALL, 5): MAX_ATTEMPTS}


async def test_a_cancelled_batch_leaves_what_it_had_made_and_no_encoder(
    workshop: Workshop, film: Asset
) -> None:
    async with workshop.going() as going:
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 15)))
        await workshop.first_segments(film)
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        assert encoders() == []
    made = await workshop.catalog.made(film.id)
    blobs = await workshop.blobs.keys(f"{film.id}/segments")
    assert set(blobs) == await workshop.catalog.segment_blobs(film.id)
    assert sum(map(len, made.values())) == len(blobs) > 0


async def test_a_film_deleted_while_a_batch_makes_it_is_not_found(workshop: Workshop, film: Asset) -> None:
    async with workshop.going() as going:
        batch = asyncio.create_task(going.batch(Run(film.id, BOTH, 0, 15)))
        await workshop.first_segments(film)
        await workshop.catalog.delete_asset(film.id)
        with pytest.raises(NotFound):
            await batch
    assert encoders() == []
