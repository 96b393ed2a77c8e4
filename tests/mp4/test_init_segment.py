"""Init segments: read from ffmpeg's, written the same every time."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import BrokenMedia, EncryptedMedia, MediaRejected
from media_service.mp4.boxes import require, walk
from media_service.mp4.init_segment import InitTrack, build_init, read_init
from tests.mp4.fragmented import take_apart
from tests.mp4.sample_entries import avc_entry, stsd

TRACK = InitTrack(
    track_id=3,
    timescale=90000,
    handler="vide",
    codec="avc1.640028",
    width=1920,
    height=1080,
    sample_rate=0,
    channels=0,
    stsd=stsd(avc_entry()),
)


def test_what_is_built_reads_back_and_is_the_same_every_time() -> None:
    assert read_init(build_init(TRACK)) == TRACK
    assert build_init(TRACK) == build_init(TRACK)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_picture_stays_turned(rotation: int) -> None:
    turned = replace(TRACK, rotation=rotation)
    assert read_init(build_init(turned)) == turned


def test_our_init_segment_of_ffmpegs_output_says_the_same(encoded: dict[str, Path]) -> None:
    video = take_apart(encoded["video"]).init
    assert (video.timescale, video.handler, video.width, video.height) == (90000, "vide", 192, 108)
    assert video.codec.startswith("avc1.6400")
    audio = take_apart(encoded["audio"]).init
    assert (audio.timescale, audio.handler, audio.codec) == (48000, "soun", "mp4a.40.2")
    assert (audio.sample_rate, audio.channels) == (48000, 2)
    for track in (video, audio):
        assert read_init(build_init(track)) == track


def test_an_init_segment_has_no_duration_no_edits_and_no_metadata() -> None:
    data = build_init(TRACK)
    assert [box.type for box in walk(data)] == ["ftyp", "moov"]
    moov = require(data, "moov")
    assert [box.type for box in walk(data, moov.payload_start, moov.stop)] == ["mvhd", "trak", "mvex"]


def test_an_encrypted_or_trackless_init_segment_is_refused() -> None:
    with pytest.raises(EncryptedMedia):
        read_init(build_init(TRACK).replace(b"avc1\0", b"encv\0"))
    with pytest.raises(BrokenMedia, match="one track"):
        read_init(build_init(TRACK).replace(b"trak", b"free"))


@settings(max_examples=300)
@given(st.data())
def test_flipped_bytes_give_a_track_or_an_error_of_the_table(data: st.DataObject) -> None:
    good = bytearray(build_init(TRACK))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaRejected):
        read_init(bytes(good))
