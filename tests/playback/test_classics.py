"""Classic files: the same packets as the segments, as one plain MP4."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback.caching import IMMUTABLE
from media_service.wire.layout import pack
from media_service.wire.representation import BlobExtent
from tests.playback.stage import PUBLIC, SAMPLE_BYTES, Stage
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, framemd5, packets, probe

FILM = Film(seconds=9, size=(640, 480))


async def test_a_packaged_film_is_one_plain_file_at_once(stage: Stage, films: Films, tmp_path: Path) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    opened = await stage.classics.classic(asset.id, PUBLIC, "source", "mp4")
    assert (opened.media_type, opened.headers) == ("video/mp4", IMMUTABLE)
    path = tmp_path / "source.mp4"
    path.write_bytes(await stage.bytes_of(opened))
    assert [stream["codec_type"] for stream in probe(path, "-show_streams")["streams"]] == ["video", "audio"]
    assert sizes_and_sums(path) == sizes_and_sums(films.film(FILM))
    shown = [float(pts) for (pts,) in packets(path, "v", "pts_time")]
    assert shown == pytest.approx(
        [float(pts) for (pts,) in packets(films.film(FILM), "v", "pts_time")], abs=1e-4
    )
    assert stage.demand.asked == []


def sizes_and_sums(path: Path) -> list[list[str]]:
    """Of each picture and sound packet that is heard or seen: its size and MD5."""
    lines = [line.replace(" ", "").split(",") for line in framemd5(path)]
    return [[line[0], *line[4:6]] for line in lines if float(line[2]) >= 0]


async def test_a_sound_alone_is_an_m4a(stage: Stage, films: Films, tmp_path: Path) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    opened = await stage.classics.classic(asset.id, PUBLIC, "audio", "m4a")
    assert opened.media_type == "audio/mp4"
    path = tmp_path / "audio.m4a"
    path.write_bytes(await stage.bytes_of(opened))
    (stream,) = probe(path, "-show_streams")["streams"]
    assert stream["codec_name"] == "aac"
    assert float(stream["duration"]) == pytest.approx(9, abs=0.05)


async def test_a_picture_is_no_m4a_and_a_sound_no_mp4(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    with pytest.raises(NotFound, match=r"source\.mp4"):
        await stage.classics.classic(asset.id, PUBLIC, "source", "m4a")
    with pytest.raises(NotFound, match=r"audio\.m4a"):
        await stage.classics.classic(asset.id, PUBLIC, "audio", "mp4")


async def test_an_encoded_one_is_there_when_its_layout_is(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    with pytest.raises(NotReady):
        await stage.classics.classic(asset.id, PUBLIC, "240p", "mp4")
    extents = [BlobExtent(f"{asset.id}/original", 5, 9), BlobExtent(f"{asset.id}/index", 0, 3)]
    await stage.workshop.catalog.finish(asset.id, {"240p": pack(extents)})
    opened = await stage.classics.classic(asset.id, PUBLIC, "240p", "mp4")
    assert list(opened.extents) == extents
    assert opened.headers == IMMUTABLE


async def test_a_packaged_picture_waits_for_a_sound_that_is_made(
    stage: Stage, films: Films, tmp_path: Path
) -> None:
    film = tmp_path / "pcm.mov"
    make_raw_sound(films.film(FILM), film)
    asset = await stage.workshop.indexed(film)
    outline = await stage.outline(asset.id)
    assert outline.rendition("source").packaged
    assert outline.rendition("audio").audio
    with pytest.raises(NotReady):
        await stage.classics.classic(asset.id, PUBLIC, "source", "mp4")
    await stage.demand.make_all(asset.id, "audio")
    opened = await stage.classics.classic(asset.id, PUBLIC, "source", "mp4")
    data = await stage.bytes_of(opened)
    assert len(data) == opened.size
    (tmp_path / "source.mp4").write_bytes(data)
    sound = packets(tmp_path / "source.mp4", "a", "size,pts_time")
    assert [int(size) for size, _ in sound] == [SAMPLE_BYTES] * outline.rendition("audio").count
    for number in range(len(sound)):
        assert bytes([number]) * SAMPLE_BYTES in data


def make_raw_sound(source: Path, path: Path) -> None:
    """The film with sound that no browser decodes: the picture is packaged, the sound has to be made."""
    ffmpeg("-i", source, "-c:v", "copy", "-c:a", "pcm_s16le", path)


async def test_one_of_which_a_part_could_not_be_made_is_not_waited_for(
    stage: Stage, films: Films, tmp_path: Path
) -> None:
    film = tmp_path / "pcm.mov"
    make_raw_sound(films.film(FILM), film)
    asset = await stage.workshop.indexed(film)
    with pytest.raises(NotReady):
        await stage.classics.classic(asset.id, PUBLIC, "240p", "mp4")
    await stage.workshop.catalog.update_rendition(asset.id, "audio", state="failed")
    for name, extension in (("240p", "mp4"), ("source", "mp4"), ("audio", "m4a")):
        with pytest.raises(NotFound, match="could not be converted"):
            await stage.classics.classic(asset.id, PUBLIC, name, extension)


async def test_many_who_ask_at_once_have_it_put_together_once(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    opened = await asyncio.gather(
        *(stage.classics.classic(asset.id, PUBLIC, "source", "mp4") for _ in range(5))
    )
    assert all(one is opened[0] for one in opened)
