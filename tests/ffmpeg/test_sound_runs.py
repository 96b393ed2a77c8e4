"""Runs of sound over real files: encoded piece by piece it is the same, to the sample, as encoded in one go.

What is compared is what comes out of a decoder. Two encodings of the same samples differ by what the encoder leaves out;
of a pure tone that is little, and much less than what a shift by half a millisecond makes of it, or a lost packet.
"""

from __future__ import annotations

import subprocess
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt
from pathlib import Path

import pytest

from media_service.mp4.fragments import Sample, build_fragment
from media_service.mp4.init_segment import InitTrack, build_init
from media_service.timeline.cutting import PACKET
from media_service.timeline.ladder import (
    AUDIO_SAMPLE_RATE,
    AudioRendition,
    audio_renditions,
    video_renditions,
)
from tests.ffmpeg.numbered import FPS, numbered, numbers
from tests.ffmpeg.running import (
    Output,
    Picked,
    Source,
    opened,
    outlined,
    picture_segments,
    sound_cut,
    sound_segments,
    sounds,
    source_of,
)
from tests.support.media import ffmpeg, probe
from tests.support.shared import shared_file

SECONDS = 13
TONE = "0.4*sin(2*PI*{}*t)"
CODING_NOISE = 0.012  # root mean square, of a tone of 0.28; a shift by one sample at 1 kHz makes 0.037
AROUND = 2 * PACKET  # samples either side of a join: all packets that overlap it

FILMS: dict[str, tuple[str, int, list[str]]] = {
    "aac in mp4": ("mp4", 48_000, ["-c:a", "aac", "-b:a", "192k"]),
    "aac of 44.1 kHz in mp4": ("mp4", 44_100, ["-c:a", "aac", "-b:a", "192k"]),
    "aac in ts": ("ts", 44_100, ["-c:a", "aac", "-b:a", "192k"]),
    "aac in flv": ("flv", 44_100, ["-c:a", "aac", "-b:a", "192k"]),
    "ac-3": ("mkv", 48_000, ["-c:a", "ac3", "-b:a", "192k"]),
    "opus": ("webm", 48_000, ["-c:a", "libopus", "-b:a", "160k"]),
    "vorbis": ("mkv", 44_100, ["-c:a", "libvorbis", "-b:a", "160k"]),
    "mp3": ("mkv", 44_100, ["-c:a", "libmp3lame", "-b:a", "192k"]),
    "mp2 in ts": ("ts", 48_000, ["-c:a", "mp2", "-b:a", "256k"]),
    "flac": ("mkv", 44_100, ["-c:a", "flac"]),
    "pcm in avi": ("avi", 44_100, ["-c:a", "pcm_s16le"]),
    "pcm in mov": ("mov", 48_000, ["-c:a", "pcm_s16le"]),
    "vorbis in ogg": ("ogg", 48_000, ["-c:a", "libvorbis", "-b:a", "160k"]),
    # The resampler makes 940 or 941 samples of each 1024: nobody knows their places to the sample.
    "uneven pcm": ("mkv", 48_000, ["-ar", "44100", "-c:a", "pcm_s16le"]),
    "wma": ("asf", 44_100, ["-c:a", "wmav2", "-b:a", "192k"]),
}
PICTURES = {
    "webm": ["-c:v", "libvpx-vp9", "-cpu-used", "8"],
    "ogg": ["-c:v", "libtheora"],
    "asf": ["-c:v", "wmv2"],
}


