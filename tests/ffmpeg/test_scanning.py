"""One pass over the packets, with a real ffprobe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.scanning import scan
from media_service.timeline.facts import Facts
from media_service.timeline.packets import packets_of
from tests.ffmpeg.running import DAY, LIMITS
from tests.support.shared import corpus, shared_file


@pytest.mark.parametrize("entry", corpus("ok"), ids=lambda entry: entry["file"])
async def test_the_corpus_has_the_packets_that_its_containers_list(entry: dict[str, object]) -> None:
    fd = os.open(shared_file(f"corpus/{entry['file']}"), os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = await probe(fd, LIMITS)
        packets = packets_of(await scan(fd, facts, LIMITS))
    finally:
        os.close(fd)
    assert facts.video is not None
    listed = {row["index"]: row.get("nb_frames") for row in entry["ffprobe"]["streams"]}  # type: ignore[index] # JSON
    found = packets.stream(facts.video.index)
    if listed[facts.video.index] is not None:
        assert found.count == int(listed[facts.video.index])
    assert found.key_count >= 1
    if facts.subtitles:
        return  # which may last longer, and are not counted
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
        packets = packets_of(await scan(file.fileno(), facts, LIMITS))
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
