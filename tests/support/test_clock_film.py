"""The film that tells its own time: judged here through ffmpeg's eyes, through a browser's in tests/e2e."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.clock_film import FPS, SIZE, make_clock_film
from tests.support.media import probe

SECONDS = 8


def numbers(film: Path, size: str) -> list[int | None]:
    """The numbers of all frames in the order of showing, read as READ_FRAME does; None where the rows disagree."""
    argv = ["ffmpeg", "-v", "error", "-i", str(film), "-vf", f"scale={size},scale=160:90", "-f", "rawvideo"]
    raw = subprocess.run(
        [*argv, "-fps_mode", "passthrough", "-pix_fmt", "gray", "-"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    ).stdout
    found: list[int | None] = []
    for start in range(0, len(raw), 160 * 90):
        code, inverse = ([raw[start + y * 160 + bit * 10 + 5] > 127 for bit in range(16)] for y in (17, 35))
        told = [on != off for on, off in zip(code, inverse, strict=True)]
        found.append(int("".join("01"[on] for on in code), 2) if all(told) else None)
    return found


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_every_frame_tells_its_number_also_when_it_is_small(tmp_path: Path, container: str) -> None:
    film = make_clock_film(tmp_path / f"clock.{container}", SECONDS)
    assert numbers(film, "426x240") == list(range(SECONDS * FPS))


def test_one_is_for_players_and_the_other_for_the_encoder(tmp_path: Path) -> None:
    for container, codecs in (("mp4", ["h264", "aac"]), ("mkv", ["mpeg4", "mp2"])):
        film = make_clock_film(tmp_path / f"clock.{container}", 1)
        streams = probe(film, "-show_streams")["streams"]
        assert [each["codec_name"] for each in streams] == codecs
        assert (streams[0]["width"], streams[0]["height"]) == SIZE
        assert streams[0]["has_b_frames"] == (2 if container == "mp4" else 0)
