"""Posters of films that ffmpeg made: not black, or as somebody chose; and their tiny likeness."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import InvalidRequest, NotFound, NotReady, SegmentFailed
from media_service.ffmpeg import still_recipes
from media_service.store.keys import poster_key, posters_tree
from media_service.store.records import Asset
from media_service.work import posters as module
from media_service.work.drawing import drawn
from media_service.work.keeping import keep
from media_service.work.runner import Means
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, probe
from tests.support.shared import each_film, shared_file
from tests.support.workshop import Workshop

FILM = Film(seconds=4)


@pytest.fixture
def half_black(tmp_path: Path) -> Path:
    """Four seconds black, four of a picture, four black."""
    path = tmp_path / "half-black.mp4"
    colours = [("color=black", 4), ("testsrc2", 4), ("color=black", 4)]
    inputs = [
        part
        for name, seconds in colours
        for part in (
            "-f",
            "lavfi",
            "-t",
            str(seconds),
            "-i",
            f"{name}{':' if '=' in name else '='}s=320x180:r=25",
        )
    ]
    joined = "[0][1][2]concat=n=3:v=1,format=yuv420p"
    ffmpeg(*inputs, "-filter_complex", joined, "-c:v", "libx264", "-g", "25", path)
    return path


def poster(workshop: Workshop, asset: Asset) -> Path:
    return workshop.root / poster_key(asset.id, asset.poster_version)


def brightness(path: Path, demuxer: str = "jpeg_pipe") -> int:
    argv = ["ffmpeg", "-v", "error", "-f", demuxer, "-i", str(path), "-vf", "scale=1:1", "-frames:v", "1"]
    return subprocess.check_output([*argv, "-pix_fmt", "gray", "-f", "rawvideo", "-"])[0]


async def previewed(workshop: Workshop, film: Path) -> Asset:
    """As an upload is taken up: previews, then the poster."""
    asset = await workshop.indexer().index(await workshop.admitted(film))
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
    await workshop.posters().make(asset.id)
    return await workshop.catalog.asset(asset.id)


async def test_a_poster_is_not_black_where_the_film_is_not(workshop: Workshop, half_black: Path) -> None:
    assert brightness(poster(workshop, await previewed(workshop, half_black))) > 60


@pytest.mark.parametrize("name", each_film(with_picture=True))
async def test_every_film_of_the_corpus_has_an_upright_poster(name: str, workshop: Workshop) -> None:
    asset = await previewed(workshop, shared_file(f"corpus/{name}"))
    assert asset.placeholder
    (found,) = probe(poster(workshop, asset), "-f", "jpeg_pipe", "-show_streams")["streams"]
    assert asset.width is not None
    assert asset.height is not None
    assert found["width"] / found["height"] == pytest.approx(asset.width / asset.height, rel=0.02)
    # Of a single colour it would be smaller.
    assert poster(workshop, asset).stat().st_size > 1000


async def test_a_placeholder_is_tiny_and_looks_like_the_poster(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    asset = await previewed(workshop, films.film(FILM))
    assert asset.placeholder is not None
    assert len(asset.placeholder) < 500
    path = tmp_path / "placeholder.webp"
    path.write_bytes(asset.placeholder)
    (found,) = probe(path, "-f", "webp_pipe", "-show_streams")["streams"]
    assert (found["width"], found["height"]) == (32, 18)
    assert abs(brightness(path, "webp_pipe") - brightness(poster(workshop, asset))) < 16


async def test_without_webp_there_is_a_poster_all_the_same(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(still_recipes._FORMATS, "webp", {"c:v": "libwebq", "f": "image2pipe"})
    asset = await previewed(workshop, films.film(FILM))
    assert (asset.has_poster, asset.placeholder) == (True, None)
    chosen = await workshop.posters().choose(asset.id, 1.0)
    assert (chosen.poster_time, chosen.placeholder) == (1.0, None)
    assert brightness(poster(workshop, chosen)) > 30


async def test_without_previews_there_is_a_poster_all_the_same(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexer().index(await workshop.admitted(films.film(FILM)))
    await workshop.posters().make(asset.id)
    assert brightness(poster(workshop, await workshop.catalog.asset(asset.id))) > 30


async def test_a_film_whose_poster_takes_too_long_does_not_keep_others_from_theirs(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, asset = [
        await workshop.indexer().index(await workshop.admitted(films.film(FILM))) for _ in range(2)
    ]

    async def endless(means: Means, asset: Asset, *what: Any) -> bytes:
        if asset.id == slow.id:
            await asyncio.Event().wait()
        return await drawn(means, asset, *what)

    monkeypatch.setattr(module, "drawn", endless)
    monkeypatch.setattr(module, "POSTER_SECONDS", 3.0, raising=False)
    posters = workshop.posters()
    async with asyncio.timeout(15):
        await asyncio.gather(*(posters.make(one.id) for one in (slow, asset)))
    assert not (await workshop.catalog.asset(slow.id)).has_poster
    assert (await workshop.catalog.asset(asset.id)).has_poster


async def test_a_chosen_frame_takes_the_posters_place_and_can_be_given_up(
    workshop: Workshop, half_black: Path
) -> None:
    asset = await previewed(workshop, half_black)
    await keep(workshop.blobs, poster_key(asset.id, None), b"from before posters could change")
    chosen = await workshop.posters().choose(asset.id, 1.0)
    assert (chosen.poster_time, chosen.has_poster) == (1.0, True)
    assert brightness(poster(workshop, chosen)) < 20
    assert chosen.poster_version != asset.poster_version
    assert chosen.placeholder != asset.placeholder
    assert not poster(workshop, asset).exists()
    again = await workshop.posters().choose(asset.id, None)
    assert (again.poster_time, again.poster_version) == (None, asset.poster_version)
    assert await workshop.blobs.keys(posters_tree(asset.id)) == [poster_key(asset.id, asset.poster_version)]
    assert not (workshop.root / poster_key(asset.id, None)).exists()


async def test_a_poster_that_is_there_is_not_made_again(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    chosen = await workshop.posters().choose(asset.id, 1.0)
    await workshop.posters().make(asset.id)
    assert await workshop.catalog.asset(asset.id) == chosen


@pytest.mark.parametrize("seconds", [-1.0, 4.5, float("inf"), float("nan")])
async def test_what_is_no_time_of_the_film_is_said_to_be_none(
    seconds: float, workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    with pytest.raises(InvalidRequest, match="lasts from 0 to 4"):
        await workshop.posters().choose(asset.id, seconds)
    assert await workshop.catalog.asset(asset.id) == asset


async def test_films_that_have_no_picture_or_are_not_known_yet_have_no_frame_to_choose(
    workshop: Workshop, films: Films
) -> None:
    sound = await workshop.indexed(films.film(Film(size=None)))
    with pytest.raises(InvalidRequest, match="no picture"):
        await workshop.posters().choose(sound.id, 0.0)
    fresh = await workshop.admitted(films.film(FILM))
    with pytest.raises(NotReady):
        await workshop.posters().choose(fresh.id, 0.0)
    with pytest.raises(NotFound):
        await workshop.posters().choose("nobody", 0.0)


async def test_a_frame_that_cannot_be_decoded_changes_nothing(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    os.truncate(workshop.file(asset), 100)
    with pytest.raises(SegmentFailed):
        await workshop.posters().choose(asset.id, 2.0)
    assert await workshop.catalog.asset(asset.id) == asset
    assert poster(workshop, asset).exists()


async def test_who_chooses_a_frame_waits_neither_for_posters_of_new_films_nor_for_ever(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, asset = [
        await workshop.indexer().index(await workshop.admitted(films.film(FILM))) for _ in range(2)
    ]
    begun, end = asyncio.Event(), asyncio.Event()

    async def waits(means: Means, asset: Asset, *what: Any) -> bytes:
        if asset.id == slow.id:
            begun.set()
            await end.wait()
        return await drawn(means, asset, *what)

    monkeypatch.setattr(module, "drawn", waits)
    posters = workshop.posters()
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        group.create_task(posters.make(slow.id))
        await begun.wait()
        assert (await posters.choose(asset.id, 1.0)).poster_time == 1.0
        monkeypatch.setattr(module, "CHOOSE_SECONDS", 0.2)
        with pytest.raises(NotReady, match="too long"):
            await posters.choose(slow.id, 1.0)
        end.set()


async def test_a_poster_of_a_film_that_is_deleted_while_it_is_drawn_does_not_stay(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.indexed(films.film(FILM))

    async def deleted_then_kept(*what: Any) -> None:
        await workshop.catalog.delete_asset(asset.id)
        await workshop.blobs.delete_tree(asset.id)
        await keep(*what)

    monkeypatch.setattr(module, "keep", deleted_then_kept)
    with pytest.raises(NotFound):
        await workshop.posters().choose(asset.id, 1.0)
    assert await workshop.blobs.keys(asset.id) == []
