"""Init segments before anything is encoded: those that the runs then have."""

from __future__ import annotations

import asyncio

import pytest

from media_service.errors import NotFound
from media_service.mp4.init_segment import read_init
from tests.support.films import Film, Films
from tests.support.workshop import Workshop, encoders

MKV = Film(seconds=5, size=(640, 360), container="ts")


async def test_all_are_there_after_the_first_question_and_agree_with_the_outline(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(MKV))
    first = await workshop.inits().of(asset.id, "360p")
    assert read_init(first).width == 640
    outline = await workshop.outlines.of(asset.id)
    rows = await workshop.catalog.renditions(asset.id)
    assert [row.name for row in rows] == ["360p", "240p", "audio"]
    for row in rows:
        assert row.init is not None
        track = read_init(row.init)
        rendition = outline.rendition(row.name)
        assert (track.codec, track.timescale) == (rendition.codecs, rendition.timescale)
    assert encoders() == []


async def test_they_are_those_of_the_runs(workshop: Workshop, films: Films) -> None:
    """Else the runs would be refused."""
    asset = await workshop.indexed(films.film(MKV))
    await workshop.inits().make(asset.id)
    before = [row.init for row in await workshop.catalog.renditions(asset.id)]
    assert (await workshop.transcode(asset)).state == "ready"
    assert [row.init for row in await workshop.catalog.renditions(asset.id)] == before


async def test_those_who_ask_at_the_same_time_get_the_same(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(MKV))
    inits = workshop.inits()
    first, second = await asyncio.gather(inits.of(asset.id, "240p"), inits.of(asset.id, "240p"))
    assert first == second


async def test_of_what_is_not_there_there_is_none(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(MKV))
    for asset_id, name in ((asset.id, "1080p"), ("absent", "240p")):
        with pytest.raises(NotFound):
            await workshop.inits().of(asset_id, name)
