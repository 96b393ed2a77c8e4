"""Codec names as RFC 6381 and the codecs' own papers write them."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import BrokenMedia, MediaRejected
from media_service.mp4.boxes import build_box, build_full_box, require
from media_service.mp4.sample_entry import SampleEntry, read_sample_entry
from tests.mp4.sample_entries import audio, avc_entry, esds, stsd, visual


def read(data: bytes, handler: str) -> SampleEntry:
    return read_sample_entry(data, require(data, "stsd"), handler)


@pytest.mark.parametrize(
    ("entry", "codec"),
    [
        (avc_entry(), "avc1.640028"),
        (visual("avc3", build_box("avcC", bytes.fromhex("0142e01e"))), "avc3.42e01e"),
        (
            visual("hvc1", build_box("hvcC", bytes.fromhex("0101 60000000 900000000000 5d"))),
            "hvc1.1.6.L93.90",
        ),
        (
            visual("hev1", build_box("hvcC", bytes.fromhex("0122 20000000 b00000000000 99"))),
            "hev1.2.4.H153.B0",
        ),
        (visual("av01", build_box("av1C", bytes.fromhex("81050c00"))), "av01.0.05M.08"),
        (visual("av01", build_box("av1C", bytes.fromhex("8109cc00"))), "av01.0.09H.10"),
        (visual("vp09", build_full_box("vpcC", 1, 0, bytes([0, 31, 0x82]))), "vp09.00.31.08"),
        (visual("avc1"), "avc1"),
        (visual("avc1", build_box("pasp", bytes(8)), b"junk that is no box"), "avc1"),
        (visual("hvc1", build_box("hvcC", b"\1")), "hvc1"),
    ],
)
def test_video_is_named_with_profile_and_level(entry: bytes, codec: str) -> None:
    found = read(stsd(entry), "vide")
    assert (found.codec, found.width, found.height, found.encrypted) == (codec, 1920, 1080, False)


@pytest.mark.parametrize(
    ("entry", "codec"),
    [
        (audio("mp4a", esds(0x40)), "mp4a.40.2"),
        (audio("mp4a", esds(0x40, b"\xf9\x46")), "mp4a.40.42"),
        (audio("mp4a", esds(0x6B)), "mp4a.6b"),
        (audio("mp4a", esds(0x40, flags=0xE0, extra=b"\0\1" + b"\3abc" + b"\0\2")), "mp4a.40.2"),
        (audio("mp4a", build_box("wave", esds(0x40)), version=1, more=bytes(16)), "mp4a.40.2"),
        (audio("mp4a", esds(0x40)[:20]), "mp4a"),
        (audio("mp4a", build_full_box("esds", 0, 0, b"\3")), "mp4a"),
        (audio("Opus"), "opus"),
        (audio("ac-3"), "ac-3"),
    ],
)
def test_sound_is_named_by_its_object_type(entry: bytes, codec: str) -> None:
    found = read(stsd(entry), "soun")
    assert (found.codec, found.channels, found.sample_rate) == (codec, 2, 48000)


def test_quicktimes_second_version_says_rate_and_channels_elsewhere() -> None:
    more = struct.pack(">IdI", 72, 96000.0, 6) + bytes(20)
    found = read(stsd(audio("lpcm", version=2, channels=3, rate=1, more=more)), "soun")
    assert (found.channels, found.sample_rate) == (6, 96000)


def test_isos_first_version_has_no_more_fields() -> None:
    assert read(stsd(audio("mp4a", esds(0x40), version=1), version=1), "soun").codec == "mp4a.40.2"


@pytest.mark.parametrize(
    ("data", "handler"),
    [
        (stsd(visual("encv")), "vide"),
        (stsd(avc_entry(), visual("encv")), "vide"),
        (stsd(audio("drms")), "soun"),
        (stsd(audio("mp4a", build_box("sinf"))), "soun"),
    ],
)
def test_encryption_is_seen(data: bytes, handler: str) -> None:
    assert read(data, handler).encrypted


def test_a_track_without_an_entry_is_broken() -> None:
    for data in (stsd(), build_full_box("stsd", 0, 0, struct.pack(">I", 5))):
        with pytest.raises(BrokenMedia):
            read(data, "vide")


def test_other_tracks_and_short_entries_have_just_their_name() -> None:
    assert read(stsd(build_box("tx3g", bytes(8))), "sbtl") == SampleEntry("tx3g", "tx3g")
    assert read(stsd(build_box("avc1", bytes(8))), "vide") == SampleEntry("avc1", "avc1")


@given(st.sampled_from(["avc1", "hvc1", "av01", "vp09", "mp4a"]), st.binary(max_size=60), st.booleans())
def test_any_bytes_in_an_entry_give_a_name_or_an_error_of_the_table(
    name: str, junk: bytes, whole: bool
) -> None:
    config = {"avc1": "avcC", "hvc1": "hvcC", "av01": "av1C", "vp09": "vpcC", "mp4a": "esds"}[name]
    inside = build_box(config, junk) if whole else junk
    handler = "soun" if name == "mp4a" else "vide"
    entry = audio(name, inside) if name == "mp4a" else visual(name, inside)
    with contextlib.suppress(MediaRejected):
        assert read(stsd(entry), handler).codec.startswith(name)
