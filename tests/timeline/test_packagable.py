"""Which tracks are packaged, and that a packaged track is the source's, packet by packet: ffprobe and ffmpeg are the judges."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from operator import add
from pathlib import Path

import pytest

from media_service.mp4.init_segment import read_init
from media_service.mp4.progressive import ProgressiveSegment, ProgressiveTrack, build_header
from media_service.mp4.samples import Edit
from media_service.timeline.index_codec import encode
from media_service.timeline.packagable import packagable
from media_service.timeline.stored_index import StoredIndex
from tests.support.films import Film, Films
from tests.support.media import decoded, ffmpeg, probe
from tests.support.packaged import Looked, PackagedRendition, look, package
from tests.support.shared import corpus, shared_file
from tests.timeline.tracks import whole_index

SECONDS = 9
PICTURE = ["-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=25:duration={SECONDS}"]
FILM_RATE = ["-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=24000/1001:duration={SECONDS}"]
SOUND = ["-f", "lavfi", "-i", f"sine=frequency=440:beep_factor=4:sample_rate=48000:duration={SECONDS}"]
SOUND_44 = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=44100:duration={SECONDS}"]
AAC = ["-c:a", "aac", "-b:a", "64k"]
H264 = ["-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "50", "-pix_fmt", "yuv420p", *AAC]
H265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", *AAC, "-x265-params"]
FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof"

MADE: dict[str, tuple[str, list[str]]] = {
    "B frames": ("mp4", [*PICTURE, *SOUND, *H264]),
    "film rate in QuickTime": ("mov", [*FILM_RATE, *SOUND_44, *H264]),
    "one tick per frame": ("mp4", [*PICTURE, *SOUND, *H264, "-video_track_timescale", "25"]),
    "composition before decoding": ("mp4", [*PICTURE, *SOUND, *H264, "-movflags", "+negative_cts_offsets"]),
    "fragments": ("mp4", [*PICTURE, *SOUND, *H264, "-movflags", FRAGMENTED]),
    "fragments with absolute offsets": ("mp4", [*PICTURE, *SOUND, *H264, "-movflags", "+frag_keyframe+empty_moov"]),
    "keyframes only": ("mp4", [*PICTURE, *SOUND, *H264, "-g", "1"]),
    "HEVC in open groups": ("mp4", [*PICTURE, *SOUND, *H265, "log-level=error:keyint=50:min-keyint=50", "-tag:v", "hev1"]),
    "HEVC in closed groups": ("mp4", [*PICTURE, *SOUND, *H265, "log-level=error:keyint=50:open-gop=0"]),
    "picture later than sound": ("mp4", ["-itsoffset", "0.7", *PICTURE, *SOUND, *H264]),
    "VP9": ("mp4", [*PICTURE, *SOUND, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50", *AAC]),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films by name, made when they are first asked for."""
    directory = tmp_path_factory.mktemp("packagable")

    class Made(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            container, argv = MADE[name]
            path = directory / f"{name}.{container}"
            ffmpeg(*argv, "-fflags", "+bitexact", path)
            self[name] = path
            return path

    return Made()


FILES = [
    entry["file"] for entry in corpus() if entry["file"].endswith(".mp4") and entry["expected"] != "reject"
]


@pytest.mark.parametrize("name", FILES)
async def test_packets_of_the_corpus_are_the_sources_own(name: str, tmp_path: Path) -> None:
    source = shared_file(f"corpus/{name}")
    compared = [compare(source, one, tmp_path) for one in (await package(source)).values()]
    assert_in_time(compared)


@pytest.mark.parametrize("name", MADE)
async def test_packets_and_pictures_are_the_sources_own(
    name: str, made: dict[str, Path], tmp_path: Path
) -> None:
    renditions = await package(made[name])
    assert {one.made.kind for one in renditions.values()} == {"video", "audio"}
    compared = [compare(made[name], one, tmp_path) for one in renditions.values()]
    assert_in_time(compared)
    (picture,) = (each.path for each in compared if each.kind == "video")
    ours, theirs = decoded(picture), decoded(made[name], "-an")
    assert [line.split(",")[-1] for line in ours] == [line.split(",")[-1] for line in theirs]


@dataclass(frozen=True)
class Compared:
    """A packaged track in a file of its own, and how much earlier it is than in the source (s)."""

    path: Path
    kind: str
    earlier: Fraction


def compare(source: Path, one: PackagedRendition, directory: Path) -> Compared:
    """The track by ffprobe, held against the source by ffprobe: count, order, times, sizes and the bytes."""
    path = directory / f"packaged-{one.made.stream}.mp4"
    path.write_bytes(one.file())
    ours, theirs = hashed_packets(path, 0), hashed_packets(source, one.made.stream)
    # What the edit list cuts away, and sound that begins before the film, is not packaged.
    theirs = theirs[len(theirs) - len(ours) :]
    assert [row[2:] for row in ours] == [row[2:] for row in theirs]
    assert one.rendition.packaged is not None
    columns = one.track.columns(one.rendition.packaged.packets[0], one.rendition.packaged.packets[-1])
    shown = columns.only(columns.shown)
    assert [row[0] for row in ours] == [time * one.scale for time in shown.times]
    decode_times = [row[1] for row in ours]
    assert decode_times[0] >= 0
    assert decode_times == sorted(set(decode_times))
    assert_fits_its_playlist(one)
    (earlier,) = {their[0] * one.scale - our[0] for our, their in zip(ours, theirs, strict=True)}
    return Compared(path, one.made.kind, Fraction(earlier, one.made.timescale))


def hashed_packets(path: Path, stream: int) -> list[tuple[int, int, int, str]]:
    """Presentation and decode time, size and MD5 of each packet."""
    shown = probe(path, "-select_streams", str(stream), "-show_packets", "-show_data_hash", "md5")
    return [
        (packet["pts"], packet["dts"], int(packet["size"]), packet["data_hash"])
        for packet in shown["packets"]
    ]


def assert_in_time(compared: list[Compared]) -> None:
    """Picture and sound are as far apart as in the source."""
    moves = [each.earlier for each in compared]
    assert max(moves, default=Fraction(0)) - min(moves, default=Fraction(0)) < Fraction(1, 1000)


def assert_fits_its_playlist(one: PackagedRendition) -> None:
    """Each segment begins at its boundary, but for open groups and the first packet of a sound; and all are filled."""
    boundaries = one.rendition.boundaries
    stops = [*(each.base_time for each in one.segments[1:]), boundaries[-1]]
    for number, (each, stop) in enumerate(zip(one.segments, stops, strict=True)):
        decode_times = list(accumulate((sample.duration for sample in each.samples), initial=each.base_time))
        assert decode_times[-1] == stop
        offsets = [sample.composition_offset for sample in each.samples]
        assert min(offsets) >= 0
        open_group = min(map(add, decode_times, offsets)) < boundaries[number]
        if not open_group and (number or one.made.kind == "video"):
            assert each.base_time == boundaries[number]


@pytest.mark.parametrize("name", ["B frames", "picture later than sound", "one tick per frame"])
async def test_a_classic_film_of_it_has_the_same_packets(
    name: str, made: dict[str, Path], tmp_path: Path
) -> None:
    renditions = list((await package(made[name])).values())
    layout = build_header(
        [
            ProgressiveTrack(
                read_init(one.made.init),
                [ProgressiveSegment(each.base_time, each.samples) for each in one.segments],
            )
            for one in renditions
        ]
    )
    payloads = (
        renditions[track].bytes_of(number)[len(renditions[track].segments[number].head) :]
        for track, number in layout.order
    )
    path = tmp_path / "classic.mp4"
    path.write_bytes(layout.header + b"".join(payloads))
    for number, one in enumerate(renditions):
        fragments = tmp_path / f"{number}.mp4"
        fragments.write_bytes(one.file())
        ours, theirs = hashed_packets(path, number), hashed_packets(fragments, 0)
        assert [(row[0], *row[2:]) for row in ours] == [(row[0], *row[2:]) for row in theirs]


async def test_what_a_player_is_told(made: dict[str, Path]) -> None:
    looked = await look(made["film rate in QuickTime"])
    found = looked.packagable()
    picture, sound = found[0], found[1]
    assert (picture.width, picture.height, picture.timescale, picture.video_range) == (192, 108, 24000, "SDR")
    assert picture.codecs.startswith("avc1.6400")
    assert picture.frame_rate == pytest.approx(24000 / 1001, rel=1e-6)
    assert (sound.codecs, sound.channels, sound.sample_rate, sound.timescale) == (
        "mp4a.40.2",
        1,
        44100,
        44100,
    )
    # QuickTime's description of sound, with what players need inside "wave", has become ISO's.
    entry = read_init(sound.init)
    assert (entry.codec, entry.channels, entry.sample_rate) == ("mp4a.40.2", 1, 44100)
    assert b"wave" in looked.view.box
    assert b"wave" not in sound.init


async def test_init_segments_are_the_same_every_time_and_say_hvc1(made: dict[str, Path]) -> None:
    looked = await look(made["HEVC in open groups"])
    first, second = looked.packagable(), looked.packagable()
    assert first == second
    assert b"hev1" in looked.view.box
    assert first[0].codecs.startswith("hvc1.1.6.")
    assert read_init(first[0].init).codec == first[0].codecs


async def test_high_dynamic_range_says_so() -> None:
    found = (await look(shared_file("corpus/hevc_hlg10_1080p.mp4"))).packagable()
    assert found[1].video_range == "HLG"
    assert found[1].codecs.startswith("hvc1.2.4.")


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
async def test_a_turned_picture_stays_turned(films: Films, tmp_path: Path, rotation: int) -> None:
    found = await package(films.film(Film(rotation=rotation, audio=False)))
    upright = (180, 320) if rotation in {90, 270} else (320, 180)
    assert (found[0].made.width, found[0].made.height) == upright
    (tmp_path / "film.mp4").write_bytes(found[0].file())
    assert read_init(found[0].made.init).rotation == rotation
    again = (await look(tmp_path / "film.mp4")).facts.video
    assert again is not None
    assert again.rotation == rotation


REFUSED: dict[str, tuple[str, list[str]]] = {
    "H.264 in open groups": ("mp4", [*PICTURE, *H264, "-x264-params", "open-gop=1:scenecut=0", "-an"]),
    "10 bits of H.264": ("mp4", [*PICTURE, *H264, "-pix_fmt", "yuv420p10le", "-an"]),
    "4:2:2": ("mp4", [*PICTURE, *H264, "-pix_fmt", "yuv422p", "-an"]),
    "interlaced": ("mp4", [*PICTURE, *H264, "-flags", "+ilme+ildct", "-an"]),
    "MPEG-4 Part 2": ("mp4", [*PICTURE, "-c:v", "mpeg4", "-an"]),
    "Motion JPEG": ("mov", [*PICTURE, "-c:v", "mjpeg", "-an"]),
    "5.1": ("mp4", [*SOUND, *AAC, "-ac", "6"]),
    "Opus": ("mp4", [*SOUND, "-c:a", "libopus"]),
    "MP3": ("mp4", [*SOUND, "-c:a", "libmp3lame"]),
    "raw sound": ("mov", [*SOUND, "-c:a", "pcm_s16le"]),
    "sound that begins late": ("mp4", ["-itsoffset", "0.3", *SOUND, *PICTURE, *AAC, "-map", "0:a", "-map", "1:v", "-c:v", "mpeg4"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_some_player_does_not_take_is_encoded(name: str, tmp_path: Path) -> None:
    container, argv = REFUSED[name]
    ffmpeg(*argv, tmp_path / f"film.{container}")
    assert (await look(tmp_path / f"film.{container}")).packagable() == {}


async def test_a_film_that_begins_in_the_middle_of_a_group_is_encoded(
    made: dict[str, Path], tmp_path: Path
) -> None:
    """Its edit list begins between keyframes: what comes before would have to be decoded and not shown."""
    ffmpeg("-ss", "1", "-i", made["B frames"], "-c", "copy", tmp_path / "film.mp4")
    found = (await look(tmp_path / "film.mp4")).packagable()
    assert [one.kind for one in found.values()] == ["audio"]


@pytest.fixture
async def looked(made: dict[str, Path]) -> Looked:
    return await look(made["B frames"])


async def test_what_the_movie_says_of_its_entries_and_its_matrix_counts(looked: Looked) -> None:
    moov, movie = looked.view.box, looked.view.movie

    def kinds(box: bytes) -> list[str]:
        return [one.kind for one in packagable(looked.facts, movie, looked.index, box).values()]

    assert kinds(moov) == ["video", "audio"]
    matrix = moov.index(b"tkhd") + 44
    mirrored = moov[:matrix] + b"\xff\xff\0\0" + moov[matrix + 4 :]
    assert kinds(mirrored) == ["audio"]
    count = moov.index(b"stsd") + 8
    assert kinds(moov[:count] + b"\0\0\0\2" + moov[count + 4 :]) == ["video", "audio"], "none uses the second"
    chunks = moov.index(b"stsc") + 20
    two = moov[:count] + b"\0\0\0\2" + moov[count + 4 : chunks] + b"\0\0\0\2" + moov[chunks + 4 :]
    assert kinds(two) == ["audio"]


async def test_several_edits_and_unknown_places_are_encoded(looked: Looked) -> None:
    movie = looked.view.movie
    edited = tuple(replace(track, edits=(Edit(1000, 0), Edit(1000, 50_000))) for track in movie.tracks)
    assert packagable(looked.facts, replace(movie, tracks=edited), looked.index, looked.view.box) == {}
    whole = whole_index(looked.index)
    inexact = replace(whole, tracks=tuple(replace(track, exact_offsets=False) for track in whole.tracks))
    assert packagable(looked.facts, movie, StoredIndex(encode(inexact)), looked.view.box) == {}


async def test_an_order_that_no_decoder_takes_is_encoded(looked: Looked) -> None:
    whole = whole_index(looked.index)
    columns = whole.tracks[0].columns
    times = columns.times[:1] + columns.times[60:100] + columns.times[1:60] + columns.times[100:]
    shuffled = replace(whole.tracks[0], columns=replace(columns, times=times))
    index = StoredIndex(encode(replace(whole, tracks=(shuffled, *whole.tracks[1:]))))
    found = packagable(looked.facts, looked.view.movie, index, looked.view.box)
    assert [one.kind for one in found.values()] == ["audio"]


async def test_packets_closer_than_their_decode_times_can_be_are_encoded(looked: Looked) -> None:
    """Decode times are 20 us apart at least; these packets 10 us, on a clock that counts microseconds."""
    whole = whole_index(looked.index)
    kinds = []
    for closest in (10, 20):
        crowded = tuple(
            replace(
                one,
                timescale=1_000_000,
                start=0,
                stop=closest * len(one.columns),
                columns=replace(
                    one.columns,
                    times=array("q", range(0, closest * len(one.columns), closest)),
                    decode_times=array("q", range(0, closest * len(one.columns), closest)),
                ),
            )
            for one in whole.tracks
        )
        index = StoredIndex(encode(replace(whole, tracks=crowded)))
        found = packagable(looked.facts, looked.view.movie, index, looked.view.box)
        kinds.append([one.kind for one in found.values()])
    assert kinds == [[], ["video", "audio"]]
