"""The recipes on real films: frames, times, sound against picture, colours, sizes. ffprobe and ffmpeg are the judges."""

from __future__ import annotations

import json
import os
import subprocess
from array import array
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import TranscodeFailed
from media_service.ffmpeg import recipes
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.process import start
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.ladder import AudioRendition, VideoRendition
from tests.ffmpeg.transcoding import DAY, LIMITS, PRIMING, Transcoded, transcode
from tests.support.media import ffmpeg
from tests.support.shared import corpus, shared_file

STOP_SECONDS = 2.0  # of the longer films
TICK = 1.5 / recipes.VIDEO_TIMESCALE  # rounding of both sides


def source_times(path: Path, index: int, start_seconds: float) -> list[float]:
    """Presentation times of the frames that are shown, sorted, from the start of the file's earliest track."""
    argv = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "packet=stream_index,pts_time,flags",
        "-of",
        "json",
        str(path),
    ]
    found = json.loads(subprocess.check_output(argv))["packets"]
    return sorted(
        float(packet["pts_time"]) - start_seconds
        for packet in found
        if packet["stream_index"] == index and "D" not in packet["flags"]
    )


def judged(path: Path, data: bytes) -> dict[str, Any]:
    path.write_bytes(data)
    argv = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    stream: dict[str, Any] = json.loads(subprocess.check_output(argv))["streams"][0]
    return stream


