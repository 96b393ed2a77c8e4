"""Segments on demand, with real ffmpeg: who waits gets his, and nothing is made twice or for nobody."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from media_service.errors import (
    ConverterKilled,
    MediaServiceError,
    NotFound,
    NotReady,
    SegmentFailed,
    StorageFull,
)
from media_service.mp4.init_segment import InitTrack
from media_service.store.records import Asset
from media_service.timeline.outline import OutlineRendition
from media_service.work import demand as module
from media_service.work import inits as inits_module
from media_service.work import runner as runner_module
from media_service.work.going import AT_ONCE
from media_service.work.least import least_frames
from media_service.work.runs import MAX_ATTEMPTS
from tests.support.films import Film, Films
from tests.support.full_disk import FullDisk
from tests.support.processes import wait_until
from tests.support.workshop import Workshop, encoders
from tests.work.conftest import Started

LONG = Film(seconds=60, size=(640, 360), fps=10, container="ts", keyframe_seconds=2)  # 15 segments
SMALL, TINY = "360p", "240p"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that tests run on may be slower than any that serves viewers."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 60.0)


@pytest.fixture
async def film(workshop: Workshop, films: Films) -> Asset:
    return await workshop.indexed(films.film(LONG))


def asking(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(coroutine)


async def left(*tasks: asyncio.Task[None]) -> None:
    """The viewers have gone."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_segment_is_there_when_the_wait_is_over_and_those_after_it_follow(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        await workshop.demand(going).segment(film.id, SMALL, 9)
        assert (await workshop.catalog.segment_of(film.id, SMALL, 9)).size > 0
        assert started.firsts == [(SMALL, 9)]
        async with asyncio.timeout(60):
            await going.quiet()
    assert await workshop.catalog.made(film.id) == {SMALL: set(range(9, 15))}
    assert encoders() == []


async def test_those_who_ask_for_the_same_share_one_run(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going)
        await asyncio.gather(*(demand.segment(film.id, SMALL, 3) for _ in range(5)))
        await demand.segment(film.id, SMALL, 3)
    assert started.firsts == [(SMALL, 3)]


async def test_what_a_run_will_reach_soon_is_not_made_by_another(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going)
        first = asking(demand.segment(film.id, TINY, 3))
        await started.until(1)
        await asyncio.gather(first, demand.segment(film.id, TINY, 4))
    assert started.firsts == [(TINY, 3)]


async def test_what_no_run_reaches_soon_gets_its_own(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going)
        await asyncio.gather(demand.segment(film.id, SMALL, 3), demand.segment(film.id, SMALL, 13))
    assert sorted(started.firsts) == [(SMALL, 3), (SMALL, 13)]


