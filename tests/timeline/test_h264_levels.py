"""Levels of H.264, against pictures of which everybody knows the level, and against x264's own table."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.h264_levels import level_for


@pytest.mark.parametrize(
    ("width", "height", "rate", "level"),
    [
        (128, 96, 30, 10),
        (176, 144, 15, 10),
        (352, 288, 30, 13),
        (720, 480, 30, 30),
        (720, 576, 25, 30),
        (1280, 720, 30, 31),
        (720, 1280, 30, 31),
        (1280, 720, 60, 32),
        (1920, 1080, 30, 40),
        (1920, 1080, 30.1, 40),
        (1920, 1080, 60, 42),
        (1920, 1080, 120, 51),
        (3840, 2160, 30, 51),
        (3840, 2160, 60, 52),
        (7680, 4320, 60, 61),
        (4096, 2, 25, 40),
        (100_000, 100_000, 25, 62),
    ],
)
def test_known_pictures_have_their_known_levels(width: int, height: int, rate: float, level: int) -> None:
    assert level_for(width, height, rate, bits_per_second=64_000, buffer_bits=64_000) == level


@pytest.mark.parametrize(
    ("bits", "level"),
    [(17_500_000, 31), (17_500_001, 32), (25_000_001, 41), (62_500_001, 50), (300_000_001, 61)],
)
def test_a_high_rate_needs_a_higher_level(bits: int, level: int) -> None:
    assert level_for(1280, 720, 30, bits_per_second=bits, buffer_bits=bits) == level


def test_a_large_buffer_needs_a_higher_level() -> None:
    assert level_for(1280, 720, 30, bits_per_second=1, buffer_bits=17_500_001) == 32


@given(
    st.integers(2, 4096),
    st.integers(2, 4096),
    st.floats(1, 240),
    st.integers(64_000, 300_000_000),
    st.integers(0, 100),
)
def test_more_of_anything_never_needs_a_lower_level(
    width: int, height: int, rate: float, bits: int, more: int
) -> None:
    level = level_for(width, height, rate, bits_per_second=bits, buffer_bits=bits)
    for wider in (
        level_for(width + more, height, rate, bits_per_second=bits, buffer_bits=bits),
        level_for(width, height, rate + more, bits_per_second=bits, buffer_bits=bits),
        level_for(width, height, rate, bits_per_second=bits + more * 10_000, buffer_bits=bits),
    ):
        assert wider >= level


@pytest.mark.parametrize(
    ("width", "height", "rate", "bits"),
    [
        (426, 240, 25, 408_960),
        (854, 480, 30, 1_639_680),
        (1280, 720, 30, 3_686_400),
        (1920, 1080, 60, 12_441_600),
        (4096, 250, 24, 4_096_000),
        (2, 2, 25, 400_000),
    ],
)
def test_x264_finds_the_level_enough(width: int, height: int, rate: int, bits: int) -> None:
    level = level_for(width, height, rate, bits_per_second=bits, buffer_bits=bits)
    argv = [
        *("ffmpeg", "-nostdin", "-v", "warning", "-f", "lavfi"),
        *("-i", f"color=size={width}x{height}:rate={rate}:duration=0.1"),
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-level", str(level)),
        *("-maxrate", str(bits), "-bufsize", str(bits), "-x264-params", "bframes=0", "-f", "null", "-"),
    ]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    # It warns when a level is too low: "frame MB size (80x45) > level limit (1620)".
    assert b"level limit" not in done.stderr
