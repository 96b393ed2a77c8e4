"""One frame, one ffmpeg: it ends with whoever waits for it, and what cannot be decoded is said in words."""

from __future__ import annotations

import asyncio
import os
from fractions import Fraction

import msgspec
import pytest

from media_service.errors import NotFound, SegmentFailed, TranscodeFailed, TranscodeStalled
from media_service.ffmpeg import process
from media_service.ffmpeg.still_recipes import Drawing
from media_service.store.records import Asset
from media_service.timeline.facts import Facts
from media_service.timeline.index import Packet
from media_service.timeline.stills import StillCut, frame_for, still_cut
from media_service.timeline.stored_index import StoredTrack
from media_service.work import drawing as module
from media_service.work.drawing import draw, picture_of
from media_service.work.stills import Still, TooSlow
from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.workshop import Workshop, encoders

# One keyframe: its last frame takes a while.
FILM = Film(seconds=30, size=(1280, 720), keyframe_seconds=30.0, audio=False)


@pytest.fixture
async def film(workshop: Workshop, films: Films) -> Asset:
    return await workshop.indexed(films.film(FILM))


async def last_frame(workshop: Workshop, asset: Asset) -> Still:
    track = await picture_of(workshop.means(), asset)
    return Still(asset.id, frame_for(track, Fraction(99), "exact").number, Drawing(64, 36))


async def test_a_frame_far_from_its_keyframe_is_drawn(workshop: Workshop, film: Asset) -> None:
    data = await draw(workshop.means(), workshop.going(), await last_frame(workshop, film))
    assert data.startswith(b"\xff\xd8\xff")


async def test_with_whoever_waits_for_it_the_converter_ends(workshop: Workshop, film: Asset) -> None:
    still = await last_frame(workshop, film)
    drawing = asyncio.create_task(draw(workshop.means(), workshop.going(), still))
    await asyncio.to_thread(wait_until, lambda: len(encoders()) == 1, 30, "the converter runs")
    # Below the encoder of a segment that somebody waits for.
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in encoders()] == [min(19, os.nice(0) + 5)]
    drawing.cancel()
    await asyncio.gather(drawing, return_exceptions=True)
    assert encoders() == []


async def test_what_takes_too_long_is_given_up_at_once(
    workshop: Workshop, film: Asset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looked at at once, not after half a second: a quick machine has drawn the frame by then.
    monkeypatch.setattr(process, "WATCH_SECONDS", 0.001)
    short = msgspec.structs.replace(module.DRAWING_LIMITS, wall_seconds=0.0)
    monkeypatch.setattr(module, "DRAWING_LIMITS", short)
    tried: list[int] = []

    def noted(facts: Facts, track: StoredTrack, frame: Packet, *, attempt: int) -> StillCut:
        tried.append(attempt)
        return still_cut(facts, track, frame, attempt=attempt)

    monkeypatch.setattr(module, "still_cut", noted)
    with pytest.raises(TooSlow):
        await draw(workshop.means(), workshop.going(), await last_frame(workshop, film))
    assert tried == [0]


@pytest.mark.parametrize(("said", "wanted"), [(TranscodeStalled, TooSlow), (TranscodeFailed, SegmentFailed)])
async def test_what_may_be_the_machines_fault_is_told_from_what_is_the_films(
    workshop: Workshop,
    film: Asset,
    said: type[TranscodeFailed],
    wanted: type[SegmentFailed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def once(*_: object) -> bytes:
        raise said("For a reason.")

    monkeypatch.setattr(module, "_once", once)
    with pytest.raises(SegmentFailed) as raised:
        await draw(workshop.means(), workshop.going(), await last_frame(workshop, film))
    assert type(raised.value) is wanted


async def test_a_frame_that_is_not_there_any_more_cannot_be_decoded(workshop: Workshop, film: Asset) -> None:
    still = await last_frame(workshop, film)
    os.truncate(workshop.file(film), 100)
    with pytest.raises(SegmentFailed, match="cannot be decoded"):
        await draw(workshop.means(), workshop.going(), still)
    await workshop.catalog.delete_asset(film.id)
    with pytest.raises(NotFound):
        await draw(workshop.means(), workshop.going(), still)