def tones(rate: int, seconds: float = SECONDS) -> str:
    left, right = TONE.format(997), TONE.format(440)
    return f"aevalsrc='{left}|{right}':s={rate}:d={seconds}"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each of FILMS, made when it is first asked for."""
    directory = tmp_path_factory.mktemp("tones")
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            suffix, rate, codec = FILMS[name]
            picture = PICTURES.get(suffix, ["-c:v", "libx264", "-preset", "ultrafast"])
            path = made[name] = directory / f"{len(made)}.{suffix}"
            inputs = ["-f", "lavfi", "-i", numbered(SECONDS), "-f", "lavfi", "-i", tones(rate)]
            ffmpeg(*inputs, *picture, "-g", "50", *codec, "-v", "error", path)
        return made[name]

    return make


def file_of(init: InitTrack, packets: Sequence[Picked]) -> bytes:
    samples = [Sample(one.duration, len(one.data), sync=True) for one in packets]
    head = build_fragment(sequence=1, track_id=1, base_time=packets[0].time, samples=samples)
    return build_init(init) + head + b"".join(one.data for one in packets)


def decoded(init: InitTrack, packets: Sequence[Picked], path: Path) -> array[float]:
    """The left channel, packet by packet: nothing is skipped as priming."""
    path.write_bytes(file_of(init, packets))
    argv = ["ffmpeg", "-v", "error", "-flags2", "+skip_manual", "-i", str(path)]
    return array("f", subprocess.check_output([*argv, "-af", "pan=mono|c0=c0", "-f", "f32le", "-"]))


def differences(one: Sequence[float], other: Sequence[float]) -> float:
    """Root mean square."""
    return sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / max(1, len(one)))


async def pieces(
    source: Source, rendition: AudioRendition, path: Path
) -> tuple[tuple[int, ...], array[float], array[float]]:
    """Boundaries, and what is heard: of the film encoded in one go, and of its segments encoded apart."""
    outline, output, whole = await sound_segments(source, rendition, 0, len_of(source, rendition))
    joined: list[Picked] = []
    for number in range(outline.count):
        _, made, kept = await sound_segments(source, rendition, number, number + 1)
        assert build_init(made.init) == build_init(output.init)
        joined += kept
    assert [one.time for one in joined] == [one.time for one in whole]
    assert [one.time for one in whole] == list(range(0, outline.boundaries[-1], PACKET))
    assert {one.duration for one in joined} == {PACKET}
    return (
        outline.boundaries,
        decoded(output.init, whole, path / "whole.mp4"),
        decoded(output.init, joined, path / "joined.mp4"),
    )


def len_of(source: Source, rendition: AudioRendition) -> int:
    return outlined(source, rendition).count


@pytest.mark.parametrize("name", FILMS)
async def test_no_click_is_heard_where_runs_are_joined(
    name: str, film: Callable[[str], Path], tmp_path: Path
) -> None:
    with opened(film(name)) as fd:
        source = await source_of(fd)
        (rendition,) = audio_renditions(source.facts, packaged=())
        boundaries, whole, joined = await pieces(source, rendition, tmp_path)
    assert len(boundaries) >= 4
    for begin, end in pairwise(boundaries):
        inside = slice(begin + AROUND, end - AROUND)
        assert differences(joined[inside], whole[inside]) < CODING_NOISE, "placed to the sample"
        join = slice(max(0, begin - AROUND), begin + AROUND)
        assert differences(joined[join], whole[join]) < CODING_NOISE
    # What the same comparison says of a click.
    late = boundaries[1]
    shifted = joined[late : late + 2 * AROUND]
    half_a_millisecond = AUDIO_SAMPLE_RATE // 2000
    assert (
        differences(shifted, whole[late - half_a_millisecond : late + 2 * AROUND - half_a_millisecond])
        > 20 * CODING_NOISE
    )
    assert differences(shifted, whole[late - 1 : late + 2 * AROUND - 1]) > 2 * CODING_NOISE


async def test_six_channels_stay_six_and_beside_them_are_two(tmp_path: Path) -> None:
    with opened(shared_file("corpus/bbb_480p_30s_51_moovend.mp4")) as fd:
        source = await source_of(fd)
        stereo, surround = audio_renditions(source.facts, packaged=())
        for rendition, channels, layout in ((stereo, 2, "stereo"), (surround, 6, "5.1")):
            _, output, packets = await sound_segments(source, rendition, 2, 3)
            (tmp_path / "made.mp4").write_bytes(file_of(output.init, packets))
            (heard,) = probe(tmp_path / "made.mp4", "-show_streams")["streams"]
            assert (heard["channels"], heard["channel_layout"]) == (channels, layout)
            assert (heard["codec_name"], heard["profile"], heard["sample_rate"]) == ("aac", "LC", "48000")


async def test_each_track_of_sound_is_its_own_rendition(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", tones(48_000, 5), "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo:d=5"),
        *("-map", "0", "-map", "1", "-c:a", "flac", path),
    )
    with opened(path) as fd:
        source = await source_of(fd)
        for rendition, level in zip(audio_renditions(source.facts, packaged=()), (0.28, 0.0), strict=True):
            _, output, packets = await sound_segments(source, rendition, 0, 1)
            heard = decoded(output.init, packets, tmp_path / "made.mp4")[8 * PACKET : 16 * PACKET]
            assert differences(heard, [0.0] * len(heard)) == pytest.approx(level, abs=0.01)


# --- silence -----------------------------------------------------------------------------------------------------


async def _loud(source: Source, path: Path, first: int, stop: int) -> dict[int, bool]:
    """Of each tenth of a second of the film that is all in those segments, whether anything is heard in it."""
    (rendition,) = audio_renditions(source.facts, packaged=())
    _, output, packets = await sound_segments(source, rendition, first, stop)
    start = packets[0].time
    assert [one.time for one in packets] == list(range(start, start + len(packets) * PACKET, PACKET))
    heard = decoded(output.init, packets, path / "made.mp4")
    tenth = AUDIO_SAMPLE_RATE // 10
    return {
        number: max(map(abs, heard[number * tenth - start :][tenth // 4 : tenth * 3 // 4])) > 0.1
        # A packet after a join sounds as it should with the one before it only.
        for number in range(-(-(start + PACKET) // tenth), (start + len(heard)) // tenth)
    }


def _between(start: float, stop: float, loud: dict[int, bool]) -> set[bool]:
    """What is true of the tenths of a second in that time."""
    return {found for number, found in loud.items() if start <= number / 10 and number / 10 + 0.1 <= stop}


@pytest.mark.parametrize("container", ["mkv", "ts", "mp4"])
async def test_sound_that_begins_late_is_silent_until_then(container: str, tmp_path: Path) -> None:
    path = tmp_path / f"late.{container}"
    late = ["-itsoffset", "5.5", "-f", "lavfi", "-i", tones(48_000, 6)]
    ffmpeg("-f", "lavfi", "-i", numbered(12), *late, "-c:v", "libx264", "-g", "50", "-c:a", "aac", path)
    with opened(path) as fd:
        source = await source_of(fd)
        found: dict[int, bool] = {}
        (rendition,) = audio_renditions(source.facts, packaged=())
        for number in range(outlined(source, rendition).count):
            found |= await _loud(source, tmp_path, number, number + 1)
    assert len(found) > 105
    assert _between(0, 5.4, found) == {False}
    assert _between(5.6, 11.3, found) == {True}


async def test_a_hole_is_silent_and_the_sound_after_it_in_time(tmp_path: Path) -> None:
    """In one go, and from inside it; a segment that lies in it altogether is silence."""
    path = tmp_path / "hole.mkv"
    hole = "aselect='not(between(t,3.25,12.75))'"
    ffmpeg(
        *("-f", "lavfi", "-i", numbered(20), "-f", "lavfi", "-i", tones(44_100, 20)),
        *("-c:v", "libx264", "-g", "50", "-af", hole, "-c:a", "pcm_s16le", path),
    )
    with opened(path) as fd:
        source = await source_of(fd)
        (rendition,) = audio_renditions(source.facts, packaged=())
        count = outlined(source, rendition).count
        whole = await _loud(source, tmp_path, 0, count)
        apart: dict[int, bool] = {}
        for number in range(count):
            apart |= await _loud(source, tmp_path, number, number + 1)
    for found in (whole, apart):
        assert len(found) > 180
        assert _between(0, 3.2, found) == _between(12.8, 19.8, found) == {True}
        assert _between(3.3, 12.7, found) == {False}


async def test_a_segment_without_any_sound_near_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "hole.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", numbered(24), "-f", "lavfi", "-i", tones(48_000, 24)),
        *("-af", "aselect='not(between(t,3,21))'", "-c:v", "libx264", "-g", "50", "-c:a", "flac", path),
    )
    with opened(path) as fd:
        source = await source_of(fd)
        (rendition,) = audio_renditions(source.facts, packaged=())
        cut = sound_cut(source, rendition, outlined(source, rendition), 3, 4)
        assert cut.silent
        assert set((await _loud(source, tmp_path, 3, 4)).values()) == {False}


async def test_sound_that_ends_early_is_silent_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "short.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", numbered(8), "-f", "lavfi", "-i", tones(48_000, 5)),
        *("-c:v", "libx264", "-g", "50", "-c:a", "flac", path),
    )
    with opened(path) as fd:
        source = await source_of(fd)
        (rendition,) = audio_renditions(source.facts, packaged=())
        longer = outlined(source, rendition, [0, 192_512, 384_000])
        made = await sounds(source, rendition, sound_cut(source, rendition, longer, 1, 2))
        kept = made.between(192_512, 384_000)
        heard = decoded(made.init, kept, tmp_path / "made.mp4")
    assert max(map(abs, heard[: AUDIO_SAMPLE_RATE // 2])) > 0.3
    assert max(map(abs, heard[AUDIO_SAMPLE_RATE * 3 // 2 :])) < 0.01


# --- sound and picture -------------------------------------------------------------------------------------------


def _flashes(output: Output, path: Path) -> list[float]:
    """When frames are shown whose number is a whole second's, in seconds."""
    shown = zip(output.times, numbers(output, path), strict=True)
    return [time / 90_000 for time, number in shown if number % FPS == 0]


