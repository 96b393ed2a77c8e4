"""Plain sample entries out of whatever writers put into theirs."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import MediaRejected
from media_service.mp4.boxes import Box, build_box, children, require, walk
from media_service.mp4.plain_entry import find_trak, plain_picture, plain_sound, turn, uses_one_entry
from media_service.mp4.sample_entry import read_sample_entry
from tests.mp4.films import moov, stbl, trak, words
from tests.mp4.sample_entries import audio, esds, stsd, visual

AVC = bytes.fromhex("01640028ffe1000567640028ac01000468ee3cb0")
HEVC_HEAD = bytes.fromhex("010160000000b0000000000078f000fcfdf8f800000f")
AAC_STEREO_48 = b"\x11\x90"


def hevc(*kinds: int) -> bytes:
    """An `hvcC` with one parameter set of each of these kinds, its arrays not marked as complete."""
    arrays = b"".join(bytes([kind]) + b"\0\1\0\2ps" for kind in kinds)
    return HEVC_HEAD + bytes([len(kinds)]) + arrays


def film(entry: bytes, handler: bytes = b"vide") -> tuple[bytes, Box]:
    data = moov(trak(stbl(entry=entry), handler=handler))
    found = find_trak(data, 7)
    assert found is not None
    return data, found


def inside(made: bytes, skip: int) -> list[str]:
    """The boxes in the one entry of an `stsd`."""
    (entry,) = children(made, require(made, "stsd"), 8)
    return [box.type for box in children(made, entry, skip)]


def test_a_picture_keeps_what_decoding_needs_and_nothing_else() -> None:
    colours = build_box("colr", b"nclx", struct.pack(">HHHB", 9, 18, 9, 0x80))
    light = build_box("mdcv", bytes(24)), build_box("clli", bytes(4))
    clutter = build_box("fiel", b"\2\1"), build_box("clap", bytes(32)), build_box("btrt", bytes(12))
    data, found = film(visual("avc1", *clutter, build_box("avcC", AVC), colours, *light))
    made = plain_picture(data, found, sample_aspect=(4, 3))
    assert made is not None
    assert inside(made, 78) == ["avcC", "pasp", "colr", "mdcv", "clli"]
    assert colours in made
    assert build_box("pasp", words(4, 3)) in made
    entry = read_sample_entry(made, require(made, "stsd"), "vide")
    assert (entry.codec, entry.width, entry.height) == ("avc1.640028", 1920, 1080)


@pytest.mark.parametrize(("full_range", "flag"), [(False, 0), (True, 0x80)])
def test_quicktimes_colours_become_isos(full_range: bool, flag: int) -> None:
    data, found = film(
        visual("avc1", build_box("avcC", AVC), build_box("colr", b"nclc", words(65537)[:4] + b"\0\1"))
    )
    made = plain_picture(data, found, full_range=full_range)
    assert made is not None
    assert build_box("colr", b"nclx", words(65537)[:4] + b"\0\1", bytes([flag])) in made


def test_parameter_sets_in_the_entry_make_it_the_plain_kind() -> None:
    data, found = film(visual("avc3", build_box("avcC", AVC)))
    made = plain_picture(data, found)
    assert made is not None
    assert read_sample_entry(made, require(made, "stsd"), "vide").codec == "avc1.640028"
    data, found = film(visual("hev1", build_box("hvcC", hevc(32, 33, 34, 39))))
    made = plain_picture(data, found)
    assert made is not None
    assert read_sample_entry(made, require(made, "stsd"), "vide").codec == "hvc1.1.6.L120.B0"
    assert b"\xa0\0\1\0\2ps\xa1\0\1\0\2ps\xa2\0\1\0\2ps\x27\0\1" in made, (
        "the arrays say that they are complete"
    )


@pytest.mark.parametrize(
    "entry",
    [
        visual("avc3", build_box("avcC", bytes.fromhex("01640028ffe000"))),
        visual("avc1", build_box("avcC", bytes.fromhex("01640028ffe1000567640028ac00"))),
        visual("hev1", build_box("hvcC", hevc(33, 34))),
        visual("hvc1", build_box("hvcC", hevc(32, 33, 34)[:-5])),
        visual("avc1"),
        visual("mp4v", esds(0x20)),
        visual("encv", build_box("avcC", AVC)),
    ],
)
def test_a_picture_whose_decoder_the_entry_does_not_set_up_has_none(entry: bytes) -> None:
    assert plain_picture(*film(entry)) is None


QUICKTIME_1 = audio(
    "mp4a", build_box("wave", build_box("frma", b"mp4a"), esds(0x40)), version=1, more=bytes(16)
)
QUICKTIME_2 = audio(
    "mp4a",
    build_box("wave", esds(0x40), bytes(4)),
    version=2,
    more=struct.pack(">IdI20x", 72, 48000.0, 2),
)


@pytest.mark.parametrize("entry", [audio("mp4a", esds(0x40)), QUICKTIME_1, QUICKTIME_2])
def test_sound_of_any_writer_becomes_one_plain_entry(entry: bytes) -> None:
    made = plain_sound(*film(entry, b"soun"))
    assert made == stsd(audio("mp4a", esds(0x40)))


def specific(kind: int, rate: int, channels: int) -> bytes:
    """An AudioSpecificConfig (ISO/IEC 14496-3 s1.6.2.1)."""
    return struct.pack(">H", kind << 11 | rate << 7 | channels << 3)


@pytest.mark.parametrize(("kind", "channels", "taken"), [
    (2, 1, True), (2, 2, True), (5, 2, True), (29, 1, True),
    (2, 6, False), (2, 0, False), (1, 2, False), (4, 2, False),
])  # fmt: skip
def test_only_aac_that_every_player_decodes_is_taken(kind: int, channels: int, taken: bool) -> None:
    made = plain_sound(*film(audio("mp4a", esds(0x40, specific(kind, 4, channels))), b"soun"))
    assert (made is not None) is taken


def test_the_rate_is_the_configurations_also_where_it_is_spelt_out() -> None:
    spelt = (2 << 35 | 15 << 31 | 22050 << 7 | 1 << 3).to_bytes(5, "big")
    for config, rate in ((spelt, 22050), (specific(2, 4, 1), 44100), (specific(2, 0, 1), 0)):
        made = plain_sound(*film(audio("mp4a", esds(0x40, config)), b"soun"))
        assert made is not None
        assert read_sample_entry(made, require(made, "stsd"), "soun").sample_rate == rate


@pytest.mark.parametrize(
    "entry", [audio("mp4a"), audio("Opus"), audio("mp4a", esds(0x6B)), audio("mp4a", esds(0x40, b""))]
)
def test_other_sound_is_not_taken(entry: bytes) -> None:
    assert plain_sound(*film(entry, b"soun")) is None


@given(st.binary(max_size=200))
def test_damage_is_an_error_of_the_table_or_no_entry(junk: bytes) -> None:
    """In the boxes of an entry, and in its configuration."""
    for entry in (
        visual("avc1", build_box("avcC", junk)),
        visual("hvc1", build_box("hvcC", HEVC_HEAD + junk)),
        visual("av01", build_box("av1C", junk), junk),
        visual("vp09", build_box("colr", junk), build_box("vpcC", junk)),
        audio("mp4a", build_box("esds", junk)),
        audio("mp4a", junk, version=2),
    ):
        for make, handler in ((plain_picture, b"vide"), (plain_sound, b"soun")):
            data, found = film(entry, handler)
            try:
                made = make(data, found)
            except MediaRejected:
                continue
            assert made is None or [box.type for box in walk(made)] == ["stsd"]


@pytest.mark.parametrize(
    ("matrix", "angle"),
    [
        ((1, 0, 0, 1), 0),
        ((0, 1, -1, 0), 90),
        ((-1, 0, 0, -1), 180),
        ((0, -1, 1, 0), 270),
        ((-1, 0, 0, 1), None),
        ((2, 0, 0, 2), None),
    ],
)
def test_a_matrix_that_only_turns_is_known(matrix: tuple[int, ...], angle: int | None) -> None:
    data = moov(trak(stbl()))
    at = data.index(b"tkhd") + 44
    a, b, c, d = (number << 16 for number in matrix)
    turned = data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 100 << 16, 0, 1 << 30) + data[at + 36 :]
    found = find_trak(turned, 7)
    assert found is not None
    assert turn(turned, found) == angle
    slanted = turned[:at] + struct.pack(">i", 0xB504) + turned[at + 4 :]
    assert turn(slanted, found) is None


def test_a_track_is_found_by_its_number() -> None:
    data = moov(trak(stbl()))
    assert find_trak(data, 8) is None


def test_samples_of_a_second_entry_are_seen() -> None:
    def uses(count: int, *descriptions: int, fragmented: bool = False) -> bool:
        rows = [(number, 1, description) for number, description in enumerate(descriptions, 1)]
        data = moov(trak(stbl(per_chunk=rows)))
        at = data.index(b"stsd") + 8
        data = data[:at] + words(count) + data[at + 4 :]
        found = find_trak(data, 7)
        assert found is not None
        return uses_one_entry(data, found, fragmented=fragmented)

    assert uses(1, 1)
    assert uses(2, 1, 1)
    assert not uses(2, 1, 2)
    assert not uses(2, 1, fragmented=True)
