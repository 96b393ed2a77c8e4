"""Sample tables as columns: every run spread out, every count held against what is there, and fast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia, MediaRejected, TruncatedMedia
from media_service.mp4.boxes import build_box, build_full_box
from media_service.mp4.samples import read_movie
from media_service.mp4.tables import MAX_UNIFORM_SAMPLES, SampleTable
from tests.mp4.films import moov, raw_sound, stbl, table, trak, words
from tests.mp4.sample_entries import avc_entry, stsd


def read(trak_box: bytes, file_size: int = 1000) -> SampleTable:
    return read_movie(moov(trak_box), file_size=file_size).tracks[0].samples


def test_runs_are_spread_out_to_one_row_per_sample() -> None:
    more = table("ctts", (1, 5), (1, (1 << 32) - 2)) + table("stss", (1,), (3,), (9,))
    inside = stbl(
        sizes=[1, 2, 3, 4, 5, 6],
        chunks=[100, 200, 300, 400],
        per_chunk=[(1, 2, 1), (2, 1, 1), (4, 9, 1)],
        times=[(2, 10), (4, 20)],
        more=more,
    )
    found = read(trak(inside))
    assert found.sizes.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.offsets.tolist() == [100, 101, 200, 300, 400, 405]
    assert found.decode_times.tolist() == [0, 10, 20, 40, 60, 80]
    assert found.decode_stop == 100
    assert found.composition_offsets.tolist() == [5, -2, 0, 0, 0, 0]
    assert found.sync == b"\1\0\1\0\0\0"


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 4)), min_size=1, max_size=20),
    st.integers(0, 3),
)
def test_samples_lie_one_after_another_in_chunks_of_any_shape(
    chunks: list[tuple[int, int]], spare: int
) -> None:
    count = sum(number for _, number in chunks) - min(spare, chunks[-1][1] - 1)
    sizes = [number % 7 for number in range(count)]
    per_chunk = [(at, number, 1) for at, (_, number) in enumerate(chunks, 1)]
    found = read(
        trak(stbl(sizes=sizes, chunks=[at for at, _ in chunks], per_chunk=per_chunk, times=[(count, 1)]))
    )
    expected: list[int] = []
    for start, number in chunks:
        at = start
        for size in sizes[len(expected) : len(expected) + number]:
            expected.append(at)
            at += size
    assert found.offsets.tolist() == expected


def test_a_list_of_durations_that_is_one_short_goes_on() -> None:
    assert read(trak(stbl(times=[(2, 10)]))).decode_times.tolist() == [0, 10, 20]


def test_all_samples_are_sync_samples_without_a_table_of_them() -> None:
    assert read(trak(stbl())).sync == b"\1\1\1"
    assert read(trak(stbl(more=table("stss")))).sync == b"\0\0\0"


@pytest.mark.parametrize(
    ("bits", "data", "sizes"),
    [(4, b"\x12\x30", [1, 2, 3]), (8, b"\1\2\3", [1, 2, 3]), (16, b"\0\1\0\2\1\0", [1, 2, 256])],
)
def test_compact_sample_sizes_are_read(bits: int, data: bytes, sizes: Sequence[int]) -> None:
    assert read(trak(compact(bits, 3, data))).sizes.tolist() == sizes


def compact(bits: int, count: int, data: bytes) -> bytes:
    stz2 = build_full_box("stz2", 0, 0, words(bits, count), data)
    tables = table("stts", (3, 10)), table("stsc", (1, 3, 1)), stz2, table("stco", (100,))
    return build_box("stbl", stsd(avc_entry()), *tables)


def test_offsets_of_64_bits_are_read() -> None:
    co64 = build_full_box("co64", 0, 0, words(1, 3, 0))
    tables = table("stts", (3, 10)), table("stsc", (1, 3, 1)), build_full_box("stsz", 0, 0, words(5, 3)), co64
    found = read(trak(build_box("stbl", stsd(avc_entry()), *tables)), file_size=1 << 40)
    assert found.offsets.tolist() == [3 << 32, (3 << 32) + 5, (3 << 32) + 10]


def test_raw_sound_is_read_by_the_chunk_however_long_it_is() -> None:
    an_hour = 48000 * 3600
    chunks = [1000 + 4 * 48000 * second for second in range(3600)]
    found = read(
        raw_sound(size=4, count=an_hour, chunks=chunks, per_chunk=[(1, 48000, 1)]),
        file_size=1000 + 4 * an_hour,
    )
    assert len(found.sizes) == 3600
    assert (found.sizes[7], found.offsets[7], found.decode_times[7]) == (4 * 48000, chunks[7], 7 * 48000)
    assert found.decode_stop == an_hour


def test_raw_sound_beyond_the_end_or_out_of_proportion_is_refused() -> None:
    with pytest.raises(TruncatedMedia):
        read(raw_sound(size=4, count=100, chunks=[900], per_chunk=[(1, 100, 1)]))
    with pytest.raises(AbsurdMedia):
        read(raw_sound(size=4, count=1 << 31, chunks=[900], per_chunk=[(1, 1 << 31, 1)]))


@pytest.mark.parametrize(
    ("sample_table", "error"),
    [
        (stbl(chunks=[950]), TruncatedMedia),
        (stbl(chunks=[1001]), TruncatedMedia),
        (stbl(chunks=[(1 << 32) - 1]), TruncatedMedia),
        (stbl(chunks=[]), BrokenMedia),
        (stbl(per_chunk=[]), BrokenMedia),
        (stbl(per_chunk=[(1, 2, 1)]), BrokenMedia),
        (stbl(per_chunk=[(2, 3, 1)]), BrokenMedia),
        (stbl(per_chunk=[(1, 3, 1), (1, 3, 1), (0, 3, 1)]), BrokenMedia),
        (stbl(times=[]), BrokenMedia),
        (stbl(uniform=(1, 1_900_000)), TruncatedMedia),
        (stbl(uniform=(1, MAX_UNIFORM_SAMPLES + 1)), AbsurdMedia),
        (stbl(uniform=(0, (1 << 32) - 1)), AbsurdMedia),
        (stbl(uniform=(0, 1_500_000)), BrokenMedia),
        (compact(5, 3, b"\0\0\0\0"), BrokenMedia),
        (compact(8, 4, b"\0\0\0"), BrokenMedia),
        (stbl(more=build_full_box("ctts", 0, 0, words(9))), BrokenMedia),
        (stbl(more=build_full_box("stss", 0, 0, words(1000))), BrokenMedia),
        (stbl(more=build_full_box("stss", 0, 0, words((1 << 32) - 1))), AbsurdMedia),
    ],
)
def test_tables_that_contradict_each_other_are_refused(
    sample_table: bytes, error: type[MediaRejected]
) -> None:
    with pytest.raises(error):
        read(trak(sample_table))


def test_half_a_million_samples_take_about_a_second() -> None:
    count = 500_000
    sizes = [1000 + number % 500 for number in range(count)]
    chunks = list(range(0, count * 5000, 25000))
    ragged = [(at + 1, 5 + at % 3, 1) for at in range(len(chunks))]
    more = table("ctts", *((1, number % 5) for number in range(count))) + table(
        "stss", *((n,) for n in range(1, count, 50))
    )
    times = [(1, 1500 + number % 2) for number in range(count)]
    data = moov(trak(stbl(sizes=sizes, chunks=chunks, per_chunk=ragged, times=times, more=more)))
    before = time.process_time()
    track = read_movie(data, file_size=1 << 32).tracks[0]
    span = track.presentation_span()
    spent = time.process_time() - before
    assert span == (0, track.samples.decode_stop + track.samples.composition_offsets[-1])
    assert all(a < b for a, b in pairwise(track.samples.offsets[:100]))
    assert spent < 20, "slow even for a busy machine"
