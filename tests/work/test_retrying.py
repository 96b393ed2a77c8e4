"""Films that were given up and are taken up anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from media_service.errors import (
    BrokenMedia,
    ConverterKilled,
    NotFound,
    NothingToRetry,
    SegmentFailed,
    TranscodeFailed,
)
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset
from media_service.work import tasks as module
from media_service.work.indexing import Indexer
from media_service.work.retrying import Retrier
from media_service.work.runs import MAX_ATTEMPTS
from media_service.work.transcoding import Transcoder
from tests.support.films import Film, Films
from tests.support.workshop import Workshop

MADE = Film(seconds=6, fps=10, container="ts")  # of which everything has to be encoded


@asynccontextmanager
async def retrying(workshop: Workshop) -> AsyncIterator[Retrier]:
    async with workshop.tasks() as tasks:
        yield Retrier(
            catalog=workshop.catalog,
            blobs=workshop.blobs,
            going=workshop.at_work,
            inits=workshop.inits,
            tasks=tasks,
        )


async def settled(workshop: Workshop, asset_id: str) -> Asset:
    """The asset once nothing more is to be made of it."""
    async with asyncio.timeout(60), workshop.events.subscribe(asset_id) as news:
        while (asset := await workshop.catalog.asset(asset_id)).state not in {"ready", "failed"}:
            await anext(news)
    return asset


async def told(workshop: Workshop, asset_id: str) -> list[str]:
    return [entry.event for entry in await workshop.catalog.history(asset_id)]


async def test_a_film_that_could_not_be_looked_at_is_looked_at_again(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.admitted(films.film(MADE))
    async with retrying(workshop) as retrier:
        with monkeypatch.context() as patch:

            async def unreadable(*_: object) -> None:
                raise BrokenMedia("The tables contradict each other.")

            patch.setattr(Indexer, "_look", unreadable)
            # It is being looked at already, or waits for its turn: nothing is held against it, and it need not wait.
            assert (await retrier.retry(asset.id)).state == "probing"
            assert (await settled(workshop, asset.id)).error_code == "broken_media"
        again = await retrier.retry(asset.id)
        assert (again.state, again.error_code, again.error_detail) == ("probing", None, None)
        assert (await settled(workshop, asset.id)).state == "ready"
        with pytest.raises(NothingToRetry):
            await retrier.retry(asset.id)
    with pytest.raises(NotFound):
        await retrier.retry("absent")
    history = await told(workshop, asset.id)
    assert history[:4] == ["uploaded", "failed", "retried", "playable"]
    assert {"rendition", "poster", "ready"} <= set(history)


async def test_a_film_is_tried_again_while_it_is_being_given_up(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.indexed(films.film(MADE))
    clearing, never = asyncio.Event(), asyncio.Event()

    async def hopeless(*_: object) -> None:
        raise TranscodeFailed("No encoder.")

    async def slow(_: LocalBlobs, prefix: str) -> None:
        clearing.set()
        await never.wait()

    async with retrying(workshop) as retrier:
        with monkeypatch.context() as patch:
            patch.setattr(Transcoder, "_fill", hopeless)
            patch.setattr(LocalBlobs, "delete_tree", slow)
            await retrier.retry(asset.id)
            async with asyncio.timeout(60):
                await clearing.wait()
        assert (await workshop.catalog.asset(asset.id)).state == "failed"
        # Whoever asks twice at once asks once.
        one, two = await asyncio.gather(retrier.retry(asset.id), retrier.retry(asset.id))
        assert (one.state, one.version) == ("probing", two.version)
        assert (await settled(workshop, asset.id)).state == "ready"
    assert (await told(workshop, asset.id)).count("retried") == 1
    # Of what was cleared away nothing is missed.
    stored = set(await workshop.blobs.keys(f"{asset.id}/segments"))
    assert stored == await workshop.catalog.segment_blobs(asset.id)


async def test_what_a_film_does_without_is_made_after_all(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(MADE))
    names = [one.name for one in (await workshop.outlines.of(asset.id)).encoded]
    for name in names[-2:]:
        for _ in range(MAX_ATTEMPTS):
            await workshop.catalog.count_failure(asset.id, [name], 0, TranscodeFailed("Out of memory."))
    asset = await workshop.transcode(asset)
    assert (asset.state, asset.error_code) == ("playable", "segment_failed")
    async with retrying(workshop) as retrier:
        await retrier.retry(asset.id, names[-1])
        async with asyncio.timeout(60), workshop.events.subscribe(asset.id) as news:
            while (asset := await workshop.catalog.asset(asset.id)).error_detail != (
                f"Could not be converted: {names[-2]} at 0.0 s."
            ):
                await anext(news)
        with pytest.raises(NothingToRetry):
            await retrier.retry(asset.id, names[-1])
        again = await retrier.retry(asset.id)
        assert (again.state, again.error_code) == ("playable", None)
        assert (await settled(workshop, asset.id)).state == "ready"


async def test_what_this_process_remembers_is_forgotten_too(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    asset = await workshop.indexed(films.film(MADE))
    async with retrying(workshop) as retrier:
        with monkeypatch.context() as patch:

            async def killed(*_: object) -> None:
                raise ConverterKilled("Something outside ended it.")

            async def no_encoder(*_: object) -> None:
                raise TranscodeFailed("No such encoder.")

            patch.setattr("media_service.work.inits._encoded", no_encoder)
            name = (await workshop.outlines.of(asset.id)).encoded[0].name
            await workshop.inits.make(asset.id)
            with pytest.raises(SegmentFailed):
                await workshop.inits.of(asset.id, name)
            patch.setattr(Transcoder, "transcode", killed)
            await retrier.retry(asset.id)
            assert (await settled(workshop, asset.id)).error_code == "converter_killed"
        await retrier.retry(asset.id)
        assert (await settled(workshop, asset.id)).state == "ready"
