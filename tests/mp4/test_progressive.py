"""The classic MP4 of fragments: ffprobe sees the same packets, ffmpeg plays it in silence, players can seek in it."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import BrokenMedia
from media_service.mp4.boxes import require, walk
from media_service.mp4.fragments import Sample
from media_service.mp4.init_segment import InitTrack
from media_service.mp4.layout import top_level
from media_service.mp4.packed_samples import PackedSamples
from media_service.mp4.plain_entry import find_trak, turn
from media_service.mp4.progressive import (
    ProgressiveLayout,
    ProgressiveSegment,
    ProgressiveTrack,
    build_header,
)
from media_service.mp4.rewrite import moov_first
from media_service.mp4.samples import Track, read_movie
from tests.mp4.fragmented import Fragmented, take_apart
from tests.mp4.sample_entries import audio, avc_entry, stsd
from tests.support.media import decoded, ffmpeg, packets, probe

VIDEO = InitTrack(1, 90000, "vide", "avc1.640028", 1920, 1080, 0, 0, stsd(avc_entry()))
AUDIO = InitTrack(1, 48000, "soun", "mp4a.40.2", 0, 0, 48000, 2, stsd(audio("mp4a")))
FRAME = Sample(3000, 10, sync=True)


def track_of(source: Fragmented) -> ProgressiveTrack:
    segments = [ProgressiveSegment(fragment.base_time, fragment.samples) for fragment, _ in source.fragments]
    return ProgressiveTrack(source.init, segments)


def film(*sources: Fragmented) -> bytes:
    layout = build_header([track_of(source) for source in sources])
    payloads = [sources[track].fragments[number][1] for track, number in layout.order]
    data = layout.header + b"".join(payloads)
    assert len(data) == layout.size
    return data


def lateness(source: Fragmented) -> int:
    """By how many ticks ffmpeg 5.1 shows such fragments late: it makes up for negative offsets by adding the largest
    of them to every presentation time, but not to the decode times. By the standard (s8.8.8) nothing is added.
    """
    return -min(
        0, *(sample.composition_offset for fragment, _ in source.fragments for sample in fragment.samples)
    )


def test_the_first_frame_is_shown_at_its_source_time(encoded: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    for name, start in (("video", 0), ("late", 90090)):
        path.write_bytes(film(take_apart(encoded[name])))
        assert packets(path, "v", "pts")[0] == (str(start),)


def read(layout: ProgressiveLayout) -> tuple[Track, ...]:
    moov = require(layout.header, "moov")
    return read_movie(layout.header[moov.start : moov.stop], file_size=layout.size).tracks


@pytest.mark.parametrize(
    "names", [("video", "audio"), ("late", "audio"), ("video",), ("late",), ("audio",)], ids="+".join
)
def test_ffmpeg_finds_the_same_packets_at_the_same_times_and_plays_without_a_word(
    names: tuple[str, ...], encoded: dict[str, Path], tmp_path: Path
) -> None:
    sources = {name: take_apart(encoded[name], from_time=0) for name in names}
    path = tmp_path / "film.mp4"
    path.write_bytes(film(*sources.values()))
    assert [box.type for box in walk(path.read_bytes())] == ["ftyp", "moov", "mdat"]
    for number, source in enumerate(sources.values()):
        fragments = tmp_path / "fragments.mp4"
        fragments.write_bytes(source.rebuilt())
        late = lateness(source)
        theirs = [(str(int(pts) - late), *rest) for pts, *rest in packets(fragments, "0")]
        assert packets(path, str(number)) == theirs
    assert ffmpeg("-i", path, "-f", "null", "-") == ""
    for seconds in ("0.5", "3.3", "5.9"):
        assert ffmpeg("-ss", seconds, "-i", path, "-f", "null", "-") == ""


@pytest.mark.parametrize("name", ["video", "late"])
def test_the_same_frames_are_decoded_as_from_the_fragments(
    name: str, encoded: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film(take_apart(encoded[name])))
    ours, theirs = ([line.split(",") for line in decoded(file)] for file in (path, encoded[name]))
    assert [frame[3:] for frame in ours] == [frame[3:] for frame in theirs]
    frames = lateness(take_apart(encoded[name])) // 3003
    assert [int(frame[2]) for frame in ours] == [int(frame[2]) - frames for frame in theirs]


def test_the_priming_of_aac_is_cut_off_by_the_edit_list_when_it_is_kept(
    encoded: dict[str, Path], tmp_path: Path
) -> None:
    source = take_apart(encoded["audio"])
    path = tmp_path / "film.mp4"
    path.write_bytes(film(source))
    stream = probe(path, "-show_entries", "stream=start_pts,nb_frames")["streams"][0]
    assert stream == {"start_pts": 0, "nb_frames": str(sum(len(f.samples) for f, _ in source.fragments))}
    assert packets(path, "a", "pts")[:2] == [("-1024",), ("0",)]


def test_a_film_without_oddities_needs_no_edit_list() -> None:
    (track,) = read(build_header([ProgressiveTrack(VIDEO, [ProgressiveSegment(0, [FRAME] * 3)])]))
    assert track.edits == ()
    assert track.presentation_span() == (0, 9000)


def test_a_turned_picture_stays_turned() -> None:
    turned = ProgressiveTrack(replace(VIDEO, rotation=90), [ProgressiveSegment(0, [FRAME])])
    header = build_header([turned]).header
    trak = find_trak(header[require(header, "moov").start : require(header, "moov").stop], 1)
    assert trak is not None
    assert turn(header[require(header, "moov").start :], trak) == 90


def test_chunks_follow_each_other_by_time_and_every_sample_is_where_its_payload_lies() -> None:
    video = [ProgressiveSegment(at * 180000, [FRAME] * 60) for at in range(3)]
    sound = [ProgressiveSegment(at * 96000 + 10, [Sample(1024, 5, sync=True)] * 90) for at in range(3)]
    layout = build_header([ProgressiveTrack(VIDEO, video), ProgressiveTrack(AUDIO, sound)])
    assert layout.order == ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2))
    picture, noise = read(layout)
    assert (picture.track_id, noise.track_id) == (1, 2)
    start = len(layout.header)
    assert picture.samples.offsets[59:61].tolist() == [start + 590, start + 600 + 450]
    assert noise.samples.offsets[0] == start + 600


def test_a_gap_between_fragments_lengthens_the_last_frame_before_it() -> None:
    segments = [
        ProgressiveSegment(0, [FRAME] * 2),
        ProgressiveSegment(0, []),
        ProgressiveSegment(10000, [FRAME]),
    ]
    layout = build_header([ProgressiveTrack(VIDEO, segments)])
    assert layout.order == ((0, 0), (0, 2))
    assert read(layout)[0].samples.decode_times.tolist() == [0, 3000, 10000]


def test_fragments_that_overlap_are_broken() -> None:
    segments = [ProgressiveSegment(0, [FRAME] * 2), ProgressiveSegment(2999, [FRAME])]
    with pytest.raises(BrokenMedia):
        build_header([ProgressiveTrack(VIDEO, segments)])


def test_a_track_without_samples_is_left_out_and_a_film_without_any_is_a_mistake() -> None:
    empty = ProgressiveTrack(AUDIO, [ProgressiveSegment(0, [])])
    layout = build_header([empty, ProgressiveTrack(VIDEO, [ProgressiveSegment(0, [FRAME])])])
    assert layout.order == ((1, 0),)
    assert [track.handler for track in read(layout)] == ["vide"]
    for tracks in ([], [empty]):
        with pytest.raises(ValueError, match="nothing"):
            build_header(tracks)


def test_offsets_over_4_gib_take_64_bits_and_so_does_the_mdat() -> None:
    big = (1 << 31) + 7
    segments = [ProgressiveSegment(at * 3000, [Sample(3000, big, sync=True)]) for at in range(4)]
    layout = build_header([ProgressiveTrack(VIDEO, segments)])
    assert b"co64" in layout.header
    assert b"stco" not in layout.header
    boxes = top_level(lambda start, stop: layout.header[start:stop], layout.size)
    assert [(box.type, box.header_size) for box in boxes] == [("ftyp", 8), ("moov", 8), ("mdat", 16)]
    assert boxes[-1].stop == layout.size
    start = len(layout.header)
    assert read(layout)[0].samples.offsets.tolist() == [start + at * big for at in range(4)]


@pytest.mark.parametrize(("beyond", "table"), [(0, b"stco"), (1, b"co64")])
def test_the_last_offset_that_fits_in_32_bits_decides(beyond: int, table: bytes) -> None:
    def layout_of(first: int) -> ProgressiveLayout:
        segments = [ProgressiveSegment(0, [FRAME._replace(size=first)]), ProgressiveSegment(3000, [FRAME])]
        return build_header([ProgressiveTrack(VIDEO, segments)])

    # The first payload is so large that the second chunk begins at byte 2^32 - 1, or one beyond.
    layout = layout_of((1 << 32) - 1 - len(layout_of(1).header) + beyond)
    assert table in layout.header
    assert read(layout)[0].samples.offsets[1] == layout.size - FRAME.size


SEGMENT = st.lists(
    st.builds(Sample, st.integers(1, 5000), st.integers(0, 99), st.booleans(), st.integers(-9000, 9000)),
    min_size=1,
    max_size=12,
)


@given(st.lists(SEGMENT, min_size=1, max_size=6), st.integers(-20000, 200000), st.integers(0, 500))
def test_every_frame_keeps_its_absolute_time(parts: list[list[Sample]], base: int, gap: int) -> None:
    segments = []
    expected = []
    for part in parts:
        segments.append(ProgressiveSegment(base, part))
        for sample in part:
            expected.append(base + sample.composition_offset)
            base += sample.duration
        base += gap
    layout = build_header([ProgressiveTrack(VIDEO, segments)])
    (track,) = read(layout)
    assert track.presentation_times().tolist() == expected
    assert min(track.samples.composition_offsets) >= 0
    assert track.samples.sizes.tolist() == [sample.size for part in parts for sample in part]
    assert list(map(bool, track.samples.sync)) == [sample.sync for part in parts for sample in part]
    assert build_header([ProgressiveTrack(VIDEO, segments)]) == layout
    packed = [ProgressiveSegment(one.base_time, PackedSamples.of(one.samples)) for one in segments]
    assert build_header([ProgressiveTrack(VIDEO, packed)]) == layout


def test_a_long_film_is_put_together_in_little_memory() -> None:
    """Twelve hours have three million samples: as objects, all at once, they would take more than a gigabyte."""
    group = PackedSamples.of([FRAME._replace(size=1000 + number, sync=not number) for number in range(100)])
    segments = [ProgressiveSegment(number * 100 * FRAME.duration, group) for number in range(500)]
    tracemalloc.start()
    try:
        layout = build_header([ProgressiveTrack(VIDEO, segments)])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(layout.order) == 500
    assert most < 60 * 50_000


def test_a_film_made_here_needs_no_rewriting(encoded: dict[str, Path]) -> None:
    data = film(take_apart(encoded["video"]))
    boxes = top_level(lambda start, stop: data[start:stop], len(data))
    assert moov_first(boxes, data[boxes[1].start : boxes[1].stop], b"", len(data)) is None
