"""How many frames a segment must have, by an index made by hand."""

from __future__ import annotations

import pytest

from media_service.timeline.ladder import VideoRendition
from media_service.timeline.stored_index import StoredTrack
from media_service.work.least import least_frames, least_packets
from tests.timeline.tracks import stored, track
from tests.work import streams

SECOND = 90_000


def source(times: list[int], timescale: int = 1000) -> StoredTrack:
    return stored(track(times, timescale=timescale)).tracks[0]


def test_a_hundredth_and_three_frames_may_be_missing() -> None:
    frames = source([number * 10 for number in range(900)])  # 100 a second
    rendition = streams.picture_rendition(0, 4 * SECOND, 9 * SECOND)
    assert least_frames(frames, rendition, 0) == 400 - 4 - 3
    assert least_frames(frames, rendition, 1) == 500 - 5 - 3


def test_a_frame_that_another_clock_rounds_to_the_boundary_belongs_behind_it() -> None:
    """At 24000/1001 frames a second on a clock of milliseconds no time is a whole number of ticks."""
    times = [round(number * 1001 / 24) for number in range(240)]
    boundaries = [0, *(times[number] * 90 for number in (96, 192))]
    frames = source(times)
    rendition = streams.picture_rendition(*boundaries, 10 * SECOND)
    assert [least_frames(frames, rendition, number) for number in range(3)] == [93, 93, 45]


def test_frames_of_one_time_and_fields_count_once() -> None:
    twins = source([number // 2 * 40 for number in range(200)])
    rendition = streams.picture_rendition(0, 4 * SECOND)
    assert least_frames(twins, rendition, 0) == 100 - 4
    fields = source([number * 20 for number in range(200)])
    assert least_frames(fields, rendition, 0, interlaced=True) == 100 - 4


def test_renditions_that_leave_frames_out_have_fewer() -> None:
    frames = source([number * 20 for number in range(201)])
    slow = VideoRendition(
        name="36p",
        width=64,
        height=36,
        frame_step=2,
        level=10,
        max_bits_per_second=400_000,
        frame_rate=25.0,
    )
    every = streams.picture_rendition(0, 4 * SECOND + SECOND // 45)
    assert least_frames(frames, every, 0) == 201 - 5
    fewer = streams.picture_rendition(0, 4 * SECOND + SECOND // 45, made=slow)
    assert least_frames(frames, fewer, 0) == 101 - 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_there_is_always_one(count: int) -> None:
    frames = source([number * 40 for number in range(count)])
    assert least_frames(frames, streams.picture_rendition(0, SECOND), 0) == 1
    assert least_packets(streams.sound_rendition(0, count * 1024), 0) == 1


def test_sound_is_whole_but_for_its_end() -> None:
    rendition = streams.sound_rendition(0, 94 * 1024, 193 * 1024 + 5)
    assert (least_packets(rendition, 0), least_packets(rendition, 1)) == (94 - 7, 100 - 7)
