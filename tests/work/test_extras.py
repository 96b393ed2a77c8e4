"""Stills and subtitles of films that ffmpeg made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media_service.store.keys import poster_key, posters_tree, subtitles_key
from media_service.work.keeping import keep
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, probe
from tests.support.workshop import Workshop

LINES = "1\n00:00:00,500 --> 00:00:01,000\nHello\n\n2\n00:00:01,250 --> 00:00:02,000\nGood-bye\n"
WEBVTT = "WEBVTT\n\n00:00.500 --> 00:01.000\nHello\n\n00:01.250 --> 00:02.000\nGood-bye\n"


@pytest.fixture
def subtitled(films: Films, tmp_path: Path) -> Path:
    """A film with text subtitles twice, the second time styled."""
    (tmp_path / "lines.srt").write_text(LINES)
    path = tmp_path / "subtitled.mkv"
    inputs = ("-i", films.film(Film(seconds=3, audio=False)), "-i", tmp_path / "lines.srt")
    maps = ("-map", "0", "-map", "1", "-map", "1")
    ffmpeg(*inputs, *maps, "-c", "copy", "-c:s:0", "srt", "-c:s:1", "ass", path)
    return path


async def test_the_poster_is_a_jpeg_of_the_picture_upright(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film(rotation=90)))
    assert asset.has_poster
    poster = workshop.root / poster_key(asset.id, asset.poster_version)
    (picture,) = probe(poster, "-f", "jpeg_pipe", "-show_streams")["streams"]
    assert (picture["width"], picture["height"]) == (180, 320) == (asset.width, asset.height)


async def test_sound_alone_has_no_poster(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film(size=None)))
    assert (asset.state, asset.has_poster, asset.width) == ("playable", False, None)


async def test_a_film_of_which_no_still_can_be_made_has_none(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexer().index(await workshop.admitted(films.film(Film())))
    os.truncate(workshop.file(asset), 100)
    await workshop.extras().make(asset)
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.has_poster) == ("playable", False)
    assert not await workshop.blobs.keys(posters_tree(asset.id))


async def test_text_subtitles_become_webvtt(workshop: Workshop, subtitled: Path) -> None:
    asset = await workshop.indexed(subtitled)
    tracks = (await workshop.outlines.of(asset.id)).subtitles
    assert [(track.number, track.codec) for track in tracks] == [(0, "subrip"), (1, "ass")]
    assert (workshop.root / subtitles_key(asset.id, 0)).read_text() == WEBVTT
    assert "Good-bye" in (workshop.root / subtitles_key(asset.id, 1)).read_text()


async def test_what_is_there_is_not_made_again_and_what_is_lacking_is(
    workshop: Workshop, subtitled: Path
) -> None:
    asset = await workshop.indexed(subtitled)
    await workshop.blobs.delete(subtitles_key(asset.id, 0))
    await keep(workshop.blobs, subtitles_key(asset.id, 1), b"kept")
    await workshop.extras().make(asset)
    assert (workshop.root / subtitles_key(asset.id, 0)).read_text() == WEBVTT
    assert (workshop.root / subtitles_key(asset.id, 1)).read_bytes() == b"kept"


async def test_subtitles_that_cannot_be_read_are_no_fault_of_the_film(
    workshop: Workshop, subtitled: Path
) -> None:
    asset = await workshop.indexer().index(await workshop.admitted(subtitled))
    os.truncate(workshop.file(asset), 100)
    await workshop.extras().make(asset)
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.error_code) == ("playable", None)
    assert not any(name.startswith("subtitles/") for name in workshop.files(asset))
