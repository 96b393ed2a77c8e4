"""The levels of real sound: where it is loud, where it is silent, and how it is read."""

from __future__ import annotations

import wave
from array import array
from math import pi, sin
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.waveform_recipes import LONGEST_LINE, LevelsParser, levels
from tests.ffmpeg.running import LIMITS, opened
from tests.support.media import ffmpeg
from tests.support.shared import shared_file

RATE = 48_000
EACH = RATE // 10


async def _levels(path: Path, seconds: float) -> LevelsParser:
    parser = LevelsParser(10_000)
    with opened(path) as fd:
        sound = (await probe(fd, LIMITS)).main_audio
        assert sound is not None
        with Pipe() as pipe:
            argv = levels(
                sound,
                source_fd=fd,
                pipe_fd=pipe.write_fd,
                samples=round(seconds * RATE),
                each=EACH,
                limits=LIMITS,
            )
            async with start(argv, limits=LIMITS, pass_fds=(fd,), outputs=(pipe,)):
                async for chunk in pipe:
                    parser.feed(chunk)
    return parser


@pytest.fixture(scope="module")
def beeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of sound: loud on the left from 0.5 s on, softer on the right from 1.2 s on, each for 0.2 s."""
    path = tmp_path_factory.mktemp("beeps") / "beeps.wav"

    def sample(number: int, begin: float, volume: float) -> int:
        seconds = number / RATE
        return round(32767 * volume * sin(2 * pi * 1000 * seconds)) if begin <= seconds < begin + 0.2 else 0

    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        interleaved = array("h")
        for number in range(2 * RATE):
            interleaved.extend((sample(number, 0.5, 0.8), sample(number, 1.2, 0.4)))
        file.writeframes(interleaved.tobytes())
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.mov", ["-c:a", "pcm_s16le"]),
        ("aac.mp4", ["-c:a", "aac", "-b:a", "192k"]),
        ("slow.mkv", ["-c:a", "flac", "-ar", "22050"]),
        ("opus.webm", ["-c:a", "libopus", "-b:a", "160k"]),
        ("stream.ts", ["-c:a", "mp2", "-b:a", "256k"]),
        ("wide.mkv", ["-c:a", "pcm_f32le"]),
    ],
)
async def test_sound_is_seen_where_it_is_heard_on_any_speaker(
    beeps: Path, tmp_path: Path, name: str, options: list[str]
) -> None:
    ffmpeg("-i", beeps, *options, tmp_path / name)
    found = await _levels(tmp_path / name, 2)
    assert len(found.least) == len(found.greatest) == 20
    for number, (low, high) in enumerate(zip(found.least, found.greatest, strict=True)):
        volume = 0.8 if number in {5, 6} else 0.4 if number in {12, 13} else 0.0
        if number in {4, 7, 11, 14} and not volume:
            continue  # encoders ring a little around an edge
        assert (low, high) == pytest.approx((-volume, volume), abs=0.06), number


async def test_what_the_source_does_not_have_is_silent(beeps: Path, tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    black = ("-f", "lavfi", "-i", "color=s=64x64:r=10:d=4")
    ffmpeg(*black, "-itsoffset", "1", "-i", beeps, "-map", "0", "-map", "1", "-c:a", "flac", path)
    found = await _levels(path, 4)
    loud = [number for number, high in enumerate(found.greatest) if high > 0.05]
    assert loud == [15, 16, 22, 23]
    assert len(found.greatest) == 40


async def test_six_channels_are_looked_at_together() -> None:
    found = await _levels(shared_file("corpus/two_aac51_tracks.mp4"), 1)
    assert len(found.greatest) == 10
    assert all(-1.1 <= low <= high <= 1.1 for low, high in zip(found.least, found.greatest, strict=True))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_are_read_in_any_pieces(size: int) -> None:
    text = "".join(
        f"frame:{number}    pts:{number}\nlavfi.astats.Overall.Min_level=-0.{number}00000\n"
        f"lavfi.astats.Overall.Max_level=0.{number}50000\n"
        for number in range(1, 5)
    ).encode()
    parser = LevelsParser(3)
    for at in range(0, len(text), size):
        parser.feed(text[at : at + size])
    assert list(parser.least) == pytest.approx([-0.1, -0.2, -0.3])
    assert list(parser.greatest) == pytest.approx([0.15, 0.25, 0.35])


@given(st.lists(st.binary(max_size=50)), st.sampled_from([b"", b"lavfi.astats.Overall.Min_level="]))
def test_no_bytes_are_too_strange(pieces: list[bytes], start: bytes) -> None:
    parser = LevelsParser(10)
    for piece in pieces:
        parser.feed(start + piece + b"\n")
    assert len(parser.least) <= 10


def test_a_line_without_an_end_is_not_kept() -> None:
    parser = LevelsParser(10)
    for _ in range(100):
        parser.feed(b"x" * LONGEST_LINE)
    parser.feed(b"\nlavfi.astats.Overall.Min_level=-1\n")
    assert list(parser.least) == [-1]
