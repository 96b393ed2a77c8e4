"""The places of frames, held against ffprobe's packets; and files that are broken or never end."""

from __future__ import annotations

import hashlib
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia
from media_service.matroska.frames import Frames, find_frames
from media_service.matroska.tracks import read_tracks
from tests.matroska.writing import (
    BLOCK,
    BLOCK_GROUP,
    CLUSTER,
    CUES,
    EBML,
    SIMPLE_BLOCK,
    TRACKS,
    VOID,
    block,
    element,
    film,
    reader,
    track,
)
from tests.support.media import ffmpeg, probe
from tests.support.shared import corpus, shared_file

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=192x108:rate=25:duration=3"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3"]
H264 = ["-c:v", "libx264", "-preset", "fast", "-bf", "3", "-g", "25", "-pix_fmt", "yuv420p"]
AAC = ["-c:a", "aac", "-b:a", "64k"]
SHORT_CLUSTERS = ["-cluster_time_limit", "400"]

MADE: dict[str, tuple[str, list[str]]] = {
    "B frames": ("mkv", [*PICTURE, *SOUND, *H264, *AAC]),
    "short clusters": ("mkv", [*PICTURE, *SOUND, *H264, *AAC, *SHORT_CLUSTERS]),
    "HEVC and Vorbis": ("mkv", [*PICTURE, *SOUND, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-c:a", "libvorbis"]),
    "AV1 and Opus": ("webm", [*PICTURE, *SOUND, "-c:v", "libsvtav1", "-preset", "12", "-c:a", "libopus"]),
    "live": ("webm", [*PICTURE, *SOUND, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus", "-live", "1", *SHORT_CLUSTERS]),
}  # fmt: skip
FILES = [entry["file"] for entry in corpus() if entry["file"].endswith((".mkv", ".webm"))]


def frames_of(data: bytes, most: int = 100_000) -> list[Frames]:
    """Of all tracks, in the order of the list."""
    numbers = [one.number for one in read_tracks(reader(data), len(data))]
    found = find_frames(reader(data), len(data), numbers, most=most)
    return [found[number] for number in numbers]


def pieces(data: bytes, frames: Frames) -> list[bytes]:
    return [data[start : start + size] for start, size in zip(frames.offsets, frames.sizes, strict=True)]


def agree(path: Path, data: bytes) -> None:
    packets = probe(path, "-show_packets", "-show_data_hash", "md5")["packets"]
    for stream, frames in enumerate(frames_of(data)):
        theirs = [packet["data_hash"] for packet in packets if packet["stream_index"] == stream]
        ours = [f"MD5:{hashlib.md5(piece).hexdigest()}" for piece in pieces(data, frames)]
        assert ours == theirs
        assert ours


@pytest.mark.parametrize("name", FILES)
def test_frames_of_the_corpus_are_ffprobes_packets(name: str) -> None:
    path = shared_file(f"corpus/{name}")
    agree(path, path.read_bytes())


@pytest.mark.parametrize("name", MADE)
def test_frames_are_ffprobes_packets(name: str, tmp_path: Path) -> None:
    container, argv = MADE[name]
    path = tmp_path / f"film.{container}"
    ffmpeg(*argv, path)
    agree(path, path.read_bytes())


def test_a_film_that_came_through_a_pipe_has_its_frames(tmp_path: Path) -> None:
    argv = [
        "ffmpeg",
        "-v",
        "error",
        *PICTURE,
        *SOUND,
        *H264,
        *AAC,
        *SHORT_CLUSTERS,
        "-f",
        "matroska",
        "pipe:",
    ]
    data = subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout
    assert b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" in data, "the segment is of unknown size"
    (tmp_path / "film.mkv").write_bytes(data)
    agree(tmp_path / "film.mkv", data)


def test_laced_sound_is_ffprobes_packets(tmp_path: Path) -> None:
    """ffmpeg laces nothing, so its blocks are written again with eight frames in each."""
    ffmpeg(*SOUND, "-c:a", "libopus", tmp_path / "film.mkv")
    data = (tmp_path / "film.mkv").read_bytes()
    frames = pieces(data, frames_of(data)[0])
    private = read_tracks(reader(data), len(data))[0].private
    laced = [block(1, *frames[at : at + 8], lacing=EBML) for at in range(0, len(frames), 8)]
    rate = element(0xE1, element(0xB5, b"\x40\xe7\x70\0\0\0\0\0"), element(0x9F, b"\1"))
    entry = track(1, 2, b"A_OPUS", rate, private=private)
    blocks = [element(BLOCK_GROUP, element(BLOCK, one)) for one in laced]
    path = tmp_path / "laced.mkv"
    path.write_bytes(film(element(TRACKS, entry), element(CLUSTER, element(0xE7, b"\0"), *blocks)))
    assert len(laced) < len(frames)
    agree(path, path.read_bytes())


def simple(*frames: bytes, number: int = 1) -> bytes:
    return b"".join(element(SIMPLE_BLOCK, block(number, frame)) for frame in frames)


LIST = element(TRACKS, track(1))


@pytest.mark.parametrize(
    "inside",
    [
        [element(CLUSTER, simple(b"a", b"b")), element(CLUSTER, element(VOID, b"xx"), simple(b"c"))],
        [element(CLUSTER, simple(b"a"), unknown=True), element(CLUSTER, simple(b"b", b"c"), unknown=True)],
        [element(CLUSTER, simple(b"a"), unknown=True), element(CUES), element(CLUSTER, simple(b"b", b"c"))],
        [
            element(CLUSTER, element(BLOCK_GROUP, element(VOID), element(BLOCK, block(1, b"a")), element(0x9B, b"\1"))),
            element(CLUSTER, simple(b"b"), simple(b"other", number=2), simple(b"c")),
        ],
    ],
)  # fmt: skip
@pytest.mark.parametrize("unknown", [False, True])
def test_clusters_end_where_they_do(inside: list[bytes], unknown: bool) -> None:
    data = film(LIST, *inside, unknown=unknown)
    assert pieces(data, frames_of(data)[0]) == [b"a", b"b", b"c"]


def test_another_film_behind_the_first_is_not_read() -> None:
    data = film(LIST, element(CLUSTER, simple(b"a"), unknown=True), unknown=True)
    assert pieces(data * 2, frames_of(data * 2)[0]) == [b"a"]


@pytest.mark.parametrize("unknown", [False, True])
def test_a_film_that_breaks_off_has_the_frames_that_are_whole(unknown: bool) -> None:
    data = film(LIST, element(CLUSTER, simple(*[b"frame"] * 5), unknown=unknown), unknown=unknown)
    cut = len(data) - len(simple(b"frame"))
    for size in range(cut, len(data)):
        assert pieces(data, frames_of(data[:size])[0]) == [b"frame"] * 4


@pytest.mark.parametrize(
    "inside",
    [
        [element(CLUSTER, element(SIMPLE_BLOCK, unknown=True))],
        [element(CLUSTER, element(BLOCK_GROUP, unknown=True))],
        [element(VOID, unknown=True)],
        [element(CLUSTER, element(CLUSTER))],
        [element(CLUSTER, element(BLOCK_GROUP, element(CLUSTER)), unknown=True)],
        [element(CLUSTER, b"\xa3\x90\x81\0\0\0"), element(VOID, bytes(50))],
        [element(CLUSTER, element(BLOCK_GROUP, b"\xa1\x90\x81\0\0\0"), element(VOID, bytes(50)))],
        [element(CLUSTER, element(SIMPLE_BLOCK, b"\x81"))],
        [element(CLUSTER, bytes(50))],
    ],
)
def test_elements_where_they_cannot_be_are_broken(inside: list[bytes]) -> None:
    with pytest.raises(BrokenMedia):
        frames_of(film(LIST, *inside))


def test_more_frames_or_elements_than_the_film_can_have_are_absurd(monkeypatch: pytest.MonkeyPatch) -> None:
    data = film(LIST, element(CLUSTER, simple(*[b"frame"] * 5)))
    with pytest.raises(AbsurdMedia):
        frames_of(data, most=4)
    monkeypatch.setattr("media_service.matroska.frames.SPARE_ELEMENTS", 0)
    with pytest.raises(AbsurdMedia):
        frames_of(film(LIST, element(VOID) * 100), most=5)


GRAMMAR = st.recursive(
    st.builds(simple, st.binary(max_size=5), number=st.integers(1, 3)) | st.binary(max_size=4),
    lambda inside: st.builds(
        lambda name, parts, unknown: element(name, *parts, unknown=unknown),
        st.sampled_from([CLUSTER, BLOCK_GROUP, BLOCK, VOID, CUES]),
        st.lists(inside, max_size=4),
        st.booleans(),
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(inside=st.lists(GRAMMAR, max_size=6), unknown=st.booleans(), cut=st.integers(0, 40))
def test_any_film_has_frames_within_it_or_is_broken(inside: list[bytes], unknown: bool, cut: int) -> None:
    data = film(LIST, *inside, unknown=unknown)
    data = data[: len(data) - cut]
    try:
        found = find_frames(reader(data), len(data), [1, 2], most=1000)
    except (BrokenMedia, AbsurdMedia):
        return
    for offset, size in chain(*(zip(one.offsets, one.sizes, strict=True) for one in found.values())):
        assert 0 < offset <= offset + size <= len(data)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_noise_ends(noise: bytes) -> None:
    data = film(noise)
    try:
        found = find_frames(reader(data), len(data), [1], most=1000)
        assert len(found[1].offsets) <= len(noise)
    except (BrokenMedia, AbsurdMedia):
        pass
