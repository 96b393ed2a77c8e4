"""Rows of a pass over the packets, fed whole, split everywhere and spoilt."""

from __future__ import annotations

from fractions import Fraction
from itertools import compress, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia
from media_service.timeline.index import NO_OFFSET, Index, TrackIndex
from media_service.timeline.index_codec import encode
from media_service.timeline.index_rows import LONGEST_LINE, PacketIndexer, SourceStream
from media_service.timeline.plan import plan
from media_service.timeline.stored_index import StoredIndex
from tests.support.media import ffmpeg
from tests.support.shared import corpus, shared_file
from tests.timeline.passes import index_by_pass, rows_of, source_streams
from tests.timeline.tracks import whole_index

FILMS = [entry["file"] for entry in corpus("ok")]
PICTURE = SourceStream(0, "video", Fraction(1, 1000))
SOUND = SourceStream(1, "audio", Fraction(1, 48000))

ROWS = b"""packet,0,0,-40,40,100,48,K_
packet,1,-1024,-1024,1024,23,148,KD,side_data,

packet,0,80,0,40,50,171,__
packet,1,0,0,1024,9,221,K_
packet,0,40,40,40,20,230,__
packet,2,0,0,40,20,250,K_
"""


def indexed(data: bytes, *streams: SourceStream) -> Index:
    indexer = PacketIndexer(streams or (PICTURE, SOUND), payload_offsets=True)
    indexer.feed(data)
    return indexer.finish()


def only(*lines: str, stream: SourceStream = PICTURE) -> TrackIndex:
    (track,) = indexed("\n".join(lines).encode(), stream).tracks
    return track


def test_rows_become_columns_and_other_streams_are_passed_over() -> None:
    index = indexed(ROWS)
    picture, sound = index.tracks
    assert picture.columns.times.tolist() == [0, 80, 40]
    assert picture.columns.decode_times.tolist() == [-40, 0, 40]
    assert picture.columns.sizes.tolist() == [100, 50, 20]
    assert picture.columns.offsets.tolist() == [48, 171, 230]
    assert (list(picture.columns.sync), list(picture.columns.shown)) == ([1, 0, 0], [1, 1, 1])
    assert (picture.start, picture.stop, picture.timescale) == (0, 120, 1000)
    assert list(sound.columns.shown) == [0, 1]
    assert (sound.start, sound.stop, sound.kind) == (0, 1024, "audio")
    assert index.origin == 0


def test_any_split_gives_the_same_index() -> None:
    whole = indexed(ROWS)
    for at in range(len(ROWS) + 1):
        indexer = PacketIndexer((PICTURE, SOUND), payload_offsets=True)
        indexer.feed(ROWS[:at])
        indexer.feed(ROWS[at:])
        assert indexer.finish() == whole
    indexer = PacketIndexer((PICTURE, SOUND), payload_offsets=True)
    for byte in ROWS:
        indexer.feed(bytes([byte]))
    assert indexer.finish() == whole
    assert indexed(ROWS.replace(b"packet,", b"").replace(b"\n", b"\r\n")) == whole


def test_the_film_begins_at_zero_whatever_its_clock_said() -> None:
    index = indexed(
        b"0,5387171045,5387171045,3003,10,0,K_\n1,5387160282,5387160282,1920,10,500,K_\n",
        SourceStream(0, "video", Fraction(1, 90000)),
        SourceStream(1, "audio", Fraction(1, 90000)),
    )
    assert [track.start for track in index.tracks] == [10763, 0]
    assert index.origin == Fraction(5387160282, 90000)
    assert indexed(b"0,500,500,40,10,0,K_\n").tracks[0].start == 0


def test_a_time_base_that_is_no_fraction_of_one_keeps_whole_ticks() -> None:
    track = only(
        "0,N/A,0,1,9,7,K_", "0,N/A,1,1,9,30,__", stream=SourceStream(0, "video", Fraction(1001, 30000))
    )
    assert (track.timescale, track.columns.times.tolist(), track.stop) == (30000, [0, 1001], 2002)


def test_missing_decode_times_are_put_in_rising() -> None:
    track = only(
        "0,0,N/A,1,9,7,K_", "0,67,N/A,1,9,7,__", "0,33,0,1,9,7,__", "0,133,N/A,1,9,7,_", "0,100,67,1,9,7,_"
    )
    assert track.columns.decode_times.tolist() == [-66, -33, 0, 33, 67]
    assert track.stop == 166, "a duration of one tick is none"
    track = only("0,0,N/A,40,9,7,K_", "0,120,N/A,40,9,7,__", "0,40,N/A,40,9,7,__", "0,80,N/A,40,9,7,__")
    assert track.columns.decode_times.tolist() == [-40, 0, 40, 80]
    track = only("0,N/A,0,40,9,7,K_", "0,N/A,N/A,40,9,7,__", "0,N/A,N/A,40,9,7,__")
    assert track.columns.times.tolist() == track.columns.decode_times.tolist() == [0, 1, 2]


def test_sound_that_begins_inside_its_first_packet_begins_where_ffprobe_says() -> None:
    lines = "1,-352,-352,1024,9,7,K_", "1,672,672,1024,9,16,K_"
    for told, start in ((0, 0), (None, -352), (-5000, -352), (5000, -352)):
        indexer = PacketIndexer(
            [SourceStream(1, "audio", Fraction(1, 48000), start=told)], payload_offsets=True
        )
        indexer.feed("\n".join(lines).encode())
        assert indexer.finish(origin=Fraction(0)).tracks[0].start == start


