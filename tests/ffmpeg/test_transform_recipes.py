"""What transforms make of real files: each kind of result, in time, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from media_service.errors import AbsurdMedia, BrokenMedia, InvalidRequest, NotMedia, TranscodeFailed
from media_service.wire.transforms import RESULTS
from tests.ffmpeg.transforming import made, plain, shown
from tests.support.films import Film, Films
from tests.support.media import probe
from tests.support.profiles import with_profile
from tests.support.shared import corpus, shared_file

# --- each kind of result -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RESULTS)
async def test_each_result_of_a_film_is_what_it_is_called(name: str, films: Films, tmp_path: Path) -> None:
    asked = {"start": "1"} if RESULTS[name].kind == "picture" else {"start": "1", "duration": "1"}
    path = await made(films.film(Film(seconds=3)), tmp_path, format=name, **asked)
    found = shown(path)
    codecs = {kind: one["codec_name"] for kind, one in found.items() if kind in {"video", "audio"}}
    assert (
        codecs
        == {
            "jpeg": {"video": "mjpeg"},
            "png": {"video": "png"},
            "webp": {"video": "webp"},
            "mp4": {"video": "h264", "audio": "aac"},
            "webm": {"video": "vp9", "audio": "opus"},
            "gif": {"video": "gif"},
            "m4a": {"audio": "aac"},
            "mp3": {"audio": "mp3"},
        }[name]
    )
    if RESULTS[name].kind == "picture":
        assert found["video"]["nb_read_frames"] == "1"
    elif name != "webm":  # which says no length when it is made on the fly
        assert float(found["format"]["duration"]) == pytest.approx(1, abs=0.06)
    # Picture and sound begin together, at the very start.
    assert all(abs(float(found[kind].get("start_time", 0))) < 0.03 for kind in codecs)


@pytest.mark.parametrize("entry", corpus("ok"), ids=lambda entry: entry["file"])
async def test_of_every_film_of_the_corpus_something_comes_out(entry: dict[str, Any], tmp_path: Path) -> None:
    path = shared_file(f"corpus/{entry['file']}")
    source = {one["codec_type"] for one in probe(path, "-show_streams")["streams"]}
    asked = {"width": "64"} if "video" in source else {"audio_only": "true"}
    # In one of them the picture begins a second after the sound.
    found = shown(await made(path, tmp_path, duration="1.2", **asked))
    if "video" in source:
        assert (found["video"]["codec_name"], found["video"]["width"]) == ("h264", 64)
        assert int(found["video"]["nb_read_frames"]) >= 1
    assert ("audio" in found) == ("audio" in source)


async def test_frames_keep_their_times_and_none_is_lost(films: Films, tmp_path: Path) -> None:
    path = films.film(Film(seconds=2, audio=False))
    found = probe(await made(path, tmp_path, blur="2"), "-show_frames", "-select_streams", "v")["frames"]
    times = [float(frame["pts_time"]) for frame in found]
    assert times == pytest.approx([number / 25 for number in range(50)], abs=1e-4)


async def test_frames_per_second_are_as_wanted(films: Films, tmp_path: Path) -> None:
    path = films.film(Film(seconds=2, audio=False))
    assert shown(await made(path, tmp_path, fps="5"))["video"]["nb_read_frames"] == "10"
    assert shown(await made(path, tmp_path, format="gif"))["video"]["nb_read_frames"] == "20"


async def test_mute_takes_the_sound_away_and_nothing_else(films: Films, tmp_path: Path) -> None:
    found = shown(await made(films.film(Film(seconds=2)), tmp_path, mute="true"))
    assert "audio" not in found
    assert found["video"]["nb_read_frames"] == "50"


async def test_a_film_can_be_played_while_it_comes(films: Films, tmp_path: Path) -> None:
    content = (await made(films.film(Film(seconds=5)), tmp_path)).read_bytes()
    assert content.index(b"moov") < content.index(b"moof")
    assert content.count(b"moof") >= 3  # one for each two seconds, and one for what is left


# --- sources -------------------------------------------------------------------------------------------------------


async def test_a_gif_becomes_a_film_and_a_film_a_gif(films: Films, tmp_path: Path) -> None:
    moving = await made(films.film(Film(seconds=1)), tmp_path, format="gif", width="80")
    found = shown(await made(moving, tmp_path, format="mp4"))
    assert (found["video"]["codec_name"], found["video"]["nb_read_frames"]) == ("h264", "10")
    assert (await made(moving, tmp_path)).suffix == ".gif"


async def test_without_a_format_a_picture_stays_what_it_is(tmp_path: Path) -> None:
    for name in ("jpg", "png", "webp"):
        path = plain(tmp_path / f"plain.{name}")
        assert (await made(path, tmp_path, width="16")).suffix == f".{name}"


async def test_a_playlist_that_is_called_a_picture_opens_nothing(tmp_path: Path) -> None:
    for content in (b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile '/etc/passwd'\n", b"<svg/>"):
        path = tmp_path / "photo.png"
        path.write_bytes(content)
        with pytest.raises(NotMedia):
            await made(path, tmp_path)


async def test_a_damaged_picture_is_no_picture(tmp_path: Path) -> None:
    path = plain(tmp_path / "plain.png")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises((BrokenMedia, TranscodeFailed)):
        await made(path, tmp_path)


async def test_a_picture_that_is_too_large_is_told_its_size(tmp_path: Path) -> None:
    path = plain(tmp_path / "plain.jpg", "red", "8000x6000")
    with pytest.raises(AbsurdMedia, match="8000 x 6000"):
        await made(path, tmp_path, width="100")


async def test_nothing_lies_behind_the_end(films: Films, tmp_path: Path) -> None:
    for name in ("mp4", "jpeg", "gif", "mp3"):
        with pytest.raises(TranscodeFailed):
            await made(films.film(Film(seconds=1)), tmp_path, format=name, start="5")


async def test_a_result_may_not_be_larger_than_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        await made(plain(tmp_path / "plain.png"), tmp_path, width="16000")


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif"])
async def test_a_colour_profile_does_not_come_along(name: str, tmp_path: Path) -> None:
    source = with_profile(plain(tmp_path / "photo.png"))
    content = (await made(source, tmp_path, format=name)).read_bytes()
    for word in (b"ICC_PROFILE", b"iCCP", b"ICCP"):
        assert word not in content
