"""Whole files that lie in the store."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback.caching import IMMUTABLE, NO_STORE, REVALIDATE
from media_service.store.keys import outline_key, poster_key, subtitles_key
from media_service.store.records import Asset
from media_service.timeline.outline import decode, encode
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films
from tests.support.media import ffmpeg

FILM = Film(seconds=5)
CUE = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"
VTT = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"


async def test_the_original_is_found_under_its_own_extension_only(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    opened = await stage.library.original(asset.id, PUBLIC, "mp4")
    assert (opened.headers, opened.media_type) == (IMMUTABLE, "video/mp4")
    with pytest.raises(NotFound, match=r"original\.mp4"):
        await stage.library.original(asset.id, PUBLIC, "webm")


async def test_a_film_without_a_still_has_none(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(Film(seconds=1, size=None)))
    with pytest.raises(NotFound):
        await stage.library.poster(asset.id, PUBLIC, None)


async def test_a_poster_that_takes_the_place_of_another_is_shown_at_once(
    stage: Stage, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = stage.workshop
    asset = await workshop.indexed(films.film(FILM))
    find = workshop.catalog.asset

    async def found_just_before(asset_id: str) -> Asset:
        monkeypatch.setattr(workshop.catalog, "asset", find)
        found = await find(asset_id)
        await workshop.posters().choose(asset_id, 0.0)
        return found

    monkeypatch.setattr(workshop.catalog, "asset", found_just_before)
    opened = await stage.library.poster(asset.id, PUBLIC, asset.poster_version)
    changed = await find(asset.id)
    assert changed.poster_version != asset.poster_version
    assert (opened.etag, opened.headers) == (f"{asset.id}-{changed.poster_version}", REVALIDATE)
    assert (await stage.bytes_of(opened)).startswith(b"\xff\xd8")


async def test_a_poster_whose_file_is_gone_is_not_found(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    await stage.workshop.blobs.delete(poster_key(asset.id, asset.poster_version))
    with pytest.raises(NotFound):
        await stage.library.poster(asset.id, PUBLIC, None)


@pytest.fixture
def subtitled(films: Films, tmp_path: Path) -> Path:
    """A film with two text tracks."""
    (tmp_path / "cues.srt").write_text(CUE)
    path = tmp_path / "subtitled.mp4"
    maps = ["-map", "0", "-map", "1", "-map", "1", "-c", "copy", "-c:s", "mov_text"]
    ffmpeg(
        "-i", films.film(FILM), "-i", tmp_path / "cues.srt", *maps, "-metadata:s:s:1", "language=deu", path
    )
    return path


async def test_subtitles_are_text_once_they_are_read(stage: Stage, subtitled: Path) -> None:
    asset = await stage.workshop.indexed(subtitled)
    outline = await stage.outline(asset.id)
    assert [(track.number, track.language) for track in outline.subtitles] == [(0, None), (1, "de")]
    await stage.workshop.catalog.update_asset(asset.id, state="playable")
    await stage.workshop.blobs.delete(subtitles_key(asset.id, 1))
    with pytest.raises(NotReady):
        await stage.library.subtitles(asset.id, PUBLIC, 1, None)
    await stage.workshop.catalog.update_asset(asset.id, state="ready")
    with pytest.raises(NotFound, match="could not be read"):
        await stage.library.subtitles(asset.id, PUBLIC, 1, None)
    async with await stage.workshop.blobs.create(subtitles_key(asset.id, 1)) as writer:
        await writer.write(VTT)
        await writer.seal()
    opened = await stage.library.subtitles(asset.id, PUBLIC, 1, outline.version)
    assert (opened.media_type, opened.headers) == ("text/vtt", IMMUTABLE)
    assert await stage.bytes_of(opened) == VTT
    assert (await stage.library.subtitles(asset.id, PUBLIC, 1, None)).headers == NO_STORE


async def test_subtitles_have_a_playlist_of_one_segment(stage: Stage, subtitled: Path) -> None:
    asset = await stage.workshop.indexed(subtitled)
    text = (await stage.bytes_of(await stage.playlists.subtitles(asset.id, PUBLIC, 1))).decode()
    outline = await stage.outline(asset.id)
    assert text.count("#EXTINF") == 1
    assert f"../../subtitles/1.vtt?v={outline.version}" in text


async def test_subtitles_that_there_are_not_are_not_found(stage: Stage, subtitled: Path) -> None:
    asset = await stage.workshop.indexed(subtitled)
    for number in (2, 99):
        with pytest.raises(NotFound, match="no such subtitles"):
            await stage.library.subtitles(asset.id, PUBLIC, number, None)
        with pytest.raises(NotFound, match="no such subtitles"):
            await stage.playlists.subtitles(asset.id, PUBLIC, number)


async def test_images_are_said_to_be_no_text(stage: Stage, subtitled: Path) -> None:
    asset = await stage.workshop.indexed(subtitled)
    key = outline_key(asset.id)
    async with await stage.workshop.blobs.open(key) as reader:
        outline = decode(bytes(await reader.read(0, reader.size)))
    images = msgspec.structs.replace(outline.subtitles[0], codec="dvd_subtitle", convertible=False)
    await stage.workshop.blobs.delete(key)
    async with await stage.workshop.blobs.create(key) as writer:
        await writer.write(encode(msgspec.structs.replace(outline, subtitles=(images,))))
        await writer.seal()
    with pytest.raises(NotFound, match=r"images \(dvd_subtitle\)"):
        await stage.library.subtitles(asset.id, PUBLIC, 0, None)
