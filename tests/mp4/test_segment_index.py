"""One `sidx` in front of fragmented films: what it says is what lies there, and ffmpeg reads the same film."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import MediaRejected
from media_service.mp4.boxes import build_box, build_full_box, require, walk
from media_service.mp4.fragments import Sample, build_fragment
from media_service.mp4.init_segment import InitTrack, build_init
from media_service.mp4.rewrite import View
from media_service.mp4.segment_index import Reference, build_sidx
from media_service.mp4.view import MovieView, movie_view
from tests.mp4.sample_entries import avc_entry, stsd
from tests.support.media import ffmpeg, framemd5, probe
from tests.support.shared import shared_file

SECONDS = 6
FILM = ["-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=25:duration={SECONDS}"]
FILM += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}"]
FILM += ["-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac"]
INIT = build_init(InitTrack(1, 1000, "vide", "avc1.640028", 1920, 1080, 0, 0, stsd(avc_entry())))


def look(data: bytes) -> MovieView:
    return movie_view(lambda start, stop: data[start:stop], len(data))


def served(data: bytes, view: View) -> bytes:
    return view.header + b"".join(data[start:stop] for start, stop in view.spans)


def read_sidx(data: bytes) -> tuple[int, int, int, list[tuple[int, int, int]]]:
    """Timescale, time of the first picture, the place that the references begin at, and size, ticks and access of each."""
    sidx = require(data, "sidx")
    version = data[sidx.payload_start]
    layout = ">4xIIQQHH" if version else ">4xIIIIHH"
    _, timescale, time, offset, _, count = struct.unpack_from(layout, data, sidx.payload_start)
    at = sidx.payload_start + struct.calcsize(layout)
    return (
        timescale,
        time,
        sidx.stop + offset,
        [struct.unpack_from(">III", data, at + 12 * n) for n in range(count)],
    )


def fragment(number: int, *, sync: bool = True, duration: int = 40, size: int = 5) -> bytes:
    samples = [Sample(duration, size, sync), Sample(duration, size, sync=False)]
    head = build_fragment(sequence=number, track_id=1, base_time=2 * duration * (number - 1), samples=samples)
    return head + bytes([number]) * (2 * size)


@pytest.mark.parametrize(
    "flags",
    [
        "+frag_keyframe+empty_moov+default_base_moof",
        "+frag_keyframe+empty_moov+default_base_moof+delay_moov",
        "+frag_keyframe+empty_moov+default_base_moof+separate_moof",
        "+dash+frag_keyframe+delay_moov",
    ],
)
def test_ffmpeg_reads_the_same_film_and_seeks_by_the_index(tmp_path: Path, flags: str) -> None:
    source, with_index = tmp_path / "film.mp4", tmp_path / "served.mp4"
    ffmpeg(*FILM, "-movflags", flags, source)
    data = source.read_bytes()
    view = look(data)
    assert view.moov == "fragmented"
    assert view.index_first is not None
    whole = served(data, view.index_first)
    assert len(whole) == view.index_first.size
    with_index.write_bytes(whole)
    assert framemd5(with_index) == framemd5(source)
    timescale, time, start, references = read_sidx(whole)
    assert len(references) == SECONDS
    assert start + sum(size for size, _, _ in references) == len(whole)
    shown = probe(source, "-select_streams", "v", "-show_packets")["packets"]
    origin = min(packet["pts"] for packet in shown)
    assert time == origin
    keys = [packet for packet in shown if "K" in packet["flags"]]
    assert {duration for _, duration, _ in references} == {timescale}
    # Each reference begins with a fragment that begins with that very keyframe.
    for number, key in enumerate(keys):
        place = start + sum(size for size, _, _ in references[:number])
        assert next(walk(whole, place)).type in {"moof", "styp"}
        assert sum(ticks for _, ticks, _ in references[:number]) == key["pts"] - origin
        assert references[number][2] == 0x90000000
    # ffmpeg believes the index: asked for a time within, it begins at the keyframe before.
    sought = probe(with_index, "-select_streams", "v", "-read_intervals", "3.5%+#1", "-show_packets")
    assert sought["packets"][0]["pts"] == keys[3]["pts"]


def test_a_film_that_has_its_index_in_front_is_served_as_it_is(tmp_path: Path) -> None:
    flags = "+frag_keyframe+default_base_moof+empty_moov+global_sidx"
    ffmpeg(*FILM, "-an", "-movflags", flags, tmp_path / "film.mp4")
    assert look((tmp_path / "film.mp4").read_bytes()).index_first is None
    indexed = INIT + fragment(1) + fragment(2)
    view = look(indexed).index_first
    assert view is not None
    assert look(served(indexed, view)).index_first is None


def test_one_index_for_each_track_becomes_one(tmp_path: Path) -> None:
    flags = "+frag_keyframe+default_base_moof+empty_moov+global_sidx"
    ffmpeg(*FILM, "-movflags", flags, tmp_path / "film.mp4")
    data = (tmp_path / "film.mp4").read_bytes()
    assert data.count(b"sidx") == 2
    view = look(data).index_first
    assert view is not None
    assert served(data, view).count(b"sidx") == 1


def test_absolute_offsets_are_left_alone(tmp_path: Path) -> None:
    ffmpeg(*FILM, "-movflags", "+frag_keyframe+empty_moov", tmp_path / "film.mp4")
    assert look((tmp_path / "film.mp4").read_bytes()).index_first is None
    data = shared_file("corpus/fmp4_bogus_duration.mp4").read_bytes()
    assert look(data).index_first is None


def test_samples_outside_of_fragments_are_left_alone(tmp_path: Path) -> None:
    ffmpeg(*FILM, "-movflags", "+frag_keyframe+default_base_moof", tmp_path / "film.mp4")
    assert look((tmp_path / "film.mp4").read_bytes()).index_first is None


def test_groups_begin_at_keyframes_and_what_told_less_is_gone() -> None:
    other = build_sidx(track_id=1, timescale=1000, time=0, references=[Reference(10, 40)])
    film = (
        INIT
        + other
        + fragment(1)
        + fragment(2, sync=False)
        + build_box("styp", b"msdh")
        + other
        + fragment(3)
        + build_box("mfra", bytes(8))
    )
    view = look(film).index_first
    assert view is not None
    whole = served(film, view)
    assert [box.type for box in walk(whole)] == [
        "ftyp",
        "moov",
        "sidx",
        *["moof", "mdat"] * 2,
        "styp",
        "moof",
        "mdat",
    ]
    first, second = len(fragment(1) + fragment(2, sync=False)), len(build_box("styp", b"msdh") + fragment(3))
    assert read_sidx(whole)[3] == [(first, 160, 0x90000000), (second, 80, 0x90000000)]


@pytest.mark.parametrize(
    "film",
    [
        INIT,
        INIT + fragment(1, sync=False) + fragment(2),
        fragment(1) + INIT,
        INIT + fragment(1).replace(b"tfdt", b"free"),
        INIT + build_box("moof", bytes(3)) + fragment(1),
        INIT + fragment(2, duration=1 << 31) + fragment(1),
    ],
    ids=["no fragment", "no keyframe first", "moov last", "no time", "damage", "going back"],
)
def test_what_cannot_be_indexed_is_left_alone(film: bytes) -> None:
    assert look(film).index_first is None


def test_times_beyond_32_bits_take_the_long_form_and_sizes_have_a_limit() -> None:
    made = build_sidx(track_id=1, timescale=1000, time=1 << 40, references=[Reference(7, 40, closed=False)])
    assert read_sidx(made) == (1000, 1 << 40, len(made), [(7, 40, 0x80000000)])
    for wrong in (Reference(1 << 31, 1), Reference(1, 1 << 32), Reference(1, -1)):
        with pytest.raises(ValueError, match="sidx"):
            build_sidx(track_id=1, timescale=1, time=0, references=[wrong])
    with pytest.raises(ValueError, match="sidx"):
        build_sidx(track_id=1, timescale=1, time=0, references=[Reference(1, 1)] * (1 << 16))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12), st.booleans())
def test_damage_is_an_error_of_the_table_or_a_film_served_as_it_is(
    changes: list[tuple[int, int]], indexed: bool
) -> None:
    film = fragment(1) + fragment(2)
    sidx = (
        build_sidx(track_id=1, timescale=1000, time=0, references=[Reference(len(film), 160)])
        if indexed
        else b""
    )
    damaged = bytearray(sidx + film)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    data = INIT + bytes(damaged)
    try:
        view = look(data).index_first
    except MediaRejected:
        return
    if view is not None:
        assert served(data, view).startswith(INIT)


def test_a_sidx_cut_short_is_no_index() -> None:
    film = INIT + build_full_box("sidx", 0, 0, bytes(4)) + fragment(1)
    view = look(film).index_first
    assert view is not None
    assert [box.type for box in walk(served(film, view))] == ["ftyp", "moov", "sidx", "moof", "mdat"]