def test_presentation_times_that_are_left_out_are_those_that_no_packet_claims() -> None:
    track = only(
        "0,40,0,40,9,7,K_",
        "0,N/A,40,40,9,7,__",
        "0,80,80,40,9,7,__",
        "0,N/A,120,40,9,7,__",
        "0,160,160,40,9,7,__",
    )
    assert track.columns.times.tolist() == [0, 80, 40, 160, 120]


def test_a_track_without_any_time_or_anything_shown_is_left_out() -> None:
    assert indexed(b"0,N/A,N/A,N/A,9,7,K_\n1,0,0,1024,9,7,KD\n").tracks == ()
    assert indexed(b"").tracks == ()


def test_a_packet_whose_place_is_unknown_has_no_offset() -> None:
    assert only("0,0,0,40,9,N/A,K_").columns.offsets.tolist() == [NO_OFFSET]


def test_spoilt_lines_are_passed_over_and_times_beyond_all_clocks_are_not_believed() -> None:
    huge = str(1 << 62)
    track = only(
        "0,0,0,40,9,7,K_",
        "0,x,0,40,9,7,K_",
        "0,40",
        "0,9" + "9" * 30 + ",0,1,9,7,K_",
        f"0,{huge},40,40,9,7,__",
    )
    assert track.columns.times.tolist() == [0, 40]
    long = b"0,0,0,40,9,7,K_" + b"x" * LONGEST_LINE
    assert indexed(long + b"\n0,0,0,40,9,7,K_\n").tracks[0].columns.sizes.tolist() == [9]


def test_more_packets_than_any_film_has_are_absurd() -> None:
    indexer = PacketIndexer([PICTURE], payload_offsets=True, max_packets=3)
    indexer.feed(b"0,0,0,40,9,7,K_\n" * 3)
    with pytest.raises(AbsurdMedia):
        indexer.feed(b"0,0,0,40,9,7,K_\n")


field = st.sampled_from([b"N/A", b"", b"K_", b"0", b"-1", b"9223372036854775807", b"-9223372036854775808"])
line = st.lists(field | st.integers(-(1 << 65), 1 << 65).map(lambda n: str(n).encode()), max_size=9)


@settings(max_examples=400, deadline=None)
@given(
    lines=st.lists(line.map(lambda fields: b"0," + b",".join(fields)) | st.binary(max_size=30), max_size=12)
)
def test_whatever_comes_gives_an_index_that_can_be_stored(lines: list[bytes]) -> None:
    for stream in (PICTURE, SourceStream(0, "audio", Fraction(1001, 30000))):
        index = indexed(b"\n".join(lines), stream)
        opened = StoredIndex(encode(index))
        assert whole_index(opened) == index
        assert all(track.stop > track.start for track in index.tracks)


@pytest.mark.parametrize("name", FILMS)
def test_every_film_is_indexed_whole_and_decodes_in_order(name: str) -> None:
    path = shared_file(f"corpus/{name}")
    rows = [row.split(b",") for row in rows_of(path).splitlines() if row.startswith(b"packet,")]
    index = index_by_pass(path)
    for stream, track in zip(source_streams(path), index.tracks, strict=True):
        own = [row for row in rows if int(row[1]) == stream.stream]
        assert track.columns.sizes.tolist() == [int(row[5]) for row in own]
        assert sum(track.columns.shown) == sum(b"D" not in row[7] for row in own)
        assert sum(track.columns.sync) == sum(b"K" in row[7] for row in own)
        assert all(a <= b for a, b in pairwise(track.columns.decode_times))
        assert 0 <= track.start < track.stop
    opened = StoredIndex(encode(index))
    assert whole_index(opened) == index
    assert opened.main is not None
    assert plan(opened.main).count


@pytest.mark.parametrize("suffix", ["avi", "ts", "mkv", "flv", "mp4", "mpg"])
def test_the_same_film_in_any_container_has_the_same_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"film.{suffix}"
    made = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=3", "-g", "25"]
    if suffix == "mpg":
        made += ["-c:v", "mpeg2video", "-bf", "2"]
    else:
        made += [
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-bf",
            "0" if suffix == "avi" else "2",
            "-pix_fmt",
            "yuv420p",
        ]
    if suffix == "mp4":
        made += ["-movflags", "+frag_keyframe+empty_moov"]
    ffmpeg(*made, path)
    (track,) = index_by_pass(path).tracks
    assert track.start == 0
    seconds = [Fraction(time, track.timescale) for time in sorted(track.columns.shown_times())]
    assert len(seconds) == 75
    assert all(abs(time - Fraction(number, 25)) <= Fraction(1, 1000) for number, time in enumerate(seconds))
    assert abs(Fraction(track.stop, track.timescale) - 3) <= Fraction(1, 500)
    assert all(a <= b for a, b in pairwise(track.columns.decode_times))
    keys = compress(track.columns.times, track.columns.sync)
    assert [round(Fraction(time, track.timescale)) for time in keys][:3] == [0, 1, 2]
