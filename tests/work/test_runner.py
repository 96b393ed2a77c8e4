"""What a run makes of several streams at once, with real ffmpeg: each is judged by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from media_service.errors import TranscodeIncomplete
from media_service.store.records import Asset
from media_service.work import runner as module
from media_service.work.blame import RunBroke
from media_service.work.least import least_frames
from media_service.work.recorder import Recorder
from media_service.work.runner import Runner
from media_service.work.runs import Run
from tests.support.films import Film, Films
from tests.support.workshop import Workshop, encoders

FILM = Film(seconds=24, size=(640, 360), fps=10, container="ts")  # 6 segments
SMALL, TINY = "360p", "240p"


@pytest.fixture
async def film(workshop: Workshop, films: Films) -> Asset:
    return await workshop.indexed(films.film(FILM))


def runner(workshop: Workshop, film: Asset, names: Collection[str] = (SMALL, TINY)) -> Runner:
    run = Run(film.id, tuple(names), 0, 4)
    return Runner(workshop.means(), run, wanted=lambda *_: False, committed=lambda *_: None)


async def test_all_that_is_made_is_committed_when_it_ends(workshop: Workshop, film: Asset) -> None:
    await runner(workshop, film).make()
    assert await workshop.catalog.made(film.id) == {SMALL: set(range(4)), TINY: set(range(4))}
    assert encoders() == []


async def test_the_stream_that_is_wrong_is_to_blame_however_far_the_others_are(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def least(track: Any, rendition: Any, number: int, *, interlaced: bool) -> int:
        wrong = (rendition.name, number) == (TINY, 1)
        return 1_000_000 if wrong else least_frames(track, rendition, number, interlaced=interlaced)

    record, wrong = Recorder.record, asyncio.Event()

    async def late(recorder: Recorder, chunks: Any) -> None:
        if recorder.name == SMALL:
            await wrong.wait()
        try:
            await record(recorder, chunks)
        finally:
            wrong.set()

    monkeypatch.setattr(module, "least_frames", least)
    monkeypatch.setattr(Recorder, "record", late)
    with pytest.raises(RunBroke, match="1000000 were to come") as broke:
        await runner(workshop, film).make()
    assert broke.value.segments == {TINY: 1}


async def test_one_that_is_wrong_at_the_end_keeps_no_other_from_its_last_segment(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, finished = Recorder.finish, []

    async def first_is_wrong(recorder: Recorder) -> None:
        finished.append(recorder.name)
        if recorder.name == SMALL:
            recorder.segmenter.number = 3
            raise TranscodeIncomplete("It lacks something.")
        await finish(recorder)

    monkeypatch.setattr(Recorder, "finish", first_is_wrong)
    with pytest.raises(RunBroke) as broke:
        await runner(workshop, film).make()
    assert finished == [SMALL, TINY]
    assert broke.value.segments == {SMALL: 3}
    assert (await workshop.catalog.made(film.id))[TINY] == set(range(4))
