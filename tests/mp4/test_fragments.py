"""Fragments: what ffmpeg writes is read, what we write is read by ffmpeg, and both mean the same."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia, MediaRejected
from media_service.mp4.boxes import BoxCutter, build_box, build_full_box, walk
from media_service.mp4.fragments import (
    Fragment,
    Sample,
    build_fragment,
    pack_samples,
    read_fragment,
    unpack_samples,
)
from tests.mp4.fragmented import take_apart
from tests.support.media import decoded, ffmpeg, packets

U32 = st.integers(0, (1 << 32) - 1)
SAMPLES = st.lists(
    st.builds(Sample, U32, st.integers(0, 1 << 20), st.booleans(), st.integers(-(1 << 31), (1 << 31) - 1)),
    max_size=30,
)


@pytest.mark.parametrize("name", ["video", "late"])
def test_video_put_together_anew_has_the_same_packets_and_frames(
    name: str, encoded: dict[str, Path], tmp_path: Path
) -> None:
    source = take_apart(encoded[name])
    ours = tmp_path / "ours.mp4"
    ours.write_bytes(source.rebuilt())
    assert packets(ours, "v", "pts,dts,size,flags,duration") == packets(
        encoded[name], "v", "pts,dts,size,flags,duration"
    )
    assert decoded(ours) == decoded(encoded[name])
    assert ffmpeg("-i", ours, "-f", "null", "-") == ""


def test_the_priming_packet_of_aac_is_before_zero_and_can_be_dropped(
    encoded: dict[str, Path], tmp_path: Path
) -> None:
    whole = take_apart(encoded["audio"])
    assert whole.fragments[0][0].base_time == -1024
    cut = take_apart(encoded["audio"], from_time=0)
    first = cut.fragments[0][0]
    assert (first.base_time, len(first.samples)) == (0, len(whole.fragments[0][0].samples) - 1)
    ours = tmp_path / "ours.mp4"
    ours.write_bytes(cut.rebuilt())
    theirs = packets(encoded["audio"], "a", "size")
    assert packets(ours, "a", "size") == theirs[1:]
    assert packets(ours, "a", "pts")[:2] == [("0",), ("1024",)]
    assert ffmpeg("-i", ours, "-f", "null", "-") == ""


def test_the_frames_come_at_their_source_times(encoded: dict[str, Path]) -> None:
    fragment, _ = take_apart(encoded["late"]).fragments[0]
    assert min(_presentation(fragment)) == 90090
    fragment, _ = take_apart(encoded["video"]).fragments[0]
    assert min(_presentation(fragment)) == 0
    assert any(sample.composition_offset < 0 for sample in fragment.samples)


def test_a_fragment_says_what_all_samples_share_only_once() -> None:
    alike = [Sample(1024, size, sync=True) for size in range(100, 200)]
    data = build_fragment(sequence=1, track_id=1, base_time=0, samples=alike)
    assert len(data) == 104 + 4 * len(alike)
    assert read_fragment(data[:-8]).samples == tuple(alike)


@given(U32, st.integers(1, (1 << 32) - 1), st.integers(0, (1 << 63) - 1), SAMPLES)
def test_what_is_built_reads_back(
    sequence: int, track_id: int, base_time: int, samples: list[Sample]
) -> None:
    data = build_fragment(sequence=sequence, track_id=track_id, base_time=base_time, samples=samples)
    moof = next(walk(data[:-8]))
    fragment = read_fragment(data[: moof.stop])
    assert fragment == Fragment(sequence, track_id, base_time, tuple(samples), len(data))
    cutter = BoxCutter(1 << 30)
    assert [box.type for box in cutter.feed(data + bytes(fragment.size))] == ["moof", "mdat"]
    cutter.finish()


@given(SAMPLES)
def test_packed_samples_read_back(samples: list[Sample]) -> None:
    assert unpack_samples(pack_samples(samples)) == tuple(samples)


def test_bytes_that_are_no_samples_are_broken() -> None:
    with pytest.raises(BrokenMedia):
        unpack_samples(bytes(14))


def test_a_payload_over_4_gib_has_a_64_bit_header() -> None:
    samples = [Sample(1, (1 << 32) - 1, sync=True)] * 2
    data = build_fragment(sequence=1, track_id=1, base_time=0, samples=samples)
    assert struct.unpack(">I4sQ", data[-16:]) == (1, b"mdat", 2 * ((1 << 32) - 1) + 16)
    assert read_fragment(data[:-16]).data_offset == len(data)


def test_a_fragment_before_time_zero_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="before time zero"):
        build_fragment(sequence=1, track_id=1, base_time=-1, samples=[])


def traf(*boxes: bytes, tfhd: bytes | None = None) -> bytes:
    return build_box("traf", tfhd or build_full_box("tfhd", 0, 0, struct.pack(">I", 1)), *boxes)


def moof(*trafs: bytes) -> bytes:
    return build_box("moof", build_full_box("mfhd", 0, 0, bytes(4)), *trafs)


TFDT = build_full_box("tfdt", 0, 0, struct.pack(">I", 7))


def test_several_runs_are_one_list_when_they_lie_one_after_another() -> None:
    tfhd = build_full_box("tfhd", 0, 0x38, struct.pack(">IIII", 1, 10, 20, 0x10000))
    runs = [
        build_full_box("trun", 0, 5, struct.pack(">IiI", 2, 100, 0)),
        build_full_box("trun", 0, 1, struct.pack(">Ii", 1, 140)),
        build_full_box("trun", 0, 0, struct.pack(">I", 1)),
    ]
    fragment = read_fragment(moof(traf(TFDT, *runs, tfhd=tfhd)))
    assert fragment.samples == (Sample(10, 20, True), *[Sample(10, 20, False)] * 3)
    assert (fragment.base_time, fragment.data_offset, fragment.size) == (7, 100, 80)
    gap = build_full_box("trun", 0, 1, struct.pack(">Ii", 1, 150))
    with pytest.raises(BrokenMedia, match="one after another"):
        read_fragment(moof(traf(TFDT, runs[0], gap, tfhd=tfhd)))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (moof(), BrokenMedia),
        (moof(traf(TFDT), traf(TFDT)), BrokenMedia),
        (moof(traf()), BrokenMedia),
        (moof(traf(TFDT, tfhd=build_full_box("tfhd", 0, 1, bytes(12)))), BrokenMedia),
        (moof(traf(TFDT, build_full_box("trun", 0, 0, struct.pack(">I", 1)))), BrokenMedia),
        (moof(traf(TFDT, build_full_box("trun", 0, 0xF00, struct.pack(">I", 9)))), BrokenMedia),
        (moof(traf(TFDT, build_full_box("trun", 0, 0, b"\xff" * 4))), AbsurdMedia),
    ],
)
def test_a_fragment_that_cannot_be_is_an_error(data: bytes, error: type[MediaRejected]) -> None:
    with pytest.raises(error):
        read_fragment(data)


@settings(max_examples=300)
@given(st.data())
def test_flipped_bytes_give_a_fragment_or_an_error_of_the_table(data: st.DataObject) -> None:
    good = bytearray(
        build_fragment(
            sequence=1, track_id=1, base_time=5, samples=[Sample(1, 2, True, -1), Sample(3, 4, False, 5)]
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaRejected):
        read_fragment(bytes(good))


def _presentation(fragment: Fragment) -> list[int]:
    time = fragment.base_time
    times = []
    for sample in fragment.samples:
        times.append(time + sample.composition_offset)
        time += sample.duration
    return times
