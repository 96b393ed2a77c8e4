from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.ladder import audio_rendition, video_rendition


def film(width: int, height: int, aspect: tuple[int, int] = (1, 1), rotation: int = 0) -> Facts:
    video = VideoFacts(
        index=0, codec="h264", width=width, height=height, sample_aspect=aspect, rotation=rotation
    )
    return Facts(container="mov", video=video)


@pytest.mark.parametrize(
    ("source", "name", "size"),
    [
        (film(1920, 1080), "1080p", (1920, 1080)),
        (film(3840, 2160), "1080p", (1920, 1080)),
        (film(3840, 2160, rotation=90), "1080p", (1080, 1920)),
        (film(3026, 1386), "1080p", (2358, 1080)),
        (film(854, 480), "480p", (854, 480)),
        (film(161, 121), "120p", (160, 120)),
        (film(352, 288, rotation=270), "288p", (288, 352)),
        (film(864, 480, (80, 81)), "486p", (864, 486)),
        (film(16384, 1000), "250p", (4096, 250)),
        (film(1, 1), "2p", (2, 2)),
    ],
)
def test_the_picture_keeps_its_size_up_to_1080_lines(source: Facts, name: str, size: tuple[int, int]) -> None:
    rendition = video_rendition(source)
    assert rendition is not None
    assert (rendition.name, (rendition.width, rendition.height)) == (name, size)


@given(st.integers(2, 8192), st.integers(2, 8192), st.sampled_from([0, 90, 180, 270]))
def test_sides_are_even_never_upscaled_and_keep_their_shape(width: int, height: int, rotation: int) -> None:
    source = film(width, height, rotation=rotation)
    rendition = video_rendition(source)
    assert source.video is not None
    assert rendition is not None
    across, down = source.video.display_size
    assert rendition.width % 2 == rendition.height % 2 == 0
    assert rendition.width <= across
    assert rendition.height <= down
    assert min(rendition.width, rendition.height) <= 1080
    # Even sides are at most a pixel off when scaled; thin pictures keep at least two.
    scale = min(1.0, 1080 / min(across, down), 4096 / max(across, down))
    assert abs(rendition.width - across * scale) <= 1.01
    assert abs(rendition.height - down * scale) <= 1.01


@given(st.integers(1080, 4000), st.integers(0, 90))
def test_large_pictures_have_exactly_1080_lines(short: int, wider: int) -> None:
    rendition = video_rendition(film(short + wider, short))
    assert rendition is not None
    assert rendition.height == 1080


def test_sound_only_has_no_picture_and_silence_has_no_sound() -> None:
    sound = Facts(container="mov", audio=(AudioFacts(index=0, codec="aac", channels=6, sample_rate=44100),))
    assert video_rendition(sound) is None
    rendition = audio_rendition(sound)
    assert rendition is not None
    assert (rendition.channels, rendition.sample_rate) == (2, 48000)
    assert audio_rendition(film(16, 16)) is None
