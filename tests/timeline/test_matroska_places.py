"""Exact places and times of the packets of a Matroska film, by its blocks and by what a pass over its packets told."""

from __future__ import annotations

import hashlib
import os
from array import array
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.probe import probe as probe_facts
from media_service.ffmpeg.scanning import scan
from media_service.matroska.tracks import MatroskaTrack
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.index import Index, TrackIndex
from media_service.timeline.matroska_places import on_sample_clock, pair_tracks, place
from tests.matroska.writing import reader
from tests.support.films import Film, Films
from tests.support.media import probe
from tests.timeline.tracks import track

VIDEO, AUDIO, SUBTITLE, BUTTONS = 1, 2, 17, 18


async def seen(path: Path) -> tuple[bytes, Facts, Index]:
    """A film, and what ffprobe tells of it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        facts = await probe_facts(fd, PROBE_LIMITS)
        return os.pread(fd, os.fstat(fd).st_size, 0), facts, await scan(fd, facts, PROBE_LIMITS)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("film", "kinds"),
    [
        (Film(container="mkv"), {0: "V_MPEG4/ISO/AVC", 1: "A_AAC"}),
        (Film(container="webm", codec="libvpx"), {0: "V_VP8", 1: "A_OPUS"}),
        (Film(container="mkv", codec="mpeg4"), {1: "A_AAC"}),
    ],
    ids=str,
)
async def test_every_packet_is_where_the_index_says(films: Films, film: Film, kinds: dict[int, str]) -> None:
    path = films.film(film)
    data, facts, told = await seen(path)
    index, tracks = place(reader(data), len(data), facts, told)
    assert {stream: one.codec for stream, one in tracks.items()} == kinds
    packets = probe(path, "-show_packets", "-show_data_hash", "md5")["packets"]
    for one in index.tracks:
        assert one.exact_offsets == (one.stream in kinds)
        if one.exact_offsets:
            rows = zip(one.columns.offsets, one.columns.sizes, strict=True)
            ours = [f"MD5:{hashlib.md5(data[start : start + size]).hexdigest()}" for start, size in rows]
            assert ours == [packet["data_hash"] for packet in packets if packet["stream_index"] == one.stream]


async def test_a_film_that_does_not_agree_with_its_packets_is_left_as_it_is(films: Films) -> None:
    data, facts, told = await seen(films.film(Film(container="mkv")))
    picture, sound = told.tracks
    other = replace(picture, columns=picture.columns.slice(0, len(picture.columns) - 1))
    index, tracks = place(reader(data), len(data), facts, replace(told, tracks=(other, sound)))
    assert index.tracks[0] == other
    assert list(tracks) == []
    for damaged in (data[:100], data.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/ASP"), b"\0" * 100):
        index, tracks = place(reader(damaged), len(damaged), facts, told)
        assert not any(one.exact_offsets and one.stream == 0 for one in index.tracks)
        assert 0 not in tracks


def entry(number: int, kind: int, codec: str, *, plain: bool = True) -> MatroskaTrack:
    return MatroskaTrack(number, kind, codec, b"", plain, None)


def test_streams_are_counted_as_ffmpeg_does() -> None:
    """Buttons of a menu, and what has no codec, are no streams; subtitles are."""
    tracks = (
        entry(9, BUTTONS, "B_VOBBTN"),
        entry(4, SUBTITLE, "S_TEXT/UTF8"),
        entry(5, VIDEO, ""),
        entry(2, VIDEO, "V_MPEG4/ISO/AVC"),
        entry(3, AUDIO, "A_AAC"),
        entry(6, AUDIO, "A_AC3"),
        entry(7, AUDIO, "A_AAC", plain=False),
    )
    sounds = [AudioFacts(index=stream, codec=codec, channels=2, sample_rate=48000) for stream, codec in
              ((2, "aac"), (3, "ac3"), (4, "aac"))]  # fmt: skip
    video = VideoFacts(index=1, codec="h264", width=16, height=16)
    facts = Facts(container="matroska,webm", video=video, audio=tuple(sounds))
    assert {stream: one.number for stream, one in pair_tracks(tracks, facts).items()} == {1: 2, 2: 3}
    assert pair_tracks(tracks[1:3], facts) == {}
    assert pair_tracks(tracks[:1] + tracks[2:], facts) == {}


def sound(times: list[int], *, start: int | None = None) -> TrackIndex:
    made = track(times, kind="audio", stop=times[-1] + 21)
    return made if start is None else replace(made, start=start)


def rounded(count: int, *, rate: int, samples: int = 1024, begins: float = 0.0) -> list[int]:
    return [round(1000 * (begins + number * samples / rate)) for number in range(count)]


@given(
    rate=st.sampled_from([44_100, 48_000, 32_000]),
    samples=st.sampled_from([1024, 2048]),
    count=st.integers(1, 300),
    begins=st.floats(0, 100),
)
def test_sound_in_milliseconds_is_put_in_samples(rate: int, samples: int, count: int, begins: float) -> None:
    told = sound(rounded(count, rate=rate, samples=samples, begins=begins))
    found = on_sample_clock(told, rate)
    assert found is not None
    times = found.columns.times
    assert (found.timescale, found.start, found.columns.decode_times) == (rate, times[0], times)
    assert times[0] >= 0
    steps = {after - before for before, after in pairwise(times)}
    assert steps == ({samples} if count > 1 else set())
    for exact, milliseconds in zip(times, told.columns.times, strict=True):
        assert abs(exact / rate - milliseconds / 1000) <= 0.001


def test_sound_that_begins_before_the_film_begins_there_still() -> None:
    found = on_sample_clock(sound(rounded(100, rate=48_000, begins=-0.01), start=0), 48_000)
    assert found is not None
    assert abs(found.columns.times[0] + 480) <= 48
    assert found.start == 0
    assert found.stop == found.columns.times[-1] + 1024


def test_sound_with_a_hole_or_of_another_pace_keeps_its_times() -> None:
    whole = rounded(100, rate=48_000)
    for times in ([*whole[:50], *(time + 30 for time in whole[50:])], rounded(100, rate=48_000, samples=960)):
        assert on_sample_clock(sound(times), 48_000) is None
    far = [time + (1 << 59) for time in whole]
    assert on_sample_clock(sound(far), 48_000) is None
    fine = replace(sound(whole), timescale=1_000_000)
    assert on_sample_clock(fine, 48_000) is None
    none = replace(fine, timescale=1000, columns=fine.columns.only(bytes(100)))
    assert none.columns.times == array("q")
    assert on_sample_clock(none, 48_000) is None
