from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.scanning import PacketCounter, scan
from media_service.timeline.facts import Facts
from media_service.timeline.packets import Packets, StreamPackets
from tests.ffmpeg.transcoding import DAY, LIMITS
from tests.support.shared import corpus, shared_file

LINES = (
    b"0,10.000000,9.900000,0.100000,100,K_\n"
    b"1,9.950000,9.950000,0.020000,7,KD\n"  # cut away by the edit list
    b"1,9.970000,9.970000,0.030000,7,K_\n"
    b"0,10.200000,10.000000,N/A,50,__,\n"  # side data adds a field
    b"0,10.100000,10.100000,0.100000,25,__\n"
    b"\n"  # and an empty line
    b"2,N/A,N/A,N/A,N/A,K_\n"
)
EXPECTED = Packets(
    (
        StreamPackets(index=0, count=3, key_count=1, size=175, start_seconds=1.0, stop_seconds=1.3),
        StreamPackets(index=1, count=1, key_count=1, size=14, start_seconds=0.97, stop_seconds=1.0),
        StreamPackets(index=2, count=1, key_count=1),
    )
)


def rounded(packets: Packets) -> Packets:
    def near(seconds: float | None) -> float | None:
        return None if seconds is None else round(seconds, 6)

    return Packets(
        tuple(
            StreamPackets(
                index=one.index,
                count=one.count,
                key_count=one.key_count,
                size=one.size,
                start_seconds=near(one.start_seconds),
                stop_seconds=near(one.stop_seconds),
            )
            for one in packets.streams
        )
    )


@given(st.lists(st.integers(0, len(LINES)), max_size=12))
def test_lines_count_the_same_however_they_are_split(cuts: list[int]) -> None:
    counter = PacketCounter(9.0)
    edges = [0, *sorted(cuts), len(LINES)]
    for begin, end in itertools.pairwise(edges):
        counter.feed(LINES[begin:end])
    assert rounded(counter.packets()) == EXPECTED


def test_lines_count_the_same_byte_by_byte() -> None:
    counter = PacketCounter(9.0)
    for byte in LINES:
        counter.feed(bytes([byte]))
    assert rounded(counter.packets()) == EXPECTED


@given(st.lists(st.binary(max_size=100)))
def test_noise_never_breaks_it(noise: list[bytes]) -> None:
    counter = PacketCounter(0.0)
    for data in noise:
        counter.feed(data)
    counter.packets()


@pytest.mark.parametrize("entry", corpus("ok"), ids=lambda entry: entry["file"])
async def test_the_corpus_has_the_packets_that_its_containers_list(entry: dict[str, object]) -> None:
    fd = os.open(shared_file(f"corpus/{entry['file']}"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = await probe(fd, LIMITS)
        packets = await scan(fd, facts, LIMITS)
    finally:
        os.close(fd)
    assert facts.video is not None
    listed = {row["index"]: row.get("nb_frames") for row in entry["ffprobe"]["streams"]}  # type: ignore[index] # JSON
    found = packets.stream(facts.video.index)
    if listed[facts.video.index] is not None:
        assert found.count == int(listed[facts.video.index])
    assert found.key_count >= 1
    if facts.declared_seconds is not None and facts.declared_seconds < DAY:
        stop = packets.stop_seconds(*(stream.index for stream in packets.streams))
        assert stop == pytest.approx(facts.declared_seconds, abs=0.1)
    else:
        assert found.stop_seconds == pytest.approx(1.0677, abs=0.01)  # fmp4_bogus_duration claims 40 hours


async def test_a_file_that_breaks_off_gives_what_was_there(tmp_path: Path) -> None:
    whole = shared_file("corpus/vp9_960x540_60fps_51vorbis.webm").read_bytes()
    path = tmp_path / "cut.webm"
    path.write_bytes(whole[: len(whole) // 2])
    with path.open("rb") as file:
        facts = await probe(file.fileno(), LIMITS)
        packets = await scan(file.fileno(), facts, LIMITS)
    assert 0 < packets.stream(0).count < 60


async def test_what_cannot_be_read_at_all_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + os.urandom(5000))
    with path.open("rb") as file, pytest.raises(BrokenMedia):
        await scan(file.fileno(), Facts(container="mov"), LIMITS)


async def test_a_scan_has_its_limits() -> None:
    fd = os.open(shared_file("corpus/long_362s_1080p_moovend.mp4"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        with pytest.raises(AbsurdMedia):
            await scan(fd, Facts(container="mov"), Limits(output_bytes=1000))
    finally:
        os.close(fd)
