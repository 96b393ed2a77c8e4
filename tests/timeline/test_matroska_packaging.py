"""Packaged tracks of Matroska and WebM are the source's, packet by packet: ffprobe and ffmpeg are the judges."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from media_service.matroska.tracks import Colour
from media_service.mp4.init_segment import read_init
from media_service.timeline.facts import Facts
from media_service.timeline.matroska_packaging import packagable_matroska
from tests.support.media import decoded, ffmpeg, probe
from tests.support.packaged import LookedMatroska, PackagedRendition, look_matroska, package
from tests.support.shared import corpus, shared_file
from tests.support.tracks import tracks
from tests.timeline.test_packagable import Compared, assert_fits_its_playlist

SECONDS = 9
PICTURE = ["-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=24000/1001:duration={SECONDS}"]
SOUND = ["-f", "lavfi", "-i", f"sine=frequency=440:beep_factor=4:sample_rate=44100:duration={SECONDS}"]
AAC = ["-c:a", "aac", "-b:a", "64k"]
H264 = ["-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "48", "-pix_fmt", "yuv420p", *AAC]
H265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", *AAC, "-x265-params"]
AV1 = ["-c:v", "libsvtav1", "-preset", "12", "-g", "48", "-pix_fmt", "yuv420p", "-c:a", "libopus"]
VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "48", "-c:a", "libopus"]
WITHIN = Fraction(1, 1000)  # s: what Matroska rounds times to
IN_TIME = 0.020  # s

MADE: dict[str, tuple[str, list[str], list[str]]] = {
    "B frames": ("mkv", [*PICTURE, *SOUND, *H264], ["avc1.64", "mp4a.40.2"]),
    "live": ("mkv", [*PICTURE, *SOUND, *H264, "-live", "1"], ["avc1.64", "mp4a.40.2"]),
    "picture later than sound": ("mkv", ["-itsoffset", "0.7", *PICTURE, *SOUND, *H264], ["avc1.64", "mp4a.40.2"]),
    "sound first": ("mkv", [*PICTURE, *SOUND, *H264, "-map", "1", "-map", "0"], ["mp4a.40.2", "avc1.64"]),
    "HEVC": ("mkv", [*PICTURE, *SOUND, *H265, "log-level=error:keyint=48:open-gop=0"], ["hvc1.2.4.", "mp4a.40.2"]),
    "AV1": ("webm", [*PICTURE, *SOUND, *AV1], ["av01.0.00M.08"]),
    "VP9": ("webm", [*PICTURE, *SOUND, *VP9], ["vp09.00."]),
    "VP9 of 10 bits": ("webm", [*PICTURE, *VP9, "-pix_fmt", "yuv420p10le"], ["vp09.02."]),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films by name, made when they are first asked for."""
    directory = tmp_path_factory.mktemp("matroska")

    class Made(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            container, argv, _ = MADE[name]
            path = directory / f"{name}.{container}"
            ffmpeg(*argv, path)
            self[name] = path
            return path

    return Made()


def compare(source: Path, one: PackagedRendition, directory: Path) -> Compared:
    """The track by ffprobe, held against the source by ffprobe: count, order, sizes, the bytes, and times within a tick."""
    path = directory / f"packaged-{one.made.stream}.mp4"
    path.write_bytes(one.file())
    ours, theirs = hashed_packets(path, 0), hashed_packets(source, one.made.stream)
    assert [row[1:] for row in ours] == [row[1:] for row in theirs]
    assert_fits_its_playlist(one)
    assert all(sample.duration > 0 for each in one.segments for sample in each.samples)
    earlier = [
        Fraction(their[0], 1000) - Fraction(our[0], one.made.timescale)
        for our, their in zip(ours, theirs, strict=True)
    ]
    assert max(earlier) - min(earlier) <= 2 * WITHIN
    if one.made.kind == "audio":
        assert {after[0] - before[0] for before, after in pairwise(ours)} == {1024}
    else:
        assert len(set(earlier)) == 1
    return Compared(path, one.made.kind, earlier[0])


def hashed_packets(path: Path, stream: int) -> list[tuple[int, int, str]]:
    """Presentation time, size and MD5 of each packet."""
    shown = probe(path, "-select_streams", str(stream), "-show_packets", "-show_data_hash", "md5")
    return [(packet["pts"], int(packet["size"]), packet["data_hash"]) for packet in shown["packets"]]


@pytest.mark.parametrize("name", MADE)
async def test_packets_and_frames_are_the_sources_own(
    name: str, made: dict[str, Path], tmp_path: Path
) -> None:
    source, codecs = made[name], MADE[name][2]
    renditions = await package(source)
    assert len(renditions) == len(codecs)
    for one, codec in zip(renditions.values(), codecs, strict=True):
        assert one.made.codecs.startswith(codec)
        assert read_init(one.made.init).codec == one.made.codecs
    compared = [compare(source, one, tmp_path) for one in renditions.values()]
    moves = [each.earlier for each in compared]
    assert max(moves) - min(moves) <= 2 * WITHIN
    for each in compared:
        ours, theirs = (
            decoded(path, "-vn" if each.kind == "audio" else "-an") for path in (each.path, source)
        )
        assert [line.split(",")[-1] for line in ours] == [line.split(",")[-1] for line in theirs]
        assert ours


async def test_picture_and_sound_put_together_are_as_far_apart_as_in_the_source(
    made: dict[str, Path], tmp_path: Path
) -> None:
    for name in ("B frames", "picture later than sound"):
        for one in (await package(made[name])).values():
            (tmp_path / f"{one.made.kind}.mp4").write_bytes(one.file())
        picture, sound, both = (tmp_path / each for each in ("video.mp4", "audio.mp4", "both.mp4"))
        ffmpeg("-i", picture, "-i", sound, "-c", "copy", "-copyts", both)
        ours, theirs = tracks(both).offset, tracks(made[name]).offset
        assert ours is not None
        assert theirs == pytest.approx(ours, abs=IN_TIME)


FILES = [entry["file"] for entry in corpus("ok") if entry["file"].endswith((".mkv", ".webm"))]


@pytest.mark.parametrize("name", FILES)
async def test_pictures_of_the_corpus_are_the_sources_own(name: str, tmp_path: Path) -> None:
    source = shared_file(f"corpus/{name}")
    renditions = await package(source)
    assert [one.made.kind for one in renditions.values()] == ["video"], "their sounds are not of AAC"
    for one in renditions.values():
        compare(source, one, tmp_path)


REFUSED: dict[str, tuple[str, list[str]]] = {
    "H.264 in open groups": ("mkv", [*PICTURE, *H264, "-x264-params", "open-gop=1:scenecut=0", "-an"]),
    "10 bits of H.264": ("mkv", [*PICTURE, *H264, "-pix_fmt", "yuv420p10le", "-an"]),
    "interlaced": ("mkv", [*PICTURE, *H264, "-flags", "+ilme+ildct", "-field_order", "tt", "-an"]),
    "VP8": ("webm", [*PICTURE, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]),
    "4:4:4 of VP9": ("webm", [*PICTURE, *VP9, "-pix_fmt", "yuv444p"]),
    "5.1": ("mkv", [*SOUND, *AAC, "-ac", "6"]),
    "Opus": ("webm", [*SOUND, "-c:a", "libopus"]),
    "MP3": ("mkv", [*SOUND, "-c:a", "libmp3lame"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_some_player_does_not_take_is_encoded(name: str, tmp_path: Path) -> None:
    container, argv = REFUSED[name]
    ffmpeg(*argv, tmp_path / f"film.{container}")
    assert (await look_matroska(tmp_path / f"film.{container}")).packagable() == {}


@pytest.fixture
async def looked(made: dict[str, Path]) -> LookedMatroska:
    return await look_matroska(made["B frames"])


@pytest.mark.parametrize("private", [b"", b"\1", b"\0\0\0\1\x67\x64\0\x0b", b"\1\x64\0\x0b\xff\xe0\0"])
async def test_a_track_without_its_decoders_record_is_encoded(looked: LookedMatroska, private: bytes) -> None:
    tracks = {stream: replace(track, private=private) for stream, track in looked.tracks.items()}
    found = packagable_matroska(looked.facts, {0: tracks[0]}, looked.index)
    assert found == {}
    assert packagable_matroska(looked.facts, {1: tracks[1]}, looked.index) == {}


def with_video(facts: Facts, **changes: Any) -> Facts:
    assert facts.video is not None
    return msgspec.structs.replace(facts, video=msgspec.structs.replace(facts.video, **changes))


@pytest.mark.parametrize(
    ("size", "level"),
    [((192, 108), "1"), ((640, 360), "2"), ((1920, 1080), "4"), ((3840, 2160), "5"), ((9000, 9000), None)],
)
async def test_vp9_is_of_the_level_of_its_size(
    made: dict[str, Path], size: tuple[int, int], level: str | None
) -> None:
    looked = await look_matroska(made["VP9"])
    facts = with_video(looked.facts, width=size[0], height=size[1])
    found = [one.codecs for one in packagable_matroska(facts, looked.tracks, looked.index).values()]
    assert [name[8:9] for name in found] == ([] if level is None else [level])


async def test_a_turned_picture_is_encoded(looked: LookedMatroska) -> None:
    facts = with_video(looked.facts, rotation=90)
    assert [one.kind for one in packagable_matroska(facts, looked.tracks, looked.index).values()] == ["audio"]


async def test_colours_and_shape_are_told(made: dict[str, Path], tmp_path: Path) -> None:
    colours = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    ffmpeg(*PICTURE, *H264, *colours, "-vf", "setsar=4/3", tmp_path / "film.mkv")
    looked = await look_matroska(tmp_path / "film.mkv")
    assert looked.tracks[0].colour == Colour(primaries=9, transfer=16, matrix=9)
    (found,) = looked.packagable().values()
    assert (found.width, found.height, found.video_range) == (256, 108, "PQ")
    (one,) = (await package(tmp_path / "film.mkv")).values()
    (tmp_path / "packaged.mp4").write_bytes(one.file())
    (shown,) = probe(tmp_path / "packaged.mp4", "-show_streams")["streams"]
    assert shown["sample_aspect_ratio"] == "4:3"
    assert (shown["color_primaries"], shown["color_transfer"]) == ("bt2020", "smpte2084")
