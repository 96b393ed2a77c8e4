from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import AudioFacts, Facts, SubtitleFacts, VideoFacts


@pytest.mark.parametrize(
    ("size", "aspect", "rotation", "shown"),
    [
        ((1920, 1080), (1, 1), 0, (1920, 1080)),
        ((352, 288), (1, 1), 270, (288, 352)),
        ((352, 288), (1, 1), 180, (352, 288)),
        ((720, 576), (64, 45), 0, (1024, 576)),  # PAL, 16:9
        ((720, 480), (8, 9), 0, (720, 540)),  # NTSC, 4:3: stretched downwards, no column is lost
        ((864, 480), (80, 81), 0, (864, 486)),
        ((1440, 1080), (4, 3), 90, (1080, 1920)),
    ],
)
def test_the_upright_size_with_square_pixels(
    size: tuple[int, int], aspect: tuple[int, int], rotation: int, shown: tuple[int, int]
) -> None:
    width, height = size
    video = VideoFacts(
        index=0, codec="h264", width=width, height=height, sample_aspect=aspect, rotation=rotation
    )
    assert video.display_size == shown


@given(
    st.integers(1, 8192),
    st.integers(1, 8192),
    st.tuples(st.integers(1, 255), st.integers(1, 255)),
    st.sampled_from([0, 90, 180, 270]),
)
def test_no_side_ever_shrinks(width: int, height: int, aspect: tuple[int, int], rotation: int) -> None:
    video = VideoFacts(
        index=0, codec="h264", width=width, height=height, sample_aspect=aspect, rotation=rotation
    )
    across, down = video.display_size if rotation in {0, 180} else video.display_size[::-1]
    assert across >= width
    assert down >= height


@pytest.mark.parametrize(
    ("transfer", "hdr"), [("smpte2084", True), ("arib-std-b67", True), ("bt709", False), (None, False)]
)
def test_pq_and_hlg_are_hdr(transfer: str | None, hdr: bool) -> None:
    video = VideoFacts(index=0, codec="hevc", width=2, height=2, color_transfer=transfer)
    assert video.is_hdr is hdr


def test_the_main_sound_is_the_first_that_can_be_decoded() -> None:
    unknown = AudioFacts(index=1, codec="ac-4", channels=2, sample_rate=48000, decodable=False)
    known = AudioFacts(index=2, codec="aac", channels=2, sample_rate=48000)
    assert Facts(container="mov", audio=(unknown, known, known)).main_audio == known
    assert Facts(container="mov", audio=(unknown,)).main_audio is None
    assert Facts(container="mov").main_audio is None


def test_the_main_sound_is_the_one_that_the_container_would_have_played() -> None:
    first = AudioFacts(index=1, codec="aac", channels=2, sample_rate=48000)
    wanted = AudioFacts(index=2, codec="aac", channels=2, sample_rate=48000, default=True)
    lost = AudioFacts(index=3, codec="ac-4", channels=2, sample_rate=48000, default=True, decodable=False)
    assert Facts(container="mov", audio=(lost, first, wanted, wanted)).main_audio == wanted


def test_facts_survive_the_catalog() -> None:
    facts = Facts(
        container="matroska,webm",
        declared_seconds=1.5,
        start_seconds=-0.02,
        video=VideoFacts(
            index=1, codec="vp9", width=16, height=9, sample_aspect=(4, 3), frame_rate=(30000, 1001)
        ),
        audio=(AudioFacts(index=0, codec="opus", channels=2, sample_rate=48000, language="deu"),),
        subtitles=(SubtitleFacts(index=2, codec="subrip", title="Signs", forced=True),),
    )
    assert msgspec.json.decode(msgspec.json.encode(facts), type=Facts) == facts
