"""What a file is, before it is transformed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media_service.errors import BrokenMedia, EmptyUpload, NotMedia
from media_service.ffmpeg.fence import FORMATS
from media_service.ffmpeg.transform_sources import Source, look
from tests.ffmpeg.transforming import LIMITS, plain
from tests.support.films import Film, Films
from tests.support.media import ffmpeg


async def looked_at(path: Path) -> Source:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await look(fd, LIMITS)
    finally:
        os.close(fd)


async def test_of_a_film_everything_can_be_made_and_of_sound_alone_sound(films: Films) -> None:
    found = await looked_at(films.film(Film()))
    assert (found.own, found.kinds, found.formats) == ("mp4", ("picture", "film", "sound"), FORMATS)
    assert (await looked_at(films.film(Film(audio=False)))).kinds == ("picture", "film")
    found = await looked_at(films.film(Film(size=None)))
    assert (found.own, found.kinds) == (None, ("sound",))


@pytest.mark.parametrize(
    ("extension", "own", "reader"),
    [("jpg", "jpeg", "jpeg_pipe"), ("png", "png", "png_pipe"), ("webp", "webp", "webp_pipe")],
)
async def test_a_still_picture_is_opened_by_its_own_reader_and_no_other(
    extension: str, own: str, reader: str, tmp_path: Path
) -> None:
    found = await looked_at(plain(tmp_path / f"plain.{extension}"))
    assert (found.own, found.formats, found.is_still) == (own, reader, True)
    video = found.facts.video
    assert video is not None
    assert video.display_size == (320, 180)


async def test_a_gif_is_a_film(films: Films, tmp_path: Path) -> None:
    ffmpeg("-i", films.film(Film(seconds=1)), tmp_path / "moving.gif")
    found = await looked_at(tmp_path / "moving.gif")
    assert (found.own, found.kinds, found.formats, found.is_still) == (
        "gif",
        ("picture", "film"),
        "gif",
        False,
    )


@pytest.mark.parametrize(
    "head", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8 ", b"GIF89a"]
)
async def test_what_only_begins_like_a_picture_is_none(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(head + b"#EXTM3U\nfile:///etc/passwd\n" * 100)
    with pytest.raises((BrokenMedia, NotMedia)):
        await looked_at(path)


async def test_nothing_at_all_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(EmptyUpload):
        await looked_at(path)
