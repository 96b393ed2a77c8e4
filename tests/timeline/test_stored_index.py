"""What is asked of a stored index, against a search through all packets."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.timeline import index_codec, stored_index
from media_service.timeline.index import NO_OFFSET, Index, Packet, TrackIndex
from media_service.timeline.index_codec import encode
from media_service.timeline.index_columns import IndexCorrupt
from media_service.timeline.stored_index import CACHED_BLOCKS, StoredIndex, StoredTrack
from tests.timeline.tracks import stored, stored_track, track, whole_index

BIG = 1 << 40


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven packets to a block, so that small films have many."""
    for module in (index_codec, stored_index):
        monkeypatch.setattr(module, "BLOCK", 7)


@st.composite
def made_tracks(draw: st.DrawFn) -> TrackIndex:
    count = draw(st.integers(1, 40))
    clock = st.integers(-60, 60) | st.integers(-BIG, BIG)
    numbers = st.lists(st.integers(0, count - 1), max_size=count)
    return track(
        draw(st.lists(clock, min_size=count, max_size=count)),
        decode_times=draw(st.lists(clock, min_size=count, max_size=count)),
        sizes=draw(st.lists(st.integers(0, (1 << 32) - 1), min_size=count, max_size=count)),
        offsets=draw(st.lists(st.just(NO_OFFSET) | st.integers(0, BIG), min_size=count, max_size=count)),
        sync=draw(st.none() | numbers),
        hidden=draw(numbers),
        kind=draw(st.sampled_from(("video", "audio"))),
        timescale=draw(st.integers(1, 1_000_000)),
        stop=draw(clock),
    )


def packets(made: TrackIndex) -> list[Packet]:
    columns = made.columns
    return [
        Packet(
            number,
            columns.times[number],
            columns.decode_times[number],
            columns.sizes[number],
            None if columns.offsets[number] == NO_OFFSET else columns.offsets[number],
            bool(columns.sync[number]),
            bool(columns.shown[number]),
        )
        for number in range(len(columns))
    ]


def naive_at(made: TrackIndex, time: int) -> Packet | None:
    early = [packet for packet in packets(made) if packet.shown and packet.time <= time]
    return max(early, key=lambda packet: packet.time, default=None)


def naive_after(made: TrackIndex, time: int) -> Packet | None:
    late = [packet for packet in packets(made) if packet.shown and packet.time >= time]
    return min(late, key=lambda packet: packet.time, default=None)


def naive_keyframe(made: TrackIndex, packet: Packet) -> Packet | None:
    before = packets(made)[: packet.number + 1]
    return next((key for key in reversed(before) if key.sync and key.time <= packet.time), None)


@settings(max_examples=120, deadline=None)
@given(tracks=st.lists(made_tracks(), max_size=3), origin=st.fractions())
def test_an_index_comes_back_as_it_was_stored(tracks: list[TrackIndex], origin: Fraction) -> None:
    index = Index(Fraction(origin.numerator % BIG, origin.denominator % BIG or 1), tuple(tracks))
    opened = StoredIndex(encode(index))
    assert whole_index(opened) == index
    for made, found in zip(tracks, opened.tracks, strict=True):
        assert (found.count, found.size) == (len(made.columns), sum(made.columns.sizes))
        assert found.shown_count == sum(made.columns.shown)
        assert found.all_sync == all(made.columns.sync)


@pytest.mark.usefixtures("small_blocks")
def test_questions_are_answered_as_by_a_search_through_all_packets() -> None:
    @settings(max_examples=120, deadline=None)
    @given(made=made_tracks(), data=st.data())
    def check(made: TrackIndex, data: st.DataObject) -> None:
        found = stored_track(made)
        times = st.sampled_from(made.columns.times) | st.integers(-70, 70) | st.integers(-BIG, BIG)
        for _ in range(5):
            time, other = data.draw(times), data.draw(times)
            frame = naive_at(made, time)
            assert found.at(time) == frame
            assert found.at_or_after(time) == naive_after(made, time)
            if frame is not None:
                assert found.keyframe(frame) == naive_keyframe(made, frame)
            between = [packet for packet in packets(made) if packet.shown and time <= packet.time < other]
            assert found.between(time, other) == between
        _check_numbers(made, found, data.draw)

    check()


