"""The ladder: never upscaled, no rung too near to another, levels and rates that fit, sounds track by track."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.ladder import (
    FAST,
    MAX_SOUNDS,
    AudioRendition,
    VideoRendition,
    audio_renditions,
    frame_rate,
    heard,
    max_bits_per_second,
    video_renditions,
)
from media_service.timeline.packets import Packets, StreamPackets


def film(
    width: int,
    height: int,
    aspect: tuple[int, int] = (1, 1),
    rotation: int = 0,
    rate: tuple[int, int] | None = (25, 1),
) -> Facts:
    video = VideoFacts(
        index=0,
        codec="h264",
        width=width,
        height=height,
        sample_aspect=aspect,
        rotation=rotation,
        frame_rate=rate,
    )
    return Facts(container="mov", video=video)


def top(facts: Facts) -> VideoRendition:
    return video_renditions(facts, packaged=False)[0]


def rungs(facts: Facts, *, packaged: bool = False) -> list[str]:
    return [rung.name for rung in video_renditions(facts, packaged=packaged)]


@pytest.mark.parametrize(
    ("source", "name", "size"),
    [
        (film(1920, 1080), "1080p", (1920, 1080)),
        (film(3840, 2160), "1080p", (1920, 1080)),
        (film(7680, 4320), "1080p", (1920, 1080)),
        (film(3840, 2160, rotation=90), "1080p", (1080, 1920)),
        (film(3026, 1386), "1080p", (2358, 1080)),
        (film(854, 480), "480p", (854, 480)),
        (film(161, 121), "120p", (160, 120)),
        (film(352, 288, rotation=270), "288p", (288, 352)),
        (film(864, 480, (80, 81)), "486p", (864, 486)),
        (film(16384, 1000), "250p", (4096, 250)),
        (film(1, 2), "2p", (2, 2)),
        (film(1, 1), "2p", (2, 2)),
    ],
)
def test_the_picture_keeps_its_size_up_to_1080_lines(source: Facts, name: str, size: tuple[int, int]) -> None:
    rendition = top(source)
    assert (rendition.name, (rendition.width, rendition.height)) == (name, size)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (film(3840, 2160), ["1080p", "720p", "480p", "240p"]),
        (film(1080, 1920), ["1080p", "720p", "480p", "240p"]),
        (film(1080, 608), ["608p", "480p", "240p"]),
        (film(960, 540), ["540p", "240p"]),
        (film(1000, 800), ["800p", "480p", "240p"]),
        (film(480, 282), ["282p"]),
        (film(480, 284), ["284p", "240p"]),
        (film(16384, 1000), ["250p"]),
        (film(1, 1), ["2p"]),
    ],
)
def test_no_rung_is_near_to_the_one_above(source: Facts, names: list[str]) -> None:
    assert rungs(source) == names


def test_rungs_keep_the_shape_of_an_upright_phone() -> None:
    sizes = [
        (rung.width, rung.height) for rung in video_renditions(film(1920, 1080, rotation=90), packaged=False)
    ]
    assert sizes == [(1080, 1920), (720, 1280), (480, 854), (240, 426)]


@pytest.mark.parametrize(
    ("rate", "steps"),
    [
        ((24, 1), [1, 1, 1, 1]),
        ((31, 1), [1, 1, 1, 1]),
        ((50, 1), [1, 2, 2, 2]),
        ((60000, 1001), [1, 2, 2, 2]),
        ((120, 1), [1, 4, 4, 4]),
        ((240, 1), [1, 8, 8, 8]),
        (None, [1, 1, 1, 1]),
        ((90_000, 1), [1, 1, 1, 1]),  # not believed without packets
    ],
)
def test_only_the_top_rung_is_fast(rate: tuple[int, int] | None, steps: list[int]) -> None:
    made = video_renditions(film(1920, 1080, rate=rate), packaged=False)
    assert [rung.frame_step for rung in made] == steps
    assert all(rung.frame_rate <= FAST for rung in made[1:])


def test_levels_and_rates_follow_size_and_speed() -> None:
    slow = video_renditions(film(1920, 1080, rate=(30, 1)), packaged=False)
    assert [(rung.codecs, rung.max_bits_per_second) for rung in slow] == [
        ("avc1.640028", 8_294_400),
        ("avc1.64001f", 3_686_400),
        ("avc1.64001f", 1_639_680),
        ("avc1.640015", 408_960),
    ]
    fast = video_renditions(film(1920, 1080, rate=(60, 1)), packaged=False)
    assert (fast[0].codecs, fast[0].max_bits_per_second) == ("avc1.64002a", 12_441_600)
    assert [rung.codecs for rung in fast[1:]] == [rung.codecs for rung in slow[1:]]


def counted(facts: Facts, *, count: int, seconds: float, size: int = 0) -> Facts:
    packets = Packets(
        (StreamPackets(index=0, count=count, size=size, start_seconds=1.0, stop_seconds=1.0 + seconds),)
    )
    return Facts(container=facts.container, video=facts.video, packets=packets)


@pytest.mark.parametrize(
    ("declared", "count", "rate"),
    [
        ((30000, 1001), 300, 30000 / 1001),  # the packets agree
        ((90_000, 1), 250, 25.0),
        (None, 250, 25.0),
        ((25, 1), 4_000, 240.0),
        ((25, 1), 1, 25.0),  # one picture tells nothing
        ((1000, 1), 0, None),
    ],
)
def test_packets_tell_the_frame_rate_and_may_confirm_what_is_declared(
    declared: tuple[int, int] | None, count: int, rate: float | None
) -> None:
    assert frame_rate(counted(film(16, 16, rate=declared), count=count, seconds=10)) == rate


def test_sound_has_no_frame_rate() -> None:
    assert frame_rate(Facts(container="mov")) is None


@given(st.integers(2, 8192), st.integers(2, 8192), st.sampled_from([0, 90, 180, 270]))
def test_sides_are_even_never_upscaled_and_keep_their_shape(width: int, height: int, rotation: int) -> None:
    source = film(width, height, rotation=rotation)
    assert source.video is not None
    across, down = source.video.display_size
    made = video_renditions(source, packaged=False)
    for rendition in made:
        assert rendition.width % 2 == rendition.height % 2 == 0
        assert rendition.width <= across
        assert rendition.height <= down
        # Even sides are at most a pixel off when scaled; thin pictures keep at least two.
        scale = min(rendition.width / across, rendition.height / down)
        assert abs(rendition.width - across * scale) <= 2.01 * max(1, across / down)
        assert abs(rendition.height - down * scale) <= 2.01 * max(1, down / across)
    assert min(made[0].width, made[0].height) <= 1080
    scale = min(1.0, 1080 / min(across, down), 4096 / max(across, down))
    assert abs(made[0].width - across * scale) <= 1.01
    assert abs(made[0].height - down * scale) <= 1.01
    for above, below in pairwise(made):
        assert min(below.width, below.height) <= 0.85 * min(above.width, above.height)
        assert below.level <= above.level
        assert below.max_bits_per_second <= above.max_bits_per_second
    assert len({rung.name for rung in made}) == len(made)


@given(st.integers(1080, 4000), st.integers(0, 90))
def test_large_pictures_have_exactly_1080_lines(short: int, wider: int) -> None:
    assert top(film(short + wider, short)).height == 1080


def plain(**changes: object) -> Facts:
    """A picture that every player decodes, of 4 Mbit/s, 1080 lines."""
    details = {"pixel_format": "yuv420p", "level": 40, "frame_rate": (25, 1), **changes}
    video = VideoFacts(**{"index": 0, "codec": "h264", "width": 1920, "height": 1080, **details})  # type: ignore[arg-type]  # made of anything
    return counted(Facts(container="mov", video=video), count=2500, seconds=100, size=50_000_000)


def test_a_packaged_picture_that_all_decode_needs_no_rung_of_its_size() -> None:
    assert rungs(plain(), packaged=True) == ["720p", "480p", "240p"]
    assert rungs(plain(), packaged=False) == ["1080p", "720p", "480p", "240p"]
    assert rungs(plain(width=320, height=180), packaged=True) == ["180p"]  # 4 Mbit/s are too many for that
    small = plain(width=320, height=180)
    small = counted(small, count=2500, seconds=100, size=1_000_000)
    assert rungs(small, packaged=True) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"codec": "hevc"},
        {"pixel_format": "yuv420p10le", "bit_depth": 10},
        {"pixel_format": "yuv422p"},
        {"pixel_format": None},
        {"color_transfer": "smpte2084"},
        {"interlaced": True},
        {"level": 51},
        {"level": None},
        {"width": 3840, "height": 2160},
    ],
)
def test_a_packaged_picture_that_some_do_not_decode_has_a_rung_beside_it(changes: dict[str, object]) -> None:
    assert rungs(plain(**changes), packaged=True)[0] == "1080p"


def test_a_packaged_picture_of_too_many_bytes_has_a_rung_beside_it() -> None:
    most = max_bits_per_second(1920, 1080, 25)
    just = counted(plain(), count=2500, seconds=100, size=round(1.5 * most * 100 / 8))
    more = counted(plain(), count=2500, seconds=100, size=round(1.5 * most * 100 / 8) + 1000)
    assert rungs(just, packaged=True)[0] == "720p"
    assert rungs(more, packaged=True)[0] == "1080p"


def test_beside_a_packaged_picture_that_all_decode_no_rung_takes_more_than_it() -> None:
    def beside(bits_per_second: int, **changes: object) -> list[str]:
        size = bits_per_second * 100 // 8
        return rungs(counted(plain(**changes), count=2500, seconds=100, size=size), packaged=True)

    assert beside(3_000_000) == ["480p", "240p"]
    assert beside(1_000_000) == ["240p"]
    assert beside(150_000) == []
    assert beside(150_000, codec="hevc") == ["1080p", "720p", "480p", "240p"]


def track(index: int, **details: object) -> AudioFacts:
    return AudioFacts(**{"index": index, "codec": "aac", "channels": 2, "sample_rate": 44_100, **details})  # type: ignore[arg-type]  # made of anything


def test_each_track_is_made_in_stereo_and_in_six_channels_where_it_has_them() -> None:
    facts = Facts(
        container="mov",
        audio=(
            track(1, channels=6, language="ger"),
            track(2, decodable=False),
            track(4, channels=1, language="eng", title="Commentary"),
            track(5, channels=8),
        ),
    )
    made = audio_renditions(facts, packaged=())
    assert [(one.name, one.stream, one.channels, one.bits_per_second) for one in made] == [
        ("audio", 1, 2, 128_000),
        ("audio-51", 1, 6, 384_000),
        ("audio-2", 4, 2, 128_000),
        ("audio-3", 5, 2, 128_000),
        ("audio-3-51", 5, 6, 384_000),
    ]
    assert [(one.language, one.label) for one in made[:3]] == [
        ("de", "Deutsch"),
        ("de", "Deutsch (5.1)"),
        ("en", "English (Commentary)"),
    ]
    assert {one.sample_rate for one in made} == {48_000}


def names(made: tuple[AudioRendition, ...]) -> list[str]:
    return [one.name for one in made]


def test_what_is_packaged_is_not_encoded() -> None:
    facts = Facts(container="mov", audio=(track(1), track(2, channels=6), track(3, channels=4)))
    assert names(audio_renditions(facts, packaged={1})) == ["audio-2", "audio-2-51", "audio-3"]
    assert names(audio_renditions(facts, packaged={2})) == ["audio", "audio-2", "audio-3"]
    assert names(audio_renditions(facts, packaged={3})) == ["audio", "audio-2", "audio-2-51", "audio-3"]


def test_the_main_track_is_the_first_rendition() -> None:
    facts = Facts(container="mov", audio=(track(1), track(2), track(3, default=True)))
    assert [(one.name, one.stream) for one in audio_renditions(facts, packaged=())] == [
        ("audio", 3),
        ("audio-2", 1),
        ("audio-3", 2),
    ]


def test_there_are_at_most_eight_tracks_of_sound() -> None:
    facts = Facts(container="mov", audio=tuple(track(number) for number in range(20)))
    assert len(heard(facts)) == MAX_SOUNDS
    assert names(audio_renditions(facts, packaged=()))[-1] == f"audio-{MAX_SOUNDS}"


def test_sound_only_has_no_picture_and_silence_has_no_sound() -> None:
    assert rungs(Facts(container="mov", audio=(track(0),))) == []
    assert audio_renditions(film(16, 16), packaged=()) == ()
