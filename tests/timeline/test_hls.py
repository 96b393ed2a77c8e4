"""Playlists: every duration exact, every tag where RFC 8216 wants it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.hls import (
    AudioMedia,
    PlaylistSegment,
    Stream,
    exact_seconds,
    master_playlist,
    media_playlist,
    target_duration,
)


@pytest.mark.parametrize(
    ("ticks", "timescale", "text"),
    [
        (180_000, 90_000, "2.0"),
        (180_180, 90_000, "2.002"),
        (1, 90_000, "0.000011111"),
        (98_304, 48_000, "2.048"),
        (0, 1, "0.0"),
        (10 * 90_000, 90_000, "10.0"),
    ],
)
def test_a_duration_is_written_as_exactly_as_decimals_can(ticks: int, timescale: int, text: str) -> None:
    assert exact_seconds(ticks, timescale) == text


@given(st.integers(0, 10**12), st.sampled_from([1, 1000, 44_100, 48_000, 90_000]))
def test_a_written_duration_is_never_off_by_more_than_half_a_nanosecond(ticks: int, timescale: int) -> None:
    assert abs(Fraction(exact_seconds(ticks, timescale)) - Fraction(ticks, timescale)) <= Fraction(
        1, 2_000_000_000
    )


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=50))
def test_no_segment_rounds_to_more_than_the_target_duration(durations: list[int]) -> None:
    segments = [PlaylistSegment(f"{number}.m4s", ticks) for number, ticks in enumerate(durations)]
    target = target_duration(segments, 90_000)
    assert all(Fraction(ticks, 90_000) < target + Fraction(1, 2) or target == 1 for ticks in durations)


def test_a_finished_playlist_is_the_growing_one_with_an_end() -> None:
    text = media_playlist(
        [PlaylistSegment("0.m4s?v=a", 180_000), PlaylistSegment("1.m4s?v=a", 90_090)],
        timescale=90_000,
        init_uri="init.mp4?v=a",
        complete=True,
    )
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES",
        '#EXT-X-MAP:URI="init.mp4?v=a"',
        "#EXTINF:2.0,",
        "0.m4s?v=a",
        "#EXTINF:1.001,",
        "1.m4s?v=a",
        "#EXT-X-ENDLIST",
    ]


def test_a_growing_playlist_starts_at_its_start_and_keeps_its_target() -> None:
    text = media_playlist(
        [PlaylistSegment("0.m4s", 180_000)],
        timescale=90_000,
        init_uri="init.mp4",
        complete=False,
        least_target=4,
    )
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text
    assert "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES" in text
    assert "#EXT-X-TARGETDURATION:4" in text
    assert "ENDLIST" not in text


def test_a_master_playlist_names_each_stream_with_its_sound() -> None:
    text = master_playlist(
        [Stream("720p/index.m3u8", 3_000_000, 2_000_000, "avc1.64001f,mp4a.40.2", 1280, 720, "sound")],
        [AudioMedia("audio/index.m3u8", "sound", "Sound", 2)],
    )
    assert text.splitlines()[3:] == [
        (
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Sound",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
            'URI="audio/index.m3u8"'
        ),
        (
            '#EXT-X-STREAM-INF:BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2000000,CODECS="avc1.64001f,mp4a.40.2",'
            'RESOLUTION=1280x720,AUDIO="sound"'
        ),
        "720p/index.m3u8",
    ]


def test_a_sound_without_picture_is_a_stream_of_its_own() -> None:
    text = master_playlist([Stream("audio/index.m3u8", 130_000, 128_000, "mp4a.40.2")])
    assert text.splitlines()[-2:] == [
        '#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2"',
        "audio/index.m3u8",
    ]
