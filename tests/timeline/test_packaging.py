"""Segments cut out of the original, held against the packets of the index."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from media_service.mp4.fragments import Sample, read_fragment
from media_service.timeline.index import TrackIndex
from media_service.timeline.outline import OutlineRendition, Packaged
from media_service.timeline.packaging import cut, segment
from media_service.timeline.plan import Plan, audio_boundaries, plan
from media_service.timeline.stored_index import StoredTrack
from tests.timeline.tracks import stored_track, track

FRAME = 40  # ms
GROUP = (0, 4, 2, 1, 3, 8, 6, 5, 7)  # I P B b b P B b b


def film(groups: int = 20, *, timescale: int = 1000, offsets: list[int] | None = None) -> TrackIndex:
    """Closed groups of nine frames with a pyramid of B frames, decoded two frames early."""
    times = [FRAME * (9 * group + place) for group in range(groups) for place in GROUP]
    return track(
        times,
        sync=range(0, len(times), 9),
        decode_times=[FRAME * (number - 2) for number in range(len(times))],
        sizes=[1000 + number for number in range(len(times))],
        offsets=offsets,
        timescale=timescale,
    )


def packaged(one: StoredTrack, cuts: Plan, *, scale: int = 1) -> OutlineRendition:
    return OutlineRendition(
        name="source",
        kind=one.kind,
        stream=one.stream,
        timescale=one.timescale * scale,
        boundaries=tuple(time * scale for time in cuts.boundaries),
        codecs="avc1.640028",
        bandwidth=1,
        average_bandwidth=1,
        packaged=Packaged(init=b"", packets=cut(one, cuts)),
    )


@pytest.mark.parametrize("scale", [1, 90])
def test_segments_have_all_packets_once_and_fit_together(scale: int) -> None:
    made = film()
    one = stored_track(made)
    cuts = plan(one)
    rendition = packaged(one, cuts, scale=scale)
    segments = [segment(one, rendition, number) for number in range(rendition.count)]
    assert [each.base_time for each in segments] == list(rendition.boundaries[:-1])
    for each, duration in zip(segments, rendition.durations, strict=True):
        assert sum(sample.duration for sample in each.samples) == duration
        assert min(sample.composition_offset for sample in each.samples) >= 0
        assert each.samples[0].sync
    shown = [time for each in segments for time in times_of(each.base_time, each.samples)]
    assert shown == [time * scale for time in made.columns.times]
    sizes = [sample.size for each in segments for sample in each.samples]
    assert sizes == list(made.columns.sizes)
    assert segments[0].spans[0][0] == 100
    assert [each.spans for each in segments[1:]] == [
        ((before.spans[0][1], each.spans[0][1]),) for before, each in pairwise(segments)
    ]


def times_of(decoded: int, samples: tuple[Sample, ...]) -> list[int]:
    found = []
    for sample in samples:
        found.append(decoded + sample.composition_offset)
        decoded += sample.duration
    return found


def test_the_head_is_a_fragment_of_just_these_samples_and_says_the_size() -> None:
    one = stored_track(film())
    rendition = packaged(one, plan(one))
    made = segment(one, rendition, 1)
    fragment = read_fragment(made.head)
    assert (fragment.sequence, fragment.base_time) == (2, made.base_time)
    assert fragment.samples == made.samples
    assert fragment.data_offset == len(made.head)
    assert sum(stop - start for start, stop in made.spans) == fragment.size


def test_packets_that_do_not_follow_each_other_are_spans_of_their_own() -> None:
    offsets = [5000 * number for number in range(180)]
    one = stored_track(film(offsets=offsets))
    made = segment(one, packaged(one, plan(one)), 0)
    assert made.spans == tuple(
        (start, start + 1000 + number) for number, start in enumerate(offsets[: len(made.samples)])
    )


def test_what_the_edit_list_cuts_away_in_front_is_left_out() -> None:
    """A picture before the film, and leading pictures of its first keyframe."""
    times = [-80, -40, 80, 0, 40, 120, 160]
    made = track(
        times,
        sync=[0, 2, 6],
        hidden=[0, 1, 3, 4],
        timescale=1000,
        decode_times=[FRAME * n for n in range(-3, 4)],
    )
    one = stored_track(made)
    cuts = Plan(1000, (0, 160, 200), on_keyframes=True, independent=True)
    assert cut(one, cuts) == (2, 6, 7)
    found = segment(one, packaged(one, cuts), 0)
    assert times_of(found.base_time, found.samples) == [80, 120]
    assert found.base_time == 0, "the playlist begins there, though nothing is shown yet"
    assert found.spans == ((120, 130), (150, 160))


def test_sound_before_the_film_is_left_out_and_the_rest_begins_when_it_is_heard() -> None:
    times = list(range(-64, 480_000, 1024))
    made = track(times, timescale=48000, kind="audio", stop=480_000)
    one = stored_track(replace(made, start=0))
    cuts = audio_boundaries(Plan(1000, (0, 5000, 10_000), on_keyframes=True, independent=True), one)
    rendition = packaged(one, cuts)
    first, second = (segment(one, rendition, number) for number in range(2))
    assert first.base_time == 960
    assert second.base_time == rendition.boundaries[1]
    assert times_of(first.base_time, first.samples) + times_of(second.base_time, second.samples) == times[1:]
    assert second.base_time + sum(sample.duration for sample in second.samples) == 480_000


def test_a_boundary_that_is_at_no_keyframe_is_refused() -> None:
    one = stored_track(film())
    with pytest.raises(ValueError, match="boundary"):
        cut(one, Plan(1000, (0, 400, 7200), on_keyframes=False, independent=False))
    sound = stored_track(track([0, 1024, 2048], kind="audio", timescale=48000))
    with pytest.raises(ValueError, match="boundary"):
        cut(sound, Plan(48000, (0, 5000, 6000), on_keyframes=True, independent=True))


def test_there_is_no_segment_outside_and_none_of_what_is_encoded() -> None:
    one = stored_track(film())
    rendition = packaged(one, plan(one))
    for number in (-1, rendition.count):
        with pytest.raises(IndexError):
            segment(one, rendition, number)
    encoded = OutlineRendition(
        name="720p",
        kind="video",
        stream=0,
        timescale=1000,
        boundaries=(0, 1),
        codecs="",
        bandwidth=1,
        average_bandwidth=1,
    )
    with pytest.raises(ValueError, match="packaged"):
        segment(one, encoded, 0)