@pytest.mark.parametrize("entry", corpus("ok"), ids=lambda entry: entry["file"])
async def test_every_frame_and_every_second_of_the_corpus_comes_out(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    path = shared_file(f"corpus/{entry['file']}")
    long = 3 < float(entry["ffprobe"]["duration"]) < DAY
    made = await transcode(path, STOP_SECONDS if long else None)
    track = made.facts.video
    assert track is not None
    assert made.video is not None
    sent = source_times(path, track.index, made.facts.start_seconds)
    expected = [time for time in sent if not long or time < STOP_SECONDS - TICK]
    # Every frame, each at its own time: variable rates, late starts and huge clocks included.
    assert len(made.video.times) == len(expected)
    # ffprobe prints microseconds, Matroska keeps milliseconds and the demuxer rebuilds what lies between.
    assert max(abs(ours - theirs) for ours, theirs in zip(made.video.times, expected, strict=True)) < 0.0015
    if not long:
        stop = made.packets.stop_seconds(track.index)
        assert made.video.stop == pytest.approx(stop, abs=0.05)
    whole = judged(tmp_path / "video.mp4", made.video.data)
    upright = track.display_size
    assert int(whole["nb_read_frames"]) == len(expected)
    assert (whole["codec_name"], whole["profile"], whole["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert whole["width"] % 2 == whole["height"] % 2 == 0
    assert whole["width"] / whole["height"] == pytest.approx(upright[0] / upright[1], rel=0.02)
    assert (whole["color_space"], whole["color_range"]) == ("bt709", "tv")
    assert not whole.get("side_data_list"), "no rotation is left to do"
    assert_sound_in_time(made, STOP_SECONDS if long else None)


def assert_sound_in_time(made: Transcoded, stop_seconds: float | None) -> None:
    """Both tracks keep their own start and end, so their offset is the source's."""
    if made.audio is None:
        assert made.facts.main_audio is None
        return
    assert made.facts.main_audio is not None
    source = made.packets.stream(made.facts.main_audio.index)
    assert source.start_seconds is not None
    assert source.stop_seconds is not None
    assert made.audio.times[0] + PRIMING == pytest.approx(source.start_seconds, abs=0.02)
    stop = source.stop_seconds if stop_seconds is None else min(source.stop_seconds, stop_seconds)
    assert made.audio.stop == pytest.approx(stop, abs=0.05)


async def test_keyframes_lie_two_seconds_apart(films_path: Path) -> None:
    made = await transcode(films_path)
    assert made.video is not None
    assert made.video.key_times == pytest.approx([0.0, 2.0, 4.0])


@pytest.fixture(scope="module")
def films_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds at 25 frames per second, in which each whole second begins with a white frame and a click."""
    path = tmp_path_factory.mktemp("clicks") / "clicks.mkv"
    picture = "color=black:s=64x64:r=25:d=5,geq=lum='if(lt(mod(T\\,1)\\,0.02)\\,235\\,16)':cb=128:cr=128"
    sound = "aevalsrc='if(lt(mod(t\\,1)\\,0.01)\\,0.8*sin(2*PI*1000*t)\\,0)':s=48000:d=5"
    ffmpeg(
        "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-c:v", "ffv1", "-c:a", "pcm_s16le", path
    )
    return path


def flashes(data: bytes, times: list[float], path: Path) -> list[float]:
    path.write_bytes(data)
    argv = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-fps_mode",
        "passthrough",
        "-vf",
        "scale=1:1",
        "-pix_fmt",
        "gray",
    ]
    lumas = subprocess.check_output([*argv, "-f", "rawvideo", "-"])
    assert len(lumas) == len(times)
    return [time for time, luma in zip(times, lumas, strict=True) if luma > 120]


def clicks(data: bytes, start: float, path: Path) -> list[float]:
    path.write_bytes(data)
    # Decoded packet by packet: nothing is skipped as priming, so the first sample is the first packet's time.
    argv = [
        "ffmpeg",
        "-v",
        "error",
        "-flags2",
        "+skip_manual",
        "-i",
        str(path),
        "-f",
        "s16le",
        "-ac",
        "1",
        "-",
    ]
    samples = array("h", subprocess.check_output(argv))
    found: list[float] = []
    for number, level in enumerate(samples):
        if abs(level) > 3000 and (not found or start + number / 48000 - found[-1] > 0.5):
            found.append(start + number / 48000)
    return found


@pytest.mark.parametrize("delay", [-0.75, 0.0, 0.4])
async def test_a_click_is_heard_when_its_flash_is_seen(
    delay: float, films_path: Path, tmp_path: Path
) -> None:
    """With tracks that start together, and with either one late: the flash of a second and its click stay together."""
    path = tmp_path / "late.mkv"
    picture, sound = f"select='gte(t,{max(0.0, -delay)})'", f"aselect='gte(t,{max(0.0, delay)})'"
    codecs = ["-fps_mode", "passthrough", "-c:v", "ffv1", "-c:a", "pcm_s16le"]
    ffmpeg("-i", films_path, "-vf", picture, "-af", sound, *codecs, path)
    made = await transcode(path)
    assert made.video is not None
    assert made.audio is not None
    offset = made.audio.times[0] + PRIMING - made.video.times[0]
    assert offset == pytest.approx(delay, abs=0.05), "the film is what this test is about"
    seen = flashes(made.video.data, made.video.times, tmp_path / "v.mp4")
    heard = clicks(made.audio.data, made.audio.times[0], tmp_path / "a.mp4")
    seen, heard = ([time for time in times if time > 0.9] for times in (seen, heard))
    assert len(seen) == len(heard) == 4
    assert max(abs(flash - click) for flash, click in zip(seen, heard, strict=True)) < 0.02


async def test_sound_after_a_hole_is_still_in_time(films_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "hole.mkv"
    hole = "aselect='not(between(t,1.2,1.25)+between(t,2.2,2.8))'"
    ffmpeg("-i", films_path, "-c:v", "copy", "-af", hole, "-c:a", "pcm_s16le", path)
    made = await transcode(path)
    assert made.audio is not None
    heard = clicks(made.audio.data, made.audio.times[0], tmp_path / "a.mp4")
    assert heard == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0], abs=0.02)


def lumas_of_first_frame(path: Path, *filters: str) -> bytes:
    argv = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", *filters, "-pix_fmt", "gray"]
    return subprocess.check_output([*argv, "-f", "rawvideo", "-"])


async def test_hdr_is_mapped_to_a_picture_neither_dark_nor_washed_out(tmp_path: Path) -> None:
    made = await transcode(shared_file("corpus/hevc_hlg10_1080p.mp4"))
    assert made.facts.video is not None
    assert made.facts.video.is_hdr
    assert made.video is not None
    found = judged(tmp_path / "sdr.mp4", made.video.data)
    assert (found["color_transfer"], found["color_primaries"]) == ("bt709", "bt709")
    luma = lumas_of_first_frame(tmp_path / "sdr.mp4")
    assert min(luma) < 60
    assert max(luma) > 180


async def test_the_same_source_gives_the_same_frames_twice(films_path: Path) -> None:
    first, second = await transcode(films_path), await transcode(films_path)
    assert first.video is not None
    assert second.video is not None
    assert first.video.times == second.video.times


async def _poster(path: Path, at_seconds: float) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = await probe(fd, LIMITS)
        argv = recipes.poster(facts, source_fd=fd, at_seconds=at_seconds, limits=LIMITS)
        with Pipe() as out:
            async with start(argv, limits=LIMITS, pass_fds=(fd,), stdout=out):
                return await out.read_all()
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("phone_rot90.mp4", (288, 352)),
        ("cursed_vfr_3026x1386.mp4", (1280, 586)),
        ("hevc_hlg10_1080p.mp4", (1280, 720)),
        ("vp9_odd_161x121.webm", (160, 120)),
    ],
)
async def test_a_poster_is_one_upright_jpeg(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    data = await _poster(shared_file(f"corpus/{name}"), 0.0)
    assert data.startswith(b"\xff\xd8\xff")
    assert data.endswith(b"\xff\xd9")
    found = judged(tmp_path / "poster.jpg", data)
    assert (found["codec_name"], found["width"], found["height"]) == ("mjpeg", *size)


async def test_a_poster_is_not_black_when_the_film_begins_black(tmp_path: Path) -> None:
    path = tmp_path / "fades.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=3,fade=in:0:25", "-c:v", "ffv1", path)
    (tmp_path / "poster.jpg").write_bytes(await _poster(path, 0.0))
    assert lumas_of_first_frame(tmp_path / "poster.jpg", "-vf", "scale=1:1")[0] > 60


async def test_a_poster_from_beyond_the_end_is_a_failure(films_path: Path) -> None:
    with pytest.raises(TranscodeFailed):
        await _poster(films_path, 100.0)


# --- the argv itself ---------------------------------------------------------------------------------------------

FILM = Facts(
    container="mov",
    video=VideoFacts(index=2, codec="h264", width=1280, height=720, frame_rate=(60, 1)),
    audio=(
        AudioFacts(index=0, codec="ac-4", channels=2, sample_rate=48000, decodable=False),
        AudioFacts(index=4, codec="aac", channels=2, sample_rate=48000),
    ),
)
PICTURE = VideoRendition(name="720p", width=1280, height=720)


def test_the_chosen_tracks_go_to_their_own_pipes() -> None:
    argv = recipes.transcode(
        FILM, source_fd=9, video=(PICTURE, 11), audio=(AudioRendition(), 13), progress_fd=15, limits=Limits()
    )
    assert argv[0] == "ffmpeg"
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "-map"] == ["0:2", "0:4"]
    assert [word for word in argv if word.startswith("pipe:")] == ["pipe:11", "pipe:13", "pipe:15"]
    assert argv.index("-format_whitelist") < argv.index("-i")
    assert argv[argv.index("-i") + 1] == "/proc/self/fd/9"


def test_a_bound_in_time_holds_for_every_output() -> None:
    argv = recipes.transcode(
        FILM,
        source_fd=9,
        video=(PICTURE, 11),
        audio=(AudioRendition(), 13),
        progress_fd=15,
        limits=Limits(),
        stop_seconds=12.5,
    )
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "-t"] == ["12.500000"] * 2


@pytest.mark.parametrize(("video", "audio"), [(True, False), (False, True), (False, False)])
def test_tracks_that_are_not_there_cannot_be_made(video: bool, audio: bool) -> None:
    with pytest.raises(ValueError, match=r"source has no|nothing"):
        recipes.transcode(
            Facts(container="mov"),
            source_fd=9,
            video=(PICTURE, 11) if video else None,
            audio=(AudioRendition(), 13) if audio else None,
            progress_fd=15,
            limits=Limits(),
        )
    with pytest.raises(ValueError, match="no picture"):
        recipes.poster(Facts(container="mov"), source_fd=9, at_seconds=0, limits=Limits())


@pytest.mark.parametrize(
    ("rate", "bits"), [(None, 3_686_400), ((30, 1), 3_686_400), ((60, 1), 5_529_600), ((1000, 1), 3_686_400)]
)
def test_the_peak_rate_follows_pixels_and_believable_frame_rates(
    rate: tuple[int, int] | None, bits: int
) -> None:
    assert recipes.max_bits_per_second(PICTURE, rate) == bits
