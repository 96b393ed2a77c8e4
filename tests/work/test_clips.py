"""Clips of films that ffmpeg made."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from media_service.errors import ConverterKilled, NotFound
from media_service.ffmpeg import clip_recipes
from media_service.store.keys import animation_key, clip_key
from media_service.store.records import Asset
from media_service.work import clips
from media_service.work.clips import CLIP_LIMITS, NONE, ClipMaker, version_of
from tests.ffmpeg.numbered import BITS, FPS, HEIGHT, WIDTH, numbered
from tests.support.films import Film, Films
from tests.support.media import decoded, ffmpeg, probe
from tests.support.shared import each_film, shared_file
from tests.support.workshop import Workshop

SECONDS = 60
# Where the excerpts of a film of a minute begin that has a keyframe every 2 s: no more than 6 s before 6, 18, 30, 42, 54 s.
BEGINNINGS = [6, 18, 30, 42, 54]
KEYS = ("-g", "50", "-keyint_min", "50", "-sc_threshold", "0")


async def quiet() -> None:
    """Nobody waits for anything."""


async def no_animation(*_: object) -> bytes:
    return b""


def maker(workshop: Workshop) -> ClipMaker:
    return ClipMaker(workshop.means(), quiet=quiet)


async def clipped(workshop: Workshop, film: Path) -> Asset:
    asset = await workshop.indexed(film)
    assert asset.state == "playable", asset.error_detail
    await maker(workshop).make(asset)
    return await workshop.catalog.asset(asset.id)


def numbers(path: Path) -> list[int]:
    """The numbers that the frames of a numbered film show."""
    argv = ["ffmpeg", "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
    argv += ["-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,scale={BITS}:1:flags=area", "-pix_fmt", "gray"]
    lumas = subprocess.check_output([*argv, "-f", "rawvideo", "-"])
    return [
        sum(1 << bit for bit in range(BITS) if lumas[at + bit] > 125) for at in range(0, len(lumas), BITS)
    ]


def chunks(webp: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What a WebP file consists of."""
    assert (webp[:4], webp[8:12]) == (b"RIFF", b"WEBP")
    assert struct.unpack_from("<I", webp, 4)[0] == len(webp) - 8
    at = 12
    while at < len(webp):
        (size,) = struct.unpack_from("<I", webp, at + 4)
        yield webp[at : at + 4], webp[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


@pytest.mark.parametrize(
    ("name", "coding"),
    [
        ("film.mp4", ["-c:v", "libx264", "-bf", "2"]),
        ("film.mkv", ["-c:v", "libx264", "-bf", "0"]),
        ("film.ts", ["-c:v", "libx264", "-bf", "2"]),
        ("film.avi", ["-c:v", "mpeg4", "-q:v", "3", "-sc_threshold", "1000000000"]),
        ("film.webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]),
    ],
)
async def test_the_excerpts_are_the_frames_that_they_should_be(
    workshop: Workshop, tmp_path: Path, name: str, coding: list[str]
) -> None:
    film = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", numbered(SECONDS), *KEYS, *coding, film)
    asset = await clipped(workshop, film)
    clip = workshop.root / clip_key(asset.id)
    shown = numbers(clip)
    assert shown == [second * FPS + number for second in BEGINNINGS for number in range(FPS)]
    assert asset.clip == version_of(clip.read_bytes())


async def test_a_clip_is_a_short_silent_mp4_without_metadata(workshop: Workshop, films: Films) -> None:
    film = films.film(Film(seconds=20, size=(640, 360)))
    asset = await clipped(workshop, film)
    clip = workshop.root / clip_key(asset.id)
    found = probe(clip, "-show_streams", "-show_format")
    (picture,) = found["streams"]
    assert (picture["codec_name"], picture["width"], picture["height"]) == ("h264", 320, 180)
    assert picture["sample_aspect_ratio"] == "1:1"
    assert float(found["format"]["duration"]) == pytest.approx(5, abs=0.05)
    assert int(found["format"]["size"]) < 400_000
    assert set(found["format"]["tags"]) == {"major_brand", "minor_version", "compatible_brands"}
    data = clip.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


async def test_the_animation_shows_the_clip_for_ever(workshop: Workshop, films: Films) -> None:
    asset = await clipped(workshop, films.film(Film(seconds=20)))
    webp = (workshop.root / animation_key(asset.id)).read_bytes()
    assert asset.animation == version_of(webp)
    found = list(chunks(webp))
    assert [name for name, _ in found[:2]] == [b"VP8X", b"ANIM"]
    frames = [data for name, data in found[2:] if name == b"ANMF"]
    assert len(frames) == len(found) - 2  # and nothing that says where it comes from
    sides = (
        struct.unpack("<I", found[0][1][4:7] + b"\0")[0],
        struct.unpack("<I", found[0][1][7:10] + b"\0")[0],
    )
    assert sides == (320 - 1, 180 - 1)
    assert struct.unpack_from("<H", found[1][1], 4) == (0,)  # no end
    milliseconds = sum(struct.unpack("<I", data[12:15] + b"\0")[0] for data in frames)
    assert milliseconds == pytest.approx(5000, abs=100)


@pytest.mark.parametrize(("rotation", "size"), [(90, (180, 320)), (180, (320, 180)), (270, (180, 320))])
async def test_a_clip_is_upright(
    workshop: Workshop, films: Films, rotation: int, size: tuple[int, int]
) -> None:
    asset = await clipped(workshop, films.film(Film(rotation=rotation, seconds=2)))
    (picture,) = probe(workshop.root / clip_key(asset.id), "-show_streams")["streams"]
    assert (picture["width"], picture["height"]) == size


async def test_sound_alone_and_a_single_picture_have_none_and_are_not_tried_again(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    still = tmp_path / "still.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25", "-frames:v", "1", "-c:v", "libx264", still)
    for film in (films.film(Film(size=None)), still):
        asset = await clipped(workshop, film)
        assert (asset.clip, asset.animation) == (NONE, NONE)
        assert not {"clip", "animation"} & workshop.files(asset)
        assert not await maker(workshop).make(asset)


async def test_a_clip_is_made_of_whatever_the_service_accepts(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.indexed(films.film(Film(size=(640, 360))))
    # As if the film were larger than what is accepted unless the settings say otherwise.
    narrow = msgspec.structs.replace(CLIP_LIMITS, max_pixels=64 * 64, max_streams=1)
    monkeypatch.setattr(clips, "CLIP_LIMITS", narrow)
    monkeypatch.setattr(ClipMaker, "_animated", no_animation)
    assert await maker(workshop).make(asset)


async def test_what_is_there_is_not_made_again(workshop: Workshop, films: Films) -> None:
    asset = await clipped(workshop, films.film(Film()))
    (workshop.root / clip_key(asset.id)).write_bytes(b"kept")
    assert not await maker(workshop).make(asset)
    assert (workshop.root / clip_key(asset.id)).read_bytes() == b"kept"


async def test_a_film_that_cannot_be_decoded_has_none(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film()))
    os.truncate(workshop.file(asset), 100)
    assert not await maker(workshop).make(asset)
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.error_code, asset.clip) == ("playable", None, NONE)


async def test_a_film_of_which_a_part_is_broken_has_the_rest(workshop: Workshop, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", numbered(SECONDS), "-c:v", "libx264", *KEYS, film)
    asset = await workshop.indexed(film)
    with workshop.file(asset).open("r+b") as file:
        file.seek(asset.size * 2 // 5)
        file.write(bytes(asset.size // 5))
    assert await maker(workshop).make(asset)
    shown = numbers(workshop.root / clip_key(asset.id))
    assert shown[:25] == list(range(150, 175))
    assert shown[-25:] == list(range(1350, 1375))


async def test_a_converter_that_was_ended_from_outside_is_tried_another_time(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise ConverterKilled("Something outside ended it.")

    asset = await workshop.indexed(films.film(Film()))
    with monkeypatch.context() as patched:
        patched.setattr(ClipMaker, "_excerpt", killed)
        assert not await maker(workshop).make(asset)
    asset = await workshop.catalog.asset(asset.id)
    assert asset.clip is None
    assert await workshop.catalog.without_clips(3) == [asset.id]
    assert await maker(workshop).make(asset)


async def test_an_ffmpeg_without_webp_makes_the_clip_all_the_same(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_recipes, "ENCODER", "none_such")
    asset = await clipped(workshop, films.film(Film()))
    assert asset.clip
    assert asset.animation == NONE


async def test_nothing_is_made_of_what_is_deleted(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film()))
    await workshop.catalog.delete_asset(asset.id)
    await workshop.blobs.delete_tree(asset.id)
    with pytest.raises(NotFound):
        await maker(workshop).make(asset)


@pytest.mark.parametrize("name", each_film())
async def test_every_film_of_the_corpus_has_its_clip(workshop: Workshop, name: str) -> None:
    asset = await clipped(workshop, shared_file(f"corpus/{name}"))
    if asset.width is None or asset.height is None:
        assert asset.clip == NONE
        return
    clip = workshop.root / clip_key(asset.id)
    found = probe(clip, "-show_streams", "-show_format")
    (picture,) = found["streams"]
    assert max(picture["width"], picture["height"]) <= 320
    assert picture["width"] / picture["height"] == pytest.approx(asset.width / asset.height, rel=0.02)
    assert 0 < float(found["format"]["duration"]) <= 5.1
    assert len(decoded(clip)) == int(picture["nb_frames"]) > 1
    assert clip.stat().st_size < 500_000
    assert asset.animation
    assert (workshop.root / animation_key(asset.id)).stat().st_size < 600_000
