"""Init segments before anything is encoded: those that the runs then have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from media_service.errors import NotFound, NotReady, SegmentFailed, TranscodeFailed
from media_service.mp4.init_segment import InitTrack, read_init
from media_service.timeline.outline import OutlineRendition
from media_service.work import inits as module
from media_service.work.runs import MAX_ATTEMPTS
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.workshop import Workshop, encoders

FILM = Film(seconds=5, size=(640, 360), container="ts")
NAMES = ["360p", "240p", "audio"]


class Encoding:
    """Stands before the encoder: notes whose turn it was, fails for `broken`, and waits while `go` is not set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns: list[str] = []
        self.broken: set[str] = set()
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()
        self._encoded: Callable[..., object] = module._encoded
        monkeypatch.setattr(module, "_encoded", self)

    async def __call__(self, rendition: OutlineRendition) -> InitTrack:
        self.turns.append(rendition.name)
        self.begun.set()
        await self.go.wait()
        if rendition.name in self.broken:
            raise TranscodeFailed("Error while opening encoder.")
        return await self._encoded(rendition)  # type: ignore[misc,no-any-return] # it is one


@pytest.fixture
async def encoding(monkeypatch: pytest.MonkeyPatch) -> Encoding:
    return Encoding(monkeypatch)


async def test_they_agree_with_the_outline(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    assert await workshop.inits.make(asset.id) == {}
    outline = await workshop.outlines.of(asset.id)
    rows = await workshop.catalog.renditions(asset.id)
    assert [row.name for row in rows] == NAMES
    for row in rows:
        assert row.init is not None
        track = read_init(row.init)
        rendition = outline.rendition(row.name)
        assert (track.codec, track.timescale) == (rendition.codecs, rendition.timescale)
        assert await workshop.inits.of(asset.id, row.name) == row.init
    assert encoders() == []


async def test_they_are_those_of_the_runs(workshop: Workshop, films: Films) -> None:
    """Else the runs would be refused."""
    asset = await workshop.indexed(films.film(FILM))
    await workshop.inits.make(asset.id)
    before = [row.init for row in await workshop.catalog.renditions(asset.id)]
    assert (await workshop.transcode(asset)).state == "ready"
    assert [row.init for row in await workshop.catalog.renditions(asset.id)] == before


async def test_a_large_picture_with_two_sounds_of_six_channels_has_all_of_them(
    workshop: Workshop, tmp_path: Path
) -> None:
    """All its encoders at once do not fit into what one small process may take."""
    path = tmp_path / "large.ts"
    silence = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=5.1")
    picture = ("-f", "lavfi", "-i", "color=s=3840x1608:r=5")
    maps = ("-map", "0", "-map", "1", "-map", "2")
    coding = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "ac3")
    ffmpeg(*picture, *silence, *silence, *maps, "-t", "1", *coding, path)
    asset = await workshop.indexed(path)
    assert await workshop.inits.make(asset.id) == {}
    rows = await workshop.catalog.renditions(asset.id)
    assert [row.name for row in rows if row.kind == "audio"] == ["audio", "audio-51", "audio-2", "audio-2-51"]
    assert all(row.init for row in rows)


async def test_only_what_is_asked_for_is_made_and_those_who_ask_at_the_same_time_get_the_same(
    workshop: Workshop, films: Films, encoding: Encoding
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    inits = workshop.inits
    first, second = await asyncio.gather(inits.of(asset.id, "240p"), inits.of(asset.id, "240p"))
    assert first == second == await inits.of(asset.id, "240p")
    assert encoding.turns == ["240p"]


async def test_who_leaves_does_not_take_it_from_the_others(
    workshop: Workshop, films: Films, encoding: Encoding
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    encoding.go.clear()
    leaving, staying = [asyncio.create_task(workshop.inits.of(asset.id, "240p")) for _ in range(2)]
    await encoding.begun.wait()
    leaving.cancel()
    await asyncio.wait((leaving,))
    encoding.go.set()
    assert read_init(await staying).height == 240
    assert encoding.turns == ["240p"]


async def test_one_that_cannot_be_made_keeps_no_other_from_it(
    workshop: Workshop, films: Films, encoding: Encoding
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    encoding.broken = {"360p"}
    failed = await workshop.inits.make(asset.id)
    assert {name: error.detail for name, error in failed.items()} == {"360p": "Error while opening encoder."}
    assert encoding.turns == ["360p"] * MAX_ATTEMPTS + ["240p", "audio"]
    assert [row.init is not None for row in await workshop.catalog.renditions(asset.id)] == [
        False,
        True,
        True,
    ]


async def test_one_that_failed_is_tried_again_but_not_for_ever(
    workshop: Workshop, films: Films, encoding: Encoding
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    encoding.broken = {"360p"}
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(NotReady):
            await workshop.inits.of(asset.id, "360p")
    with pytest.raises(SegmentFailed, match="opening encoder"):
        await workshop.inits.of(asset.id, "360p")
    assert encoding.turns == ["360p"] * MAX_ATTEMPTS


async def test_more_than_can_be_made_soon_is_not_waited_for(
    workshop: Workshop, films: Films, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    asset = await workshop.indexed(films.film(FILM))
    encoding.go.clear()
    waiting = asyncio.create_task(workshop.inits.of(asset.id, "240p"))
    await encoding.begun.wait()
    with pytest.raises(NotReady, match="Too many"):
        await workshop.inits.of(asset.id, "360p")
    encoding.go.set()
    await waiting


async def test_of_what_is_not_there_there_is_none(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    for asset_id, name in ((asset.id, "1080p"), ("absent", "240p")):
        with pytest.raises(NotFound):
            await workshop.inits.of(asset_id, name)
    with pytest.raises(NotFound):
        await workshop.inits.make("absent")


async def test_leaving_ends_what_is_being_made(workshop: Workshop, films: Films, encoding: Encoding) -> None:
    asset = await workshop.indexed(films.film(FILM))
    encoding.go.clear()
    inits = module.Inits(workshop.catalog, workshop.outlines)
    async with inits:
        waiting = asyncio.create_task(inits.of(asset.id, "240p"))
        await encoding.begun.wait()
    with pytest.raises(NotReady):
        await waiting
