"""Commits: gathered unless somebody waits, and nothing is left over whatever happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from media_service.errors import CatalogUnavailable, MediaServiceError, NotFound, StorageFull
from media_service.store.records import Segment
from media_service.timeline.outline import Outline
from media_service.work import commits as module
from media_service.work.commits import Commits
from media_service.work.keeping import keep
from media_service.work.rows import rows_of
from tests.support.workshop import Workshop
from tests.work import streams
from tests.work.test_recorder import ASSET

NAMES = ("36p", "18p")


@pytest.fixture
async def film(workshop: Workshop) -> Workshop:
    """A workshop with an asset that has two renditions of ten segments."""
    await workshop.catalog.add_asset(ASSET)
    renditions = tuple(streams.picture_rendition(*range(11), name=name) for name in NAMES)
    outline = Outline(recipes=1, seconds=1.0, independent=True, renditions=renditions)
    await workshop.catalog.put_renditions("one", rows_of("one", outline))
    return workshop


class Told:
    """What `committed` was told, and a way to wait for it."""

    def __init__(self) -> None:
        self.all: list[tuple[str, list[int]]] = []
        self.some = asyncio.Event()

    def __call__(self, name: str, numbers: object) -> None:
        assert isinstance(numbers, list)
        self.all.append((name, numbers))
        self.some.set()


async def segment(workshop: Workshop, number: int, name: str = "36p", making: str = "a") -> Segment:
    """A segment whose blob is stored."""
    key = f"one/segments/{name}/{number}-{making}"
    await keep(workshop.blobs, key, b"x")
    return Segment(
        asset_id="one",
        rendition=name,
        number=number,
        blob=key,
        digest="d",
        size=1,
        payload_start=0,
        iframe_size=1,
        begin_ticks=number,
        samples=b"",
    )


@asynccontextmanager
async def going_on(commits: Commits) -> AsyncIterator[None]:
    task = asyncio.create_task(commits.go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_what_nobody_waits_for_is_gathered(film: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.05)
    told = Told()
    commits = Commits(film.catalog, film.blobs, told)
    async with asyncio.timeout(5), going_on(commits):
        for number in range(3):
            commits.add(await segment(film, number), urgent=False)
        await told.some.wait()
    assert told.all == [("36p", [0, 1, 2])]
    assert await film.catalog.made("one") == {"36p": {0, 1, 2}}


@pytest.mark.parametrize("when", ["as it comes", "as it lies there"])
async def test_what_somebody_waits_for_is_committed_at_once(
    film: Workshop, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(module, "COMMIT_SECONDS", 60.0)
    told = Told()
    commits = Commits(film.catalog, film.blobs, told)
    async with asyncio.timeout(5), going_on(commits):
        commits.add(await segment(film, 4), urgent=when == "as it comes")
        await asyncio.sleep(0)
        commits.hurry("18p", 4)
        commits.hurry("36p", 5)
        if when == "as it lies there":
            commits.hurry("36p", 4)
        await told.some.wait()
    assert told.all == [("36p", [4])]


async def test_all_renditions_are_flushed_and_twins_go(film: Workshop) -> None:
    told = Told()
    commits = Commits(film.catalog, film.blobs, told)
    commits.add(await segment(film, 1), urgent=False)
    await commits.flush()
    for name in NAMES:
        commits.add(await segment(film, 1, name, making="b"), urgent=False)
    await commits.flush()
    assert sorted(told.all) == [("18p", [1]), ("36p", [1]), ("36p", [1])]
    assert await film.blobs.keys("one/segments") == ["one/segments/18p/1-b", "one/segments/36p/1-a"]
    assert await film.catalog.segment_blobs("one") == {"one/segments/18p/1-b", "one/segments/36p/1-a"}


@pytest.mark.parametrize(
    ("error", "left"), [(NotFound, False), (StorageFull, False), (CatalogUnavailable, True)]
)
async def test_of_what_could_not_be_committed_nothing_is_left_unless_nobody_knows(
    film: Workshop, monkeypatch: pytest.MonkeyPatch, error: type[MediaServiceError], left: bool
) -> None:
    """A commit may have happened although it failed: then the next start looks which blobs have rows."""

    async def fail(_: object) -> set[int]:
        raise error

    monkeypatch.setattr(film.catalog, "add_segments", fail)
    commits = Commits(film.catalog, film.blobs, Told())
    commits.add(await segment(film, 1), urgent=False)
    with pytest.raises(error):
        await commits.flush()
    assert bool(await film.blobs.keys("one/segments")) is left
    await commits.flush()


async def test_a_commit_that_has_begun_is_not_broken_off(
    film: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may = asyncio.Event(), asyncio.Event()
    add = film.catalog.add_segments

    async def slowly(added: list[Segment]) -> set[int]:
        begun.set()
        await may.wait()
        return await add(added)

    monkeypatch.setattr(film.catalog, "add_segments", slowly)
    told = Told()
    commits = Commits(film.catalog, film.blobs, told)
    commits.add(await segment(film, 1), urgent=False)
    flush = asyncio.create_task(commits.flush())
    async with asyncio.timeout(5):
        await begun.wait()
        flush.cancel()
        await asyncio.sleep(0)
        may.set()
        with pytest.raises(asyncio.CancelledError):
            await flush
    assert told.all == [("36p", [1])]
    assert await film.catalog.made("one") == {"36p": {1}}


async def test_a_film_that_gets_on_has_made_no_attempt_in_vain(film: Workshop) -> None:
    for _ in range(2):
        await film.catalog.begin_attempt("one")
    commits = Commits(film.catalog, film.blobs, Told())
    await film.catalog.add_segments([await segment(film, 1)])
    commits.add(await segment(film, 1, making="b"), urgent=False)
    await commits.flush()
    assert (await film.catalog.asset("one")).attempts == 2  # a twin is nothing new
    commits.add(await segment(film, 2), urgent=False)
    await commits.flush()
    assert (await film.catalog.asset("one")).attempts == 0
