"""Exact places from rounded times, against the truth they were rounded from."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import AudioFacts
from media_service.timeline.sound_stamps import WINDOW_PACKETS, Stamps, stamps
from tests.timeline.tracks import stored_track, track


def sound(codec: str, rate: int = 48_000) -> AudioFacts:
    return AudioFacts(index=0, codec=codec, channels=2, sample_rate=rate)


def found(codec: str, times: Sequence[int], *, rate: int = 48_000, timescale: int = 1000) -> Stamps:
    made = track(times, timescale=timescale, kind="audio", stop=times[-1] + 1)
    return stamps(sound(codec, rate), stored_track(made))


def rounded(samples: Sequence[int], rate: int, timescale: int = 1000) -> list[int]:
    return [round(Fraction(sample * timescale, rate)) for sample in samples]


def places(known: Stamps, times: Sequence[int], rate: int, timescale: int = 1000) -> list[int]:
    """What the filters make of the times: the same as `filters.cut_sound` says to ffmpeg."""
    moved = []
    for time in times:
        seconds = Fraction(time, timescale)
        begun = [one for one in known.stretches if one.begins <= seconds]
        phase = (begun or known.stretches)[-1 if begun else 0].phase
        moved.append(phase + known.quantum * round((seconds * rate - phase) / known.quantum))
    return moved


@pytest.mark.parametrize(
    ("codec", "size", "rate"),
    [
        ("aac", 1024, 44_100),
        ("aac", 2048, 48_000),
        ("mp3", 1152, 44_100),
        ("mp3", 576, 22_050),
        ("ac3", 1536, 48_000),
        ("opus", 960, 48_000),
        ("flac", 4608, 44_100),
        ("wmav2", 2048, 44_100),
        ("amr_nb", 160, 8000),
    ],
)
@pytest.mark.parametrize("start", [0, 333, 48_007])
def test_milliseconds_are_enough_to_tell_every_sample(codec: str, size: int, rate: int, start: int) -> None:
    truth = [start + size * number for number in range(5000)]
    times = rounded(truth, rate)
    known = found(codec, times, rate=rate)
    assert known.exact
    assert known.quantum == size
    assert len(known.stretches) == 1
    made = places(known, times, rate)
    assert len({one - other for one, other in zip(made, truth, strict=True)}) == 1, "all moved alike"
    assert abs(made[0] - truth[0]) <= rate / 2000, "and by less than the rounding"


@given(st.integers(0, 2**32), st.sampled_from([44_100, 48_000]))
def test_packets_of_two_sizes_are_told_apart(seed: int, rate: int) -> None:
    """Vorbis, whose packets last a quarter of two blocks each."""
    sizes = [128] * (seed % 1500) + Random(seed).choices([128, 576, 1024], k=400)
    truth = list(accumulate(sizes, initial=1000))
    times = rounded(truth, rate)
    known = found("vorbis", times, rate=rate)
    assert known.exact
    made = places(known, times, rate)
    assert len({one - other for one, other in zip(made, truth, strict=True)}) == 1


def test_sound_after_a_hole_has_a_place_of_its_own() -> None:
    truth = [1024 * number + (5000 if number >= 700 else 0) for number in range(1500)]
    times = rounded(truth, 48_000)
    known = found("aac", times)
    assert len(known.stretches) == 2
    made = places(known, times, 48_000)
    wrong = [one - other for one, other in zip(made, truth, strict=True)]
    assert len(set(wrong[:700])) == len(set(wrong[700:])) == 1
    assert max(map(abs, wrong)) <= 24


def test_a_lost_packet_moves_nothing() -> None:
    truth = [1024 * number for number in range(1500) if number != 700]
    times = rounded(truth, 48_000)
    made = places(found("aac", times), times, 48_000)
    assert max(abs(one - other) for one, other in zip(made, truth, strict=True)) <= 24


def test_a_clock_that_drifts_is_followed_in_steps() -> None:
    """A microphone whose samples are 200 ppm too long: the sound is never further from its times than half a packet."""
    times = [round(number * 1024 / 48 * 1.0002) for number in range(20_000)]
    known = found("aac", times)
    assert known.exact
    assert 4 < len(known.stretches) < 20
    made = places(known, times, 48_000)
    assert max(abs(place / 48 - time) for place, time in zip(made, times, strict=True)) < 11
    assert all(one < other for one, other in pairwise(made))


@pytest.mark.parametrize("timescale", [48_000, 96_000])
def test_times_as_fine_as_samples_are_exact_as_they_are(timescale: int) -> None:
    sizes = [100 + number * 7 % 900 for number in range(400)]
    times = rounded(list(accumulate(sizes)), 48_000, timescale)
    known = found("pcm_s16le", times, timescale=timescale)
    assert known.exact
    assert known.quantum == 0


def test_where_nothing_can_be_known_it_says_so() -> None:
    sizes = [100 + number * 7 % 900 for number in range(400)]
    known = found("pcm_s16le", rounded(list(accumulate(sizes)), 48_000))
    assert not known.exact
    assert known.quantum == 0


def test_a_handful_of_packets_tells_nothing() -> None:
    assert not found("aac", rounded([1024 * number for number in range(8)], 48_000)).exact


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=3 * WINDOW_PACKETS),
    st.sampled_from(["aac", "opus", "pcm"]),
)
def test_any_times_at_all_are_answered(steps: list[int], codec: str) -> None:
    known = found(codec, list(accumulate(steps)))
    assert known.quantum >= 0
    begins = [one.begins for one in known.stretches]
    assert begins == sorted(begins)
