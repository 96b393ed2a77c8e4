"""The recipes: what they say to ffmpeg, stills, init segments and subtitles. Runs have modules of their own."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from media_service.errors import TranscodeFailed
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.mp4.init_segment import build_init
from media_service.timeline.cutting import AudioCut, VideoCut, video_cut
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.ladder import AudioRendition, VideoRendition, audio_renditions, video_renditions
from media_service.timeline.sound_stamps import Stamps, Stretch
from tests.ffmpeg.running import (
    LIMITS,
    first_bytes,
    opened,
    outlined,
    picture_segments,
    pictures,
    sound_segments,
    source_of,
)
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, probe
from tests.support.shared import shared_file

# --- init segments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["hevc_hlg10_1080p.mp4", "vp9_odd_161x121.webm", "bbb_480p_30s_51_moovend.mp4"]
)
async def test_the_init_segment_is_there_before_anything_is_decoded(name: str) -> None:
    """The very bytes of every later run, and with the codec that playlists promise."""
    with opened(shared_file(f"corpus/{name}")) as fd:
        source = await source_of(fd)
        videos = video_renditions(source.facts, packaged=False)
        audios = audio_renditions(source.facts, packaged=())
        inits = await first_bytes(videos, audios)
        for video in videos:
            made = await picture_segments(source, video, 0, 1)
            assert build_init(made.init) == inits[video.name]
            assert made.init.codec == video.codecs
        for audio in audios:
            _, heard, _ = await sound_segments(source, audio, 0, 1)
            assert build_init(heard.init) == inits[audio.name]
            assert heard.init.codec == "mp4a.40.2"


async def test_the_init_segment_is_the_same_wherever_a_run_begins_and_however_many_threads_it_has(
    films: Films,
) -> None:
    with opened(films.film(Film(seconds=9, fps=30))) as fd:
        source = await source_of(fd)
        (rendition,) = video_renditions(source.facts, packaged=False)
        outline = outlined(source, rendition)
        found = set()
        for first, threads in ((0, 1), (0, 4), (1, 2), (1, 3)):
            cut = video_cut(source.facts, source.track(outline.stream), outline, first, outline.count)
            (made,) = await pictures(source, [rendition], cut, threads=threads)
            found.add(build_init(made.init))
        assert len(found) == 1


# --- subtitles ---------------------------------------------------------------------------------------------------


async def _subtitles(path: Path, stream: int) -> str:
    with opened(path) as fd, Pipe() as out:
        argv = recipes.subtitles(source_fd=fd, stream=stream, limits=LIMITS)
        async with start(argv, limits=LIMITS, pass_fds=(fd,), stdout=out):
            return (await out.read_all()).decode()


@pytest.mark.parametrize(("container", "codec"), [("mkv", "subrip"), ("mkv", "ass"), ("mp4", "mov_text")])
@pytest.mark.parametrize("begins", [0, 5])
async def test_subtitles_become_webvtt_in_film_times(
    container: str, codec: str, begins: int, films: Films, tmp_path: Path
) -> None:
    """Also of a film whose clock does not begin at 0."""
    text = "1\n00:00:00,500 --> 00:00:01,250\nOne & <i>two</i>\n\n2\n00:20:03,004 --> 00:20:04,000\nLate\n"
    (tmp_path / "lines.srt").write_text(text)
    path = tmp_path / f"film.{container}"
    shifted = ("-itsoffset", str(begins))
    inputs = (*shifted, "-i", films.film(Film(audio=False)), *shifted, "-i", tmp_path / "lines.srt")
    kept = ("-avoid_negative_ts", "disabled", "-movflags", "+frag_keyframe+empty_moov")
    ffmpeg(
        *inputs,
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        "-c:s",
        codec,
        *(kept if container == "mkv" else ()),
        path,
    )
    stream = next(
        one["index"] for one in probe(path, "-show_streams")["streams"] if one["codec_type"] == "subtitle"
    )
    written = await _subtitles(path, stream)
    assert written.startswith("WEBVTT\n")
    assert "00:00.500 --> 00:01.250" in written
    assert "20:03.004 --> 20:04.000\nLate" in written


async def test_a_track_that_is_no_subtitle_is_a_failure(films: Films) -> None:
    with pytest.raises(TranscodeFailed):
        await _subtitles(films.film(), 7)


# --- the argv itself ---------------------------------------------------------------------------------------------

FILM = Facts(
    container="mov",
    video=VideoFacts(index=2, codec="h264", width=1280, height=720, frame_rate=(60, 1)),
    audio=(
        AudioFacts(index=0, codec="ac-4", channels=2, sample_rate=48000, decodable=False),
        AudioFacts(index=4, codec="aac", channels=6, sample_rate=44_100),
    ),
)
TOP = VideoRendition(
    name="720p", width=1280, height=720, level=32, max_bits_per_second=5_500_000, frame_rate=60
)
LOW = msgspec.structs.replace(TOP, name="240p", width=426, height=240, level=13, frame_step=2)
SOUND = AudioRendition(name="audio-51", stream=4, channels=6, bits_per_second=384_000, label="5.1")
PICTURES = VideoCut(
    seek=Fraction(2),
    delay=Fraction(0),
    starts=(Fraction(399, 100), Fraction(799, 100)),
    stop=Fraction(1199, 100),
    keyframes=(Fraction(399, 100), Fraction(599, 100), Fraction(799, 100)),
)
SOUNDS = AudioCut(
    seek=Fraction(1, 2),
    start=40_960,
    stop=204_800,
    first=192_512,
    end=200_704,
    stamps=Stamps(
        exact=True,
        quantum=1024,
        packet_seconds=Fraction(1024, 44_100),
        stretches=(Stretch(Fraction(0), 7), Stretch(Fraction(3), 9)),
    ),
    fill=False,
    silent=False,
)


def video_argv(cut: VideoCut = PICTURES) -> list[str]:
    return recipes.video_run(
        FILM,
        source_fd=9,
        renditions=[(TOP, 11), (LOW, 13)],
        cut=cut,
        progress_fd=15,
        limits=Limits(),
        threads=2,
    )


def audio_argv(cut: AudioCut = SOUNDS) -> list[str]:
    return recipes.audio_run(
        FILM, source_fd=9, rendition=SOUND, pipe_fd=11, cut=cut, progress_fd=15, limits=Limits()
    )


def values(argv: list[str], option: str) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == option]


def test_one_decode_feeds_all_rungs_each_into_its_own_pipe() -> None:
    argv = video_argv()
    assert argv[0] == "ffmpeg"
    assert values(argv, "-i") == ["/proc/self/fd/9"]
    assert [word for word in argv if word.startswith("pipe:")] == ["pipe:11", "pipe:13", "pipe:15"]
    (graph,) = values(argv, "-filter_complex")
    assert graph.startswith("[0:2]trim=end=11.990000:start=3.990000")
    assert "split=2" in graph
    assert graph.count("select=") == 1
    assert values(argv, "-level") == ["32", "13"]
    assert values(argv, "-maxrate") == values(argv, "-bufsize") == ["5500000"] * 2
    assert values(argv, "-force_key_frames") == ["3.990000,5.990000,7.990000"] * 2


@pytest.mark.parametrize("argv", [video_argv(), audio_argv()])
def test_a_stranger_s_file_is_opened_behind_the_fence_and_never_without_an_end(argv: list[str]) -> None:
    source = argv.index("-i")
    for option in ("-format_whitelist", "-protocol_whitelist", "-max_pixels", "-max_streams", "-ss"):
        assert argv.index(option) < source
    ends = values(argv, "-t")
    assert len(ends) == sum(word.startswith("pipe:") for word in argv) - 1
    assert all(float(end) < 13 for end in ends)
    assert set(values(argv, "-map_metadata")) == {"-1"}


def test_reading_begins_with_the_film_where_nothing_else_is_said() -> None:
    assert "-ss" not in video_argv(replace(PICTURES, seek=None))
    assert "-ss" not in audio_argv(replace(SOUNDS, seek=None))


def test_sound_is_put_in_its_place_and_cut_before_it_is_resampled() -> None:
    (graph,) = values(audio_argv(), "-filter_complex")
    order = ["[0:4]asetpts=", "atrim=", "aresample=", "apad", "atrim=", "aformat=channel_layouts=5.1"]
    places = [graph.index(order[0])]
    for name in order[1:]:
        places.append(graph.index(name, places[-1] + 1))
    assert places == sorted(places)
    assert "first_pts" not in graph


def test_silence_goes_in_front_only_where_the_source_has_it() -> None:
    (graph,) = values(audio_argv(replace(SOUNDS, fill=True)), "-filter_complex")
    assert f"first_pts={40_960 * 44_100 // 48_000}" in graph


def test_a_run_of_silence_reads_no_file() -> None:
    argv = audio_argv(replace(SOUNDS, silent=True))
    assert values(argv, "-i") == ["anullsrc=r=48000:cl=5.1"]


def test_tracks_that_are_not_there_cannot_be_made() -> None:
    empty = Facts(container="mov")
    given = {"source_fd": 9, "progress_fd": 15, "limits": Limits()}
    with pytest.raises(ValueError, match="no picture"):
        recipes.video_run(empty, renditions=[(TOP, 11)], cut=PICTURES, threads=1, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no such track"):
        recipes.audio_run(empty, rendition=SOUND, pipe_fd=11, cut=SOUNDS, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing"):
        recipes.video_run(FILM, renditions=[], cut=PICTURES, threads=1, **given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing"):
        recipes.inits([], [], progress_fd=15)
