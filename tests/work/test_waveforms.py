"""Waveforms of films that ffmpeg made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from media_service.errors import ConverterKilled
from media_service.store.keys import waveform_key
from media_service.store.records import Asset
from media_service.timeline.ladder import AUDIO_SAMPLE_RATE
from media_service.work import waveforms
from media_service.work.clips import NONE, version_of
from media_service.work.waveforms import WaveformMaker
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.shared import each_film, shared_file
from tests.support.workshop import Workshop


async def waved(workshop: Workshop, film: Path) -> tuple[Asset, dict[str, Any]]:
    asset = await workshop.indexed(film)
    assert asset.state == "playable", asset.error_detail
    assert await WaveformMaker(workshop.means()).make(asset)
    asset = await workshop.catalog.asset(asset.id)
    data = (workshop.root / waveform_key(asset.id)).read_bytes()
    assert asset.waveform == version_of(data)
    return asset, json.loads(data)


async def test_a_waveform_is_as_long_as_the_film_and_loud_where_that_is(
    workshop: Workshop, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    sound = "aevalsrc='0.5*sin(2*PI*440*t)*between(t,1,2)':s=44100:d=3"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=5", "-f", "lavfi", "-i", sound, film)
    asset, shown = await waved(workshop, film)
    assert asset.duration_seconds == pytest.approx(5, abs=0.01)
    each = shown["samples_per_pixel"] / shown["sample_rate"]
    assert shown["length"] * each == pytest.approx(5, abs=2 * each)
    loudest = shown["data"][1::2]
    loud = [number * each for number, level in enumerate(loudest) if level > 32]
    assert (min(loud), max(loud)) == pytest.approx((1, 2), abs=2 * each)
    assert max(loudest) == pytest.approx(64, abs=6)
    assert min(shown["data"][::2]) == pytest.approx(-64, abs=6)


async def test_a_waveform_is_made_of_whatever_the_service_accepts(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the film had more tracks than what is accepted unless the settings say otherwise.
    narrow = msgspec.structs.replace(waveforms.WAVEFORM_LIMITS, max_pixels=64 * 64, max_streams=1)
    monkeypatch.setattr(waveforms, "WAVEFORM_LIMITS", narrow)
    await waved(workshop, films.film(Film()))


async def test_a_silent_film_has_none_and_is_not_tried_again(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film(audio=False)))
    maker = WaveformMaker(workshop.means())
    assert not await maker.make(asset)
    asset = await workshop.catalog.asset(asset.id)
    assert asset.waveform == NONE
    assert "waveform" not in workshop.files(asset)


async def test_sound_that_cannot_be_read_has_none_and_is_no_fault_of_the_film(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(Film()))
    os.truncate(workshop.file(asset), 100)
    assert not await WaveformMaker(workshop.means()).make(asset)
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.error_code, asset.waveform) == ("playable", None, NONE)


async def test_a_converter_that_was_ended_from_outside_is_tried_another_time(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise ConverterKilled("Something outside ended it.")

    asset = await workshop.indexed(films.film(Film()))
    maker = WaveformMaker(workshop.means())
    with monkeypatch.context() as patched:
        patched.setattr(WaveformMaker, "_looked", killed)
        assert not await maker.make(asset)
    assert (await workshop.catalog.asset(asset.id)).waveform is None
    assert await maker.make(asset)
    assert not await maker.make(await workshop.catalog.asset(asset.id))


@pytest.mark.parametrize("name", each_film())
async def test_every_film_of_the_corpus_with_sound_has_its_waveform(workshop: Workshop, name: str) -> None:
    path = shared_file(f"corpus/{name}")
    indexed = await workshop.indexed(path)
    if "audio" not in {one.kind for one in await workshop.catalog.renditions(indexed.id)}:
        assert not await WaveformMaker(workshop.means()).make(indexed)
        return
    asset, shown = await waved(workshop, path)
    assert asset.duration_seconds is not None
    assert shown["length"] == len(shown["data"]) // 2
    seconds = shown["length"] * shown["samples_per_pixel"] / AUDIO_SAMPLE_RATE
    assert seconds == pytest.approx(asset.duration_seconds, abs=0.05)