def _check_numbers(
    made: TrackIndex, found: StoredTrack, draw: Callable[[st.SearchStrategy[int]], int]
) -> None:
    count = len(made.columns)
    start = draw(st.integers(0, count))
    stop = draw(st.integers(start, count))
    assert found.columns(start, stop) == made.columns.slice(start, stop)
    some = [packet for packet in packets(made)[start:stop] if packet.offset is not None]
    places = [(packet.offset or 0, (packet.offset or 0) + packet.size) for packet in some]
    span = (min(low for low, _ in places), max(high for _, high in places)) if places else None
    assert found.byte_span(start, stop) == span
    if start < count:
        assert found.packet(start) == packets(made)[start]


@settings(max_examples=120, deadline=None)
@given(tracks=st.lists(made_tracks(), min_size=1, max_size=2), data=st.data())
def test_any_damage_raises_index_corrupt(tracks: list[TrackIndex], data: st.DataObject) -> None:
    whole = encode(Index(Fraction(0), tuple(tracks)))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole) - 1))
        damaged[at] ^= data.draw(st.integers(1, 255))
    if bytes(damaged) == whole:
        return
    with pytest.raises(IndexCorrupt):
        _read_all(bytes(damaged))


@given(made=made_tracks(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_cut_or_lengthened_index_does_not_open(made: TrackIndex, data: st.DataObject) -> None:
    whole = encode(Index(Fraction(0), (made,)))
    for damaged in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        with pytest.raises(IndexCorrupt):
            StoredIndex(damaged)


@given(data=st.binary(max_size=200))
def test_what_never_was_an_index_does_not_open(data: bytes) -> None:
    with pytest.raises(IndexCorrupt):
        StoredIndex(data)


def _read_all(data: bytes) -> None:
    index = StoredIndex(data)
    whole_index(index)
    for found in index.tracks:
        found.sync  # noqa: B018 - read for its errors


def test_a_lookup_in_a_long_film_reads_one_block_and_few_are_kept() -> None:
    count = 100_000
    chance = random.Random(1)
    made = track(
        [number * 40 for number in range(count)],
        sync=range(0, count, 100),
        sizes=[chance.randrange(500, 5000) for _ in range(count)],
    )
    found = stored_track(made)
    assert not found._blocks
    frame = found.at(2_000_000)
    assert frame is not None
    assert (frame.number, len(found._blocks)) == (50_000, 1)
    for time in range(0, count * 40, 40_000):
        frame = found.at(time)
        assert frame is not None
        assert found.keyframe(frame) is not None
    assert len(found._blocks) == CACHED_BLOCKS


def test_the_span_of_many_packets_reads_the_blocks_at_its_ends_only() -> None:
    found = stored_track(track(range(50_000)))
    assert found.byte_span(10, 49_990) == (200, 100 + 499_900)
    assert len(found._blocks) == 2


def test_a_film_without_b_frames_takes_few_bytes_per_packet() -> None:
    chance = random.Random(2)
    sizes = [chance.randrange(200, 20_000) for _ in range(20_000)]
    made = track([number * 512 for number in range(20_000)], sync=range(0, 20_000, 50), sizes=sizes)
    assert len(encode(Index(Fraction(0), (made,)))) < 4 * len(sizes)


def test_the_main_track_is_the_picture_and_tracks_go_by_their_number() -> None:
    sound = track([0, 20], kind="audio", stream=0, stop=5000)
    picture = track([0, 40], stream=2, stop=80)
    index = stored(sound, picture)
    assert index.main is index.track(2)
    assert stored(sound).main is not None
    assert stored().main is None
    with pytest.raises(KeyError):
        index.track(1)
    with pytest.raises(IndexError):
        index.track(0).packet(2)


def test_a_leading_picture_is_decoded_from_the_keyframe_before_its_own() -> None:
    # Decoding order: I0 P2 | I5 with the leading pictures 3 and 4.
    found = stored_track(track([0, 2, 5, 3, 4, 6], sync=[0, 2]))
    times = [0, 2, 3, 4, 5, 6]
    keys = [0, 0, 0, 0, 5, 5]
    for time, expected in zip(times, keys, strict=True):
        frame = found.at(time)
        assert frame is not None
        key = found.keyframe(frame)
        assert key is not None
        assert key.time == expected
    assert found.sync.leading.tolist() == [0, 2]
    assert bisect_left(found.sync.numbers, 2) == 1


def test_a_keyframe_that_the_edit_list_cuts_away_is_still_where_decoding_begins() -> None:
    found = stored_track(track([-80, -40, 0, 40], sync=[0], hidden=[0, 1]))
    assert found.at(-1) is None
    frame = found.at(10)
    assert frame is not None
    key = found.keyframe(frame)
    assert key is not None
    assert (key.number, key.shown) == (0, False)
    assert found.start == 0