def _clicks(init: InitTrack, packets: Sequence[Picked], path: Path) -> list[float]:
    found: list[float] = []
    start = packets[0].time
    for at, level in enumerate(decoded(init, packets, path), start):
        if abs(level) > 0.1 and (not found or at / AUDIO_SAMPLE_RATE - found[-1] > 0.5):
            found.append(at / AUDIO_SAMPLE_RATE)
    return found


@pytest.mark.parametrize("delay", [-0.75, 0.0, 0.4])
@pytest.mark.parametrize("container", ["mkv", "mp4", "ts"])
async def test_a_click_is_heard_when_its_frame_is_seen(delay: float, container: str, tmp_path: Path) -> None:
    """With tracks that start together, and with either one late; in each segment, made apart."""
    path = tmp_path / f"clicks.{container}"
    sound = "aevalsrc='if(lt(mod(t\\,1)\\,0.01)\\,0.8*sin(2*PI*1000*t)\\,0)':s=48000:d=9"
    late = [f"select='gte(t,{max(0.0, -delay)})'", f"aselect='gte(t,{max(0.0, delay)})'"]
    codecs = ["-fps_mode", "passthrough", "-c:v", "libx264", "-bf", "2", "-g", "50", "-c:a", "aac"]
    ffmpeg(
        *("-f", "lavfi", "-i", numbered(9), "-f", "lavfi", "-i", sound),
        *("-vf", late[0], "-af", late[1], *codecs),
        path,
    )
    with opened(path) as fd:
        source = await source_of(fd)
        (picture,) = video_renditions(source.facts, packaged=False)
        (rendition,) = audio_renditions(source.facts, packaged=())
        seen: list[float] = []
        heard: list[float] = []
        for number in range(2):
            seen += _flashes(await picture_segments(source, picture, number, number + 1), tmp_path / "v.mp4")
            _, output, packets = await sound_segments(source, rendition, number, number + 1)
            heard += _clicks(output.init, packets, tmp_path / "a.mp4")
    seen, heard = ([time for time in times if time > 0.9] for times in (seen, heard))
    assert len(seen) == len(heard) >= 7
    assert max(abs(flash - click) for flash, click in zip(seen, heard, strict=True)) < 0.02
