"""A film at a glance, while its renditions are made."""

from __future__ import annotations

import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback import timelines as module
from media_service.playback.opening import Opener
from media_service.playback.timelines import Timelines
from tests.playback.stage import Stage
from tests.support.films import Film, Films
from tests.support.workshop import Workshop


@pytest.fixture
def timelines(stage: Stage, workshop: Workshop) -> Timelines:
    opener = Opener(workshop.catalog, stage.outlines)
    return Timelines(catalog=workshop.catalog, blobs=workshop.blobs, opener=opener, outlines=stage.outlines)


async def test_a_film_tells_its_keyframes_its_cuts_and_what_is_made(
    stage: Stage, workshop: Workshop, films: Films, timelines: Timelines
) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=12, size=(640, 480), keyframe_seconds=1.0)))
    found = await timelines.of(asset.id)
    assert found.duration == asset.duration_seconds
    assert found.keyframe_count == 12
    assert found.keyframes == tuple(range(12))
    outline = await stage.outline(asset.id)
    assert [(one.name, one.kind, one.packaged) for one in found.renditions] == [
        ("source", "video", True),
        ("240p", "video", False),
        ("audio", "audio", outline.rendition("audio").packaged is not None),
    ]
    for one in found.renditions:
        cut = outline.rendition(one.name)
        assert len(found.grids[one.grid]) == cut.count + 1
        times = [float(cut.seconds(number)) for number in range(cut.count + 1)]
        assert found.grids[one.grid] == pytest.approx(times, abs=1e-6)
    # Pictures are cut alike, whatever their clocks; sound is where its packets begin.
    assert [one.grid for one in found.renditions] == [0, 0, 1]
    assert len(found.grids) == 2
    source, encoded, _ = found.renditions
    assert (source.made, encoded.made) == ([(0, 3)], [])

    await stage.demand.make(asset.id, outline.rendition("240p"), 2)
    await stage.demand.make(asset.id, outline.rendition("240p"), 0)
    assert (await timelines.of(asset.id)).renditions[1].made == [(0, 1), (2, 3)]


async def test_of_many_keyframes_some_are_told_and_all_are_counted(
    workshop: Workshop, films: Films, timelines: Timelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEYFRAMES", 5)
    asset = await workshop.indexed(films.film(Film(seconds=2, fps=25, keyframe_seconds=0.04)))
    found = await timelines.of(asset.id)
    assert found.keyframe_count == 50
    assert found.keyframes == (0.0, 0.48, 0.96, 1.44, 1.96)


async def test_what_is_not_looked_at_yet_or_cannot_be_has_no_timeline(
    workshop: Workshop, films: Films, timelines: Timelines
) -> None:
    with pytest.raises(NotFound):
        await timelines.of("absent")
    asset = await workshop.admitted(films.film(Film(seconds=1)))
    with pytest.raises(NotReady):
        await timelines.of(asset.id)
    await workshop.catalog.update_asset(asset.id, state="failed")
    with pytest.raises(NotFound):
        await timelines.of(asset.id)