async def test_the_newest_request_comes_first_and_no_more_runs_go_on_than_there_are_places(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    started.go.clear()
    async with workshop.going(at_once=1) as going:
        demand = workshop.demand(going)
        tasks = []
        for number in (0, 9, 14):
            tasks.append(asking(demand.segment(film.id, SMALL, number)))
            await started.until(1)
        assert started.firsts == [(SMALL, 0)]
        started.go.set()
        await asyncio.gather(*tasks)
    assert started.firsts == [(SMALL, 0), (SMALL, 14), (SMALL, 9)]


async def test_a_request_that_nobody_waits_for_any_more_is_dropped_before_it_starts(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    started.go.clear()
    async with workshop.going(at_once=1) as going:
        demand = workshop.demand(going)
        first = asking(demand.segment(film.id, SMALL, 0))
        await started.until(1)
        superseded = [asking(demand.segment(film.id, SMALL, number)) for number in (5, 8)]
        last = asking(demand.segment(film.id, SMALL, 14))
        await asyncio.sleep(0.1)
        await left(*superseded)
        started.go.set()
        await asyncio.gather(first, last)
    assert started.firsts == [(SMALL, 0), (SMALL, 14)]


async def test_a_run_that_nobody_waits_for_goes_on_while_its_place_is_not_wanted(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going(at_once=1) as going:
        viewer = asking(workshop.demand(going).segment(film.id, TINY, 9))
        await started.until(1)
        await left(viewer)
        async with asyncio.timeout(60):
            await going.quiet()
    assert await workshop.catalog.made(film.id) == {TINY: set(range(9, 15))}


async def test_it_is_ended_when_its_place_is_wanted_and_what_it_has_made_is_kept(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.0)
    async with workshop.going(at_once=1) as going:
        demand = workshop.demand(going)
        await demand.segment(film.id, SMALL, 2)
        await demand.segment(film.id, SMALL, 14)
        assert [run.first for run in started.ended] == [2]
    made = (await workshop.catalog.made(film.id))[SMALL]
    assert {2, 14} <= made
    assert len(made) < 10  # the first would have made eight
    assert sum(name.startswith("segments/") for name in workshop.files(film)) == len(made)


async def test_a_run_lingers_for_what_its_viewer_will_ask_next(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER_SECONDS", 60.0)
    async with workshop.going(at_once=1) as going:
        demand = workshop.demand(going)
        await demand.segment(film.id, TINY, 2)
        other = asking(demand.segment(film.id, TINY, 14))
        await demand.segment(film.id, TINY, 3)
        assert started.firsts == [(TINY, 2)]
        await other
        assert started.firsts == [(TINY, 2), (TINY, 14)]


async def test_scrubbing_wildly_piles_nothing_up(workshop: Workshop, film: Asset, started: Started) -> None:
    chance = random.Random(5)
    async with workshop.going() as going:
        demand = workshop.demand(going)
        most = 0
        for _ in range(30):
            viewer = asking(demand.segment(film.id, chance.choice((SMALL, TINY)), chance.randrange(14)))
            await asyncio.sleep(chance.uniform(0.0, 0.1))
            most = max(most, len(encoders()))
            await left(viewer)
        assert 1 <= most <= AT_ONCE
        await demand.segment(film.id, SMALL, 14)
        stored = {name for name in workshop.files(film) if name.startswith("segments/")}
        assert len(encoders()) <= AT_ONCE
    assert encoders() == []
    assert len(started.runs) <= 31
    assert f"segments/{SMALL}/14" in {name.partition("-")[0] for name in stored}


async def test_waiting_is_bounded_and_whoever_comes_back_finds_his_segment_on_the_way(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.go.clear()
    async with workshop.going() as going:
        demand = workshop.demand(going)
        with monkeypatch.context() as patch:
            patch.setattr(module, "WAIT_SECONDS", 0.05)
            with pytest.raises(NotReady):
                await demand.segment(film.id, SMALL, 4)
        started.go.set()
        await demand.segment(film.id, SMALL, 4)
    assert started.firsts == [(SMALL, 4)]


async def test_a_service_that_makes_nothing_says_so_at_once(workshop: Workshop, film: Asset) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going, makes=False)
        with pytest.raises(NotReady):
            await demand.segment(film.id, SMALL, 0)
        with pytest.raises(NotReady):
            await demand.init(film.id, SMALL)


async def test_what_there_will_never_be_is_not_waited_for(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=5, size=(640, 360))))
    async with workshop.going() as going:
        demand = workshop.demand(going)
        for asset_id, name, number in (
            ("absent", SMALL, 0),
            (asset.id, "1080p", 0),
            (asset.id, "source", 0),
            (asset.id, TINY, -1),
            (asset.id, TINY, 99),
        ):
            with pytest.raises(NotFound):
                await demand.segment(asset_id, name, number)
        with pytest.raises(NotFound):
            await demand.init(asset.id, "source")


async def test_an_init_segment_is_there_for_whoever_asks(workshop: Workshop, film: Asset) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going)
        init = await demand.init(film.id, SMALL)
        assert await demand.init(film.id, SMALL) == init == await workshop.catalog.init_of(film.id, SMALL)


async def test_waiting_for_an_init_segment_is_bounded_and_it_is_made_all_the_same(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, go = inits_module._encoded, asyncio.Event()

    async def slow(rendition: OutlineRendition) -> InitTrack:
        await go.wait()
        return await encoded(rendition)

    monkeypatch.setattr(inits_module, "_encoded", slow)
    async with workshop.going() as going:
        demand = workshop.demand(going)
        with monkeypatch.context() as patch:
            patch.setattr(module, "WAIT_SECONDS", 0.05)
            with pytest.raises(NotReady):
                await demand.init(film.id, SMALL)
        go.set()
        monkeypatch.setattr(inits_module, "_encoded", None)
        assert await demand.init(film.id, SMALL)


def poisoned(monkeypatch: pytest.MonkeyPatch, number: int, times: int = MAX_ATTEMPTS) -> list[int]:
    """From now on that segment fails so many times; the failures are added to the list."""
    failed: list[int] = []

    def least(track: Any, rendition: Any, which: int, *, interlaced: bool) -> int:
        if which == number and len(failed) < times:
            failed.append(which)
            return 1_000_000
        return least_frames(track, rendition, which, interlaced=interlaced)

    monkeypatch.setattr(runner_module, "least_frames", least)
    return failed


async def test_a_segment_that_fails_is_tried_again_and_comes(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = poisoned(monkeypatch, 4, times=2)
    async with workshop.going() as going:
        await workshop.demand(going).segment(film.id, SMALL, 4)
    assert failed == [4, 4]
    assert [(run.first, run.attempt) for run in started.runs] == [(4, 0), (4, 1), (4, 2)]


async def test_a_poison_segment_fails_for_good_and_the_rest_is_made(
    workshop: Workshop, film: Asset, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, 4)
    async with workshop.going() as going:
        demand = workshop.demand(going)
        with pytest.raises(SegmentFailed, match="1000000 were to come"):
            await demand.segment(film.id, SMALL, 4)
        assert len(started.runs) == MAX_ATTEMPTS
        with pytest.raises(SegmentFailed):
            await demand.segment(film.id, SMALL, 4)
        assert len(started.runs) == MAX_ATTEMPTS
        for number in (3, 5):
            await demand.segment(film.id, SMALL, number)
    failures = await workshop.catalog.failures(film.id)
    assert {key: failure.attempts for key, failure in failures.items()} == {(SMALL, 4): MAX_ATTEMPTS}


async def test_a_viewer_further_on_gets_his_segment_though_the_run_broke_before_it(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, 4)
    async with workshop.going() as going:
        demand = workshop.demand(going)
        results = await asyncio.gather(
            *(demand.segment(film.id, TINY, number) for number in (3, 4, 5)), return_exceptions=True
        )
    assert [type(result) for result in results] == [type(None), SegmentFailed, type(None)]


async def test_a_killed_encoder_is_told_and_is_no_fault_of_the_segment(
    workshop: Workshop, film: Asset
) -> None:
    async with workshop.going() as going:
        demand = workshop.demand(going)
        waiting = asking(demand.segment(film.id, SMALL, 3))
        await asyncio.to_thread(wait_until, lambda: bool(encoders()), 30, "an encoder runs")
        (encoder,) = encoders()
        os.kill(encoder, signal.SIGKILL)
        with pytest.raises(ConverterKilled):
            await waiting
        assert await workshop.catalog.failures(film.id) == {}
        await demand.segment(film.id, SMALL, 3)


async def test_a_full_disk_is_told(workshop: Workshop, film: Asset) -> None:
    async with workshop.going(blobs=FullDisk(workshop.root, room=1000)) as going:
        with pytest.raises(StorageFull):
            await workshop.demand(going).segment(film.id, SMALL, 2)
    assert await workshop.catalog.failures(film.id) == {}


async def test_whoever_waits_for_a_film_that_is_deleted_hears_of_it(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        waiting = asking(workshop.demand(going).segment(film.id, SMALL, 2))
        await started.until(1)
        await workshop.catalog.delete_asset(film.id)
        await going.forget(film.id)
        with pytest.raises(NotFound):
            await waiting
        assert encoders() == []


async def test_a_mistake_of_ours_is_no_endless_wait(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(runner_module, "video_cut", mistaken)
    async with workshop.going() as going:
        with pytest.raises(MediaServiceError, match="mistake"):
            await workshop.demand(going).segment(film.id, SMALL, 2)
    assert "broke unexpectedly" in caplog.text


async def test_leaving_ends_all_runs_and_whoever_waits_hears_so(
    workshop: Workshop, film: Asset, started: Started
) -> None:
    async with workshop.going() as going:
        waiting = asking(workshop.demand(going).segment(film.id, SMALL, 2))
        await started.until(1)
    with pytest.raises(NotReady):
        await waiting
    assert encoders() == []
