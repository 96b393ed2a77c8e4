"""What films are served as: every rendition where it belongs, cut where its frames are."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

from media_service.timeline.facts import Facts, SubtitleFacts
from media_service.timeline.outline import Outline, OutlineRendition, decode, encode
from media_service.timeline.outlining import outline
from media_service.timeline.packaging import PackagedTrack
from media_service.timeline.packets import packets_of
from media_service.timeline.plan import plan
from media_service.timeline.stored_index import StoredIndex
from tests.timeline.outlines import (
    PICTURE,
    SECOND_SOUND,
    SOUND,
    any_films,
    audio_facts,
    facts_of,
    film,
    packaged_picture,
    packaged_sound,
    picture,
    sound,
    sound_film,
    video_facts,
)
from tests.timeline.tracks import stored, track, whole_index


def names(made: Outline) -> list[str]:
    return [one.name for one in made.renditions]


def seconds(one: OutlineRendition) -> list[float]:
    return [float(one.seconds(number)) for number in range(one.count + 1)]


def test_a_film_that_must_be_encoded_has_the_ladder_and_a_sound() -> None:
    made = film(30)
    assert names(made) == ["1080p", "720p", "480p", "240p", "audio"]
    assert (made.seconds, made.independent) == (30.0, True)
    assert made.encoded == made.renditions
    assert all(one.timescale == 90_000 for one in made.videos)
    assert seconds(made.main) == [0, 4, 8, 12, 16, 20, 24, 28, 30]
    assert len({one.boundaries for one in made.videos}) == 1
    assert made.main.codecs == "avc1.640028"
    heard = made.rendition("audio")
    assert (heard.timescale, heard.codecs, heard.channels, heard.label) == (48_000, "mp4a.40.2", 2, "Sound")
    assert all(boundary % 1024 == 0 for boundary in heard.boundaries)


def test_a_packaged_film_is_cut_out_of_the_original_at_its_own_packets() -> None:
    made = film(30, packaged=(packaged_picture(), packaged_sound()))
    assert names(made) == ["source", "1080p", "720p", "480p", "240p", "audio"]
    source, heard = made.main, made.rendition("audio")
    assert source.packaged is not None
    assert heard.packaged is not None
    assert (source.packaged.init, source.codecs) == (b"moov of the picture", "avc1.640028")
    assert source.packaged.packets == (0, 100, 200, 300, 400, 500, 600, 700, 750)
    assert (source.timescale, source.boundaries) == (
        1000,
        (0, 4000, 8000, 12_000, 16_000, 20_000, 24_000, 28_000, 30_000),
    )
    assert [time % 1024 for time in heard.boundaries] == [0] * len(heard.boundaries)
    assert heard.packaged.packets == tuple(time // 1024 for time in heard.boundaries)
    assert [one.name for one in made.encoded] == ["1080p", "720p", "480p", "240p"]


def test_bandwidths_of_what_is_packaged_are_counted() -> None:
    made = film(30, packaged=(packaged_picture(), packaged_sound()))
    # 25 frames of 4000 bytes and 47 packets of 300 bytes each second; their heads take up to 16 bytes of each.
    assert 800_000 < made.main.average_bandwidth <= made.main.bandwidth < 805_000
    heard = made.rendition("audio")
    assert 112_500 < heard.average_bandwidth <= heard.bandwidth < 120_000


def test_bandwidths_of_what_is_encoded_bound_any_segment() -> None:
    for one in film(30).videos:
        assert one.video is not None
        # A full buffer of a second, emptied within a segment of four.
        assert 1.25 * one.video.max_bits_per_second <= one.bandwidth <= 1.6 * one.video.max_bits_per_second
        assert one.average_bandwidth < one.video.max_bits_per_second


def test_a_plain_source_needs_no_rung_of_its_own_size() -> None:
    index = stored(picture(30))
    facts = Facts(container="mov", video=video_facts(), packets=packets_of(whole_index(index)))
    made = outline(facts, index, {PICTURE: packaged_picture()})
    # 0.8 Mbit/s: whoever has the line for 480p has the line for this.
    assert names(made) == ["source", "240p"]


@pytest.mark.parametrize(
    ("video", "every"),
    [({"rotation": 90}, 50), ({}, 500)],
    ids=["turned, which WebKit ignores", "without keyframes to cut at"],
)
def test_what_would_not_play_well_as_it_is_has_no_source_rendition(video: dict[str, Any], every: int) -> None:
    made = film(30, video=video, every=every, packaged=(packaged_picture(),))
    assert names(made)[0] == "1080p"
    assert made.independent


def test_open_groups_are_said_to_depend_on_each_other() -> None:
    times = [0, 40, 80]
    keys = [0]
    for group in range(1, 15):
        keys.append(len(times))
        start = group * 2000
        times += [start, start - 40, start + 40, start + 1000]
    index = stored(track(times, sync=keys, stop=30_000, stream=PICTURE))
    made = outline(facts_of(video_facts()), index, {PICTURE: packaged_picture()})
    assert names(made)[0] == "source"
    assert not made.independent
    assert outline(facts_of(video_facts()), index, {}).independent


def test_sound_alone_is_cut_by_itself() -> None:
    made = sound_film(30)
    assert names(made) == ["audio"]
    assert made.main.kind == "audio"
    assert seconds(made.main)[:-1] == pytest.approx([0, 4, 8, 12, 16, 20, 24, 28], abs=0.03)


def test_a_picture_alone_is_silent() -> None:
    made = film(10, audio=())
    assert {one.kind for one in made.renditions} == {"video"}


@pytest.mark.parametrize(("picture_seconds", "sound_seconds"), [(10, 60), (60, 10)])
def test_picture_and_sound_each_last_as_long_as_they_do(picture_seconds: int, sound_seconds: int) -> None:
    index = stored(picture(picture_seconds), sound(sound_seconds))
    made = outline(facts_of(video_facts(), audio_facts()), index, {})
    assert seconds(made.main)[-1] == picture_seconds
    assert seconds(made.sounds[0])[-1] == pytest.approx(sound_seconds, abs=0.03)
    assert made.seconds == pytest.approx(60, abs=0.03)
    assert max(one / 48_000 for one in made.sounds[0].durations) < 6


def test_late_tracks_begin_with_the_film() -> None:
    index = stored(picture(20, start=1500), sound(20, start=96_000))
    made = outline(facts_of(video_facts(), audio_facts()), index, {SOUND: packaged_sound()})
    assert {one.boundaries[0] for one in made.renditions} == {0}
    assert seconds(made.main)[-1] == 21.5
    assert seconds(made.sounds[0])[-1] == pytest.approx(22, abs=0.03)


def test_times_are_rounded_half_up_to_the_clock_of_what_is_encoded() -> None:
    # Frames of a fifth of a 60 Hz tick: 1/1000 s is 90 ticks, 1/16000 s is 5.625.
    times = [number * 4001 for number in range(200)]
    index = stored(track(times, sync=[0], timescale=16_000, stop=200 * 4001, stream=PICTURE))
    cuts = plan(index.tracks[0])
    made = outline(facts_of(video_facts(width=160, height=120)), index, {})
    assert made.main.boundaries == tuple(
        int(Fraction(time * 90_000, 16_000) + Fraction(1, 2)) for time in cuts.boundaries
    )


def test_a_last_frame_of_less_than_a_tick_is_in_the_film() -> None:
    index = stored(track([0, 3_333_333], timescale=10_000_000, stop=3_333_334, stream=PICTURE))
    made = outline(facts_of(video_facts()), index, {})
    assert made.main.boundaries == (0, 30_001)


def test_each_sound_has_its_name_its_language_and_its_channels() -> None:
    sounds = (
        audio_facts(SOUND, channels=6, language="ger"),
        audio_facts(SECOND_SOUND, language="eng", title="Commentary"),
    )
    made = film(30, audio=sounds, packaged=(packaged_sound(SECOND_SOUND),))
    assert [(one.name, one.stream, one.channels, one.language, one.label) for one in made.sounds] == [
        ("audio", SOUND, 2, "de", "Deutsch"),
        ("audio-51", SOUND, 6, "de", "Deutsch (5.1)"),
        ("audio-2", SECOND_SOUND, 2, "en", "English (Commentary)"),
    ]
    assert [one.packaged is None for one in made.sounds] == [True, True, False]


def test_sound_that_cannot_be_cut_is_encoded() -> None:
    times = [0, 1024, 4096, 2048, 3072, *range(5120, 600_000, 1024)]
    odd = track(times, sync=[0, 3], kind="audio", stream=SOUND, timescale=48_000, stop=600_064)
    made = outline(
        facts_of(video_facts(), audio_facts()), stored(picture(10), odd), {SOUND: packaged_sound()}
    )
    assert made.rendition("audio").packaged is None


def test_subtitles_that_are_text_can_become_webvtt() -> None:
    made = film(
        10,
        subtitles=(
            SubtitleFacts(index=3, codec="hdmv_pgs_subtitle", language="eng"),
            SubtitleFacts(index=4, codec="subrip", language="ger", title="Nur Schilder", forced=True),
            SubtitleFacts(index=5, codec="mov_text"),
        ),
    )
    assert [
        (one.number, one.stream, one.language, one.label, one.convertible, one.forced)
        for one in made.subtitles
    ] == [
        (0, 3, "en", "English", False, False),
        (1, 4, "de", "Deutsch (Nur Schilder)", True, True),
        (2, 5, None, "Subtitles", True, False),
    ]


def test_a_film_of_nothing_has_no_outline() -> None:
    with pytest.raises(ValueError, match="a picture or a sound"):
        outline(facts_of(None), stored(), {})
    with pytest.raises(KeyError):
        outline(facts_of(video_facts()), stored(), {})


@given(any_films())
def test_any_film_has_an_outline_that_holds_together(
    source: tuple[Facts, StoredIndex, dict[int, PackagedTrack]],
) -> None:
    facts, index, packaged = source
    made = outline(facts, index, packaged)
    assert len(set(names(made))) == len(made.renditions)
    assert [one.kind for one in made.renditions] == sorted(
        (one.kind for one in made.renditions), reverse=True
    )
    assert {one.stream for one in made.renditions} == {one.stream for one in index.tracks}
    assert made.seconds > 0
    for one in made.renditions:
        assert one.boundaries[0] == 0
        assert all(here < there for here, there in pairwise(one.boundaries))
        assert 0 < one.average_bandwidth <= one.bandwidth
        assert sum(way is not None for way in (one.packaged, one.video, one.audio)) == 1
        stop = index.track(one.stream)
        true = Fraction(stop.stop, stop.timescale)
        assert abs(one.seconds(one.count) - true) <= Fraction(1, one.timescale) or one.count == 1
        if one.packaged is not None:
            assert len(one.packaged.packets) == len(one.boundaries)
    assert len({one.boundaries for one in made.videos if one.packaged is None}) <= 1
    assert decode(encode(made)) == made
    assert decode(encode(made)).version == made.version


@given(any_films())
def test_every_encoded_segment_of_a_picture_has_a_frame(
    source: tuple[Facts, StoredIndex, dict[int, PackagedTrack]],
) -> None:
    facts, index, packaged = source
    made = outline(facts, index, packaged)
    pictures = [one for one in made.videos if one.packaged is None]
    if pictures:
        packets = index.track(PICTURE)
        ticks = {
            int(Fraction(time * 90_000, packets.timescale) + Fraction(1, 2)) for time in packets.shown_times()
        }
        boundaries = pictures[0].boundaries
        assert set(boundaries[1:-1]) <= ticks
        assert all(any(start <= time < stop for time in ticks) for start, stop in pairwise(boundaries))


@pytest.mark.parametrize(("packets", "packaged"), [(5000, True), (5001, False)])
def test_a_track_with_too_many_packets_in_a_segment_is_encoded(packets: int, packaged: bool) -> None:
    """A thousandth of a second each."""
    index = stored(track(range(packets), sync=[0], stop=packets))
    made = outline(facts_of(video_facts()), index, {PICTURE: packaged_picture()})
    assert made.main.count == 1
    assert (made.main.packaged is not None) == packaged
