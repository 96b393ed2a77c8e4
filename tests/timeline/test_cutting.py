"""Where runs begin and end, on tracks made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.cutting import ATTEMPTS, PACKET, AudioCut, audio_cut, video_cut
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.index import TrackIndex
from media_service.timeline.ladder import AUDIO_SAMPLE_RATE
from media_service.timeline.outline import Kind, OutlineRendition
from media_service.timeline.sound_stamps import stamps
from media_service.timeline.stored_index import StoredTrack
from tests.timeline.tracks import stored_track, track

MP4, TS, MKV, AVI = "mov,mp4,m4a,3gp,3g2,mj2", "mpegts", "matroska,webm", "avi"


def sound_cut(
    facts: Facts, track: StoredTrack, rendition: OutlineRendition, first: int, stop: int, *, attempt: int = 0
) -> AudioCut:
    known = stamps(facts.sound(track.stream), track)
    return audio_cut(facts, track, rendition, first, stop, known=known, attempt=attempt)


def facts(container: str = MP4, *, interlaced: bool = False, reordered: int = 0, rate: int = 48_000) -> Facts:
    return Facts(
        container=container,
        video=VideoFacts(
            index=0, codec="h264", width=64, height=36, interlaced=interlaced, reordered_frames=reordered
        ),
        audio=(AudioFacts(index=1, codec="aac", channels=2, sample_rate=rate),),
    )


def rendition(
    boundaries: Sequence[int], *, kind: Kind = "video", timescale: int = 90_000
) -> OutlineRendition:
    return OutlineRendition(
        name="x",
        kind=kind,
        stream=0,
        timescale=timescale,
        boundaries=tuple(boundaries),
        codecs="",
        bandwidth=0,
        average_bandwidth=0,
    )


def film(seconds: int = 20, keys: int = 100, *, decode_ahead: int = 0) -> TrackIndex:
    """25 frames a second, a keyframe each `keys` frames."""
    numbers = range(25 * seconds)
    return track(
        [40 * number for number in numbers],
        sync=[number for number in numbers if number % keys == 0],
        decode_times=[40 * number - decode_ahead for number in numbers],
    )


FOURS = rendition(range(0, 20 * 90_000 + 1, 4 * 90_000))


def test_a_run_begins_at_the_keyframe_and_ends_between_two_frames() -> None:
    cut = video_cut(facts(), stored_track(film()), FOURS, 1, 3)
    assert cut.seek == 4
    assert cut.starts == (Fraction(399, 100), Fraction(799, 100))
    assert cut.stop == Fraction(1199, 100)


def test_the_first_run_begins_with_the_film_and_the_last_has_a_bound_all_the_same() -> None:
    track = stored_track(film())
    assert video_cut(facts(), track, FOURS, 0, 1).seek is None
    assert video_cut(facts(), track, FOURS, 4, 5).stop == 21


def test_decoding_begins_at_the_keyframe_before_when_the_boundary_is_none() -> None:
    assert video_cut(facts(), stored_track(film(keys=150)), FOURS, 1, 2).seek is None
    assert video_cut(facts(), stored_track(film(keys=150)), FOURS, 3, 4).seek == 12
    assert video_cut(facts(), stored_track(film(keys=150)), FOURS, 4, 5).seek == 12


def test_interlaced_pictures_need_the_frame_before() -> None:
    assert video_cut(facts(interlaced=True), stored_track(film()), FOURS, 2, 3).seek == 4


@pytest.mark.parametrize(("container", "back"), [(MP4, 0), (MKV, 0), (TS, 1), ("mpeg", 2), ("ogg", 2)])
def test_where_seeking_is_not_exact_reading_begins_further_back(container: str, back: int) -> None:
    assert video_cut(facts(container), stored_track(film()), FOURS, 2, 3).seek == 8 - back


def test_where_demuxers_look_for_decode_times_those_count() -> None:
    track = stored_track(film(decode_ahead=80))
    assert video_cut(facts(MP4), track, FOURS, 2, 3).seek == 8
    assert video_cut(facts(TS), track, FOURS, 2, 3).seek == Fraction(692, 100)


def test_a_keyframe_that_is_decoded_before_the_wanted_one_is_shown_would_be_found_instead() -> None:
    """Keyframes at 4.00 and 4.04 s: at the time at which the first is shown, the second is decoded already."""
    numbers = range(200)
    close = track(
        [40 * number for number in numbers],
        sync=[0, 50, 100, 101],
        decode_times=[40 * number - 80 for number in numbers],
    )
    assert video_cut(facts(), stored_track(close), rendition([0, 360_000, 720_000]), 1, 2).seek == 2


def test_later_attempts_go_further_back_and_the_last_to_the_start() -> None:
    track = stored_track(film(seconds=60))
    sixty = rendition(range(0, 60 * 90_000 + 1, 4 * 90_000))
    seeks = [video_cut(facts(), track, sixty, 10, 11, attempt=attempt).seek for attempt in range(ATTEMPTS)]
    assert seeks == [40, 28, None]
    sound = stored_track(packets(60))
    cuts = [sound_cut(facts(), sound, heard(60), 10, 11, attempt=attempt) for attempt in range(ATTEMPTS)]
    assert cuts[0].seek is not None
    assert cuts[1].seek == cuts[0].seek - 10
    assert cuts[2].seek is None


def test_avi_frames_come_as_late_as_the_decoder_holds_them_back() -> None:
    track = stored_track(film())
    assert video_cut(facts(AVI, reordered=2), track, FOURS, 1, 2).delay == Fraction(80, 1000)
    assert video_cut(facts(MP4, reordered=2), track, FOURS, 1, 2).delay == 0


def test_idr_frames_divide_long_segments_evenly() -> None:
    cuts = rendition([0, 360_000, 937_980, 1_170_000, 1_800_000])  # 4, 6.42, 2.58 and 7 s
    found = [float(time) for time in video_cut(facts(), stored_track(film()), cuts, 0, 4).keyframes]
    assert found == [-0.25, 1.99, 3.99, 5.63, 7.23, 8.83, 10.43, 11.71, 12.99, 14.75, 16.51, 18.27]


def test_a_film_of_few_frames_has_one_idr_frame_for_each_of_them() -> None:
    """A second time in the same hole would make the frame after it an IDR frame too."""
    sparse = stored_track(track([0, 9_000, 9_040, 20_000], sync=[0], stop=21_000))
    found = video_cut(facts(), sparse, rendition([0, 1_800_000, 1_890_000]), 0, 2).keyframes
    assert found == (Fraction(-1, 4), Fraction(6750, 1000), Fraction(17_260, 1000))


def test_a_picture_that_begins_late_is_not_looked_for_before() -> None:
    late = stored_track(track([1000 + 40 * number for number in range(100)], sync=[0]))
    cut = video_cut(facts(), late, rendition([0, 450_000]), 0, 1)
    assert cut.starts == (Fraction(3, 4),)
    assert cut.seek is None


@pytest.mark.parametrize(("first", "stop"), [(-1, 1), (1, 1), (2, 1), (0, 6)])
def test_segments_that_are_not_there_cannot_be_made(first: int, stop: int) -> None:
    with pytest.raises(ValueError, match="has 5 segments"):
        video_cut(facts(), stored_track(film()), FOURS, first, stop)
    with pytest.raises(ValueError, match="has 5 segments"):
        sound_cut(facts(), stored_track(packets(20)), heard(20), first, stop)


@given(
    st.lists(st.integers(1, 3000), min_size=2, max_size=60),
    st.lists(st.integers(0, 59), max_size=6),
    st.sampled_from([600, 1000, 12_800, 90_000]),
)
def test_however_frames_lie_each_cut_is_between_two_of_them(
    steps: list[int], cuts: list[int], timescale: int
) -> None:
    times = [sum(steps[:number]) for number in range(len(steps))]
    made = stored_track(track(times, sync=[0], timescale=timescale, stop=times[-1] + steps[-1]))
    inner = sorted({times[at] for at in cuts if 0 < at < len(times)})
    edges = [0, *inner, times[-1] + steps[-1]]
    outline = rendition([round(Fraction(edge * 90_000, timescale)) for edge in edges])
    if len(set(outline.boundaries)) < len(edges) or min(map(int, steps)) * 90_000 < 4 * timescale:
        return  # frames that 90 kHz cannot tell apart
    cut = video_cut(facts(), made, outline, 0, outline.count)
    for edge, start in zip(edges, cut.starts, strict=False):
        before = [time for time in times if time < edge]
        assert start * timescale < edge or edge == 0
        assert not before or start * timescale > before[-1]
    # Each time is answered by a frame of its own, so none makes a second IDR frame.
    answers = [min(time for time in times if time >= key * timescale) for key in cut.keyframes]
    assert all(one < other for one, other in pairwise(answers))
    assert set(edges[1:-1]) <= set(answers)


# --- sound -------------------------------------------------------------------------------------------------------


def packets(seconds: int, rate: int = 48_000, *, without: range = range(0)) -> TrackIndex:
    """AAC of that rate in MP4, a hole where packets are missing."""
    times = [1024 * number for number in range(seconds * rate // 1024) if number not in without]
    return track(times, timescale=rate, kind="audio", stream=1, stop=times[-1] + 1024)


def heard(seconds: int) -> OutlineRendition:
    cuts = [-(-number * AUDIO_SAMPLE_RATE // PACKET) * PACKET for number in range(0, seconds, 4)]
    return rendition([*cuts, seconds * AUDIO_SAMPLE_RATE], kind="audio", timescale=AUDIO_SAMPLE_RATE)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 44_056, 48_000, 96_000])
def test_sound_is_entered_at_whole_packets_and_whole_samples_of_both_clocks(rate: int) -> None:
    cut = sound_cut(facts(rate=rate), stored_track(packets(40, rate)), heard(40), 8, 9)
    assert cut.start % PACKET == cut.stop % PACKET == 0
    assert cut.start * rate % AUDIO_SAMPLE_RATE == 0
    assert cut.first - cut.start >= 3 * AUDIO_SAMPLE_RATE
    assert cut.stop >= cut.end + PACKET
    assert cut.seek is not None
    assert cut.seek < Fraction(cut.start, AUDIO_SAMPLE_RATE)
    assert not cut.fill
    assert not cut.silent


def test_the_first_segment_of_sound_begins_with_the_film_in_silence() -> None:
    cut = sound_cut(facts(), stored_track(packets(20)), heard(20), 0, 1)
    assert (cut.seek, cut.start, cut.first, cut.fill) == (None, 0, 0, True)


def test_a_hole_is_known_from_reading_that_began_too_late() -> None:
    holed = stored_track(packets(40, without=range(190, 560)))  # from 4.05 to 11.95 s
    inside = sound_cut(facts(), holed, heard(40), 2, 3)
    assert inside.fill
    assert not inside.silent
    outside = sound_cut(facts(), holed, heard(40), 4, 5)
    assert not outside.fill


def test_a_segment_inside_a_hole_is_all_silence() -> None:
    holed = stored_track(packets(60, without=range(190, 1500)))  # from 4.05 to 32 s
    assert sound_cut(facts(), holed, heard(60), 3, 5).silent
    assert not sound_cut(facts(), holed, heard(60), 7, 9).silent


def test_the_last_segment_of_sound_is_whole() -> None:
    cut = sound_cut(facts(), stored_track(packets(20)), heard(20), 4, 5)
    assert cut.end == 20 * AUDIO_SAMPLE_RATE
    assert cut.stop > cut.end
    assert not cut.silent


def test_sound_whose_places_nobody_knows_is_decoded_from_the_start_while_that_is_near() -> None:
    """PCM of 1601.6 samples a packet in a container that counts milliseconds."""
    times = [round(number * 1601.6 / 48) for number in range(40_000)]
    unknown = stored_track(track(times, kind="audio", stream=1))
    raw = Facts(
        container=MKV, audio=(AudioFacts(index=1, codec="pcm_s16le", channels=2, sample_rate=48_000),)
    )
    near, far = (sound_cut(raw, unknown, heard(1300), number, number + 1) for number in (100, 200))
    assert not near.stamps.exact
    assert near.seek is None
    assert far.seek is not None


def test_a_run_knows_the_stretches_of_sound_that_lie_in_it() -> None:
    """The sound has a hole each ten seconds, and goes on elsewhere in a packet after each."""
    times = [1024 * number + 5000 * (number // 470) for number in range(4700)]
    holed = stored_track(track(times, timescale=48_000, kind="audio", stream=1))
    begins = [one.begins for one in sound_cut(facts(), holed, heard(100), 13, 14).stamps.stretches]
    assert 2 <= len(begins) <= 4
    assert min(begins) < 52 - 3
    assert max(begins) < 57
