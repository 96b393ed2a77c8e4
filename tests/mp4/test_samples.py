"""Movies read: as ffprobe reads the corpus, with edit lists, and never fooled."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_service.errors import AbsurdMedia, BrokenMedia, EncryptedMedia, MediaRejected
from media_service.mp4 import samples
from media_service.mp4.boxes import build_box
from media_service.mp4.layout import top_level
from media_service.mp4.samples import Edit, Movie, read_movie
from tests.mp4.films import elst, moov, stbl, trak
from tests.mp4.sample_entries import visual
from tests.support.media import probe
from tests.support.shared import SHARED, corpus, shared_file

FILMS = [entry["file"] for entry in corpus("ok") if entry["file"].endswith(".mp4")]
SMALL = [
    "audio_only_15s.mp4",
    "phone_rot90.mp4",
    "av1_aac.mp4",
    "hevc_hlg10_1080p.mp4",
    "stco_out_of_range.mp4",
]


def moov_of(path: Path) -> bytes:
    data = path.read_bytes()
    box = next(
        box for box in top_level(lambda start, stop: data[start:stop], len(data)) if box.type == "moov"
    )
    return data[box.start : box.stop]


def film(*traks: bytes) -> Movie:
    return read_movie(moov(*traks), file_size=1000)


@pytest.mark.parametrize("name", FILMS)
def test_every_sample_of_the_corpus_is_where_ffprobe_says(name: str) -> None:
    path = shared_file(f"corpus/{name}")
    movie = read_movie(moov_of(path), file_size=path.stat().st_size)
    if movie.fragmented:
        assert all(track.count == 0 and track.presentation_span() is None for track in movie.tracks)
        return
    shown = "stream=index,id,start_pts,time_base:packet=stream_index,pts,pos,size,flags"
    theirs = probe(path, "-show_entries", shown)
    for track in movie.tracks:
        stream = next(entry for entry in theirs["streams"] if int(entry["id"], 16) == track.track_id)
        assert stream["time_base"] == f"1/{track.timescale}"
        table = track.samples
        ours = list(zip(track.presentation_times(), table.offsets, table.sizes, table.sync, strict=True))
        assert ours == [
            (packet["pts"], int(packet["pos"]), int(packet["size"]), int("K" in packet["flags"]))
            for packet in theirs["packets"]
            if packet["stream_index"] == stream["index"]
        ]
        span = track.presentation_span()
        assert span is not None
        assert span[0] == stream["start_pts"]


def test_empty_edits_delay_a_track_and_media_time_trims_it() -> None:
    edits = elst((300, -1), (300, -1), (1200, 5))
    track = film(trak(stbl(), edits=edits)).tracks[0]
    assert track.edits == (Edit(300, None), Edit(300, None), Edit(1200, 5))
    assert (track.delay, track.shift) == (1000, 995)
    assert track.presentation_times().tolist() == [995, 1005, 1015]
    assert track.presentation_span() == (1000, 1025)


def test_an_edit_beyond_all_time_is_refused() -> None:
    track = film(trak(stbl(), edits=elst(((1 << 64) - 1, -1), (1, 0), version=1))).tracks[0]
    with pytest.raises(BrokenMedia, match="beyond all films"):
        track.presentation_span()


def test_an_edit_shorter_than_the_media_ends_the_track_early_and_zero_means_all() -> None:
    assert film(trak(stbl(), edits=elst((12, 0), version=1))).tracks[0].presentation_span() == (0, 20)
    assert film(trak(stbl(), edits=elst((0, 0)))).tracks[0].presentation_span() == (0, 30)
    assert film(trak(stbl(), edits=elst((600, -1)))).tracks[0].presentation_span() == (1000, 1030)


def test_a_movie_says_its_tracks_and_what_else_is_there() -> None:
    movie = film(trak(stbl()), trak(build_box("stbl"), handler=b"tmcd"), build_box("mvex"))
    assert (movie.timescale, movie.duration, movie.fragmented) == (600, 1200, True)
    (track,) = movie.tracks
    assert (track.track_id, track.handler, track.entry.codec, track.timescale) == (
        7,
        "vide",
        "avc1.640028",
        1000,
    )


def test_encryption_is_refused_by_that_name() -> None:
    for boxes in ([trak(stbl(entry=visual("encv")))], [trak(stbl()), build_box("pssh", bytes(24))]):
        with pytest.raises(EncryptedMedia):
            film(*boxes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        build_box("moov"),
        moov(timescale=0),
        moov(build_box("trak")),
        moov(trak(stbl(), timescale=0)),
        moov(trak(build_box("stbl"))),
        moov(trak(stbl(), edits=build_box("edts", build_box("elst", bytes(4), b"\0\0\0\2", bytes(12))))),
    ],
)
def test_a_moov_that_lacks_something_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenMedia):
        read_movie(data, file_size=1000)


@pytest.mark.parametrize(
    "data",
    [
        moov(*[build_box("free")] * 3000),
        moov(*[trak(build_box("stbl"), handler=b"text")] * 200),
        moov(
            trak(stbl(), edits=build_box("edts", build_box("elst", bytes(4), b"\xff\xff\xff\xff", bytes(12))))
        ),
    ],
)
def test_swarms_of_boxes_tracks_and_edits_are_absurd(data: bytes) -> None:
    with pytest.raises(AbsurdMedia):
        read_movie(data, file_size=1000)


def test_the_limit_of_samples_is_for_all_tracks_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_SAMPLES", 5)
    assert film(trak(stbl())).tracks[0].count == 3
    with pytest.raises(AbsurdMedia):
        film(trak(stbl()), trak(stbl()))


def test_a_file_that_lies_about_its_chunks_is_refused() -> None:
    path = shared_file("corpus/stco_out_of_range.mp4")
    with pytest.raises(MediaRejected):
        read_movie(moov_of(path), file_size=path.stat().st_size)


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=150, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_in_real_films_give_a_movie_or_an_error_of_the_table(
    name: str, data: st.DataObject
) -> None:
    path = SHARED / "corpus" / name
    if not path.exists():
        pytest.skip("../shared/corpus is absent")
    film = bytearray(moov_of(path))
    for _ in range(data.draw(st.integers(1, 5))):
        film[data.draw(st.integers(0, len(film) - 1))] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    with contextlib.suppress(MediaRejected):
        for track in read_movie(bytes(film), file_size=path.stat().st_size).tracks:
            track.presentation_span()


@settings(max_examples=500, deadline=1000)
@given(data=st.data())
def test_flipped_bytes_in_a_small_film_give_a_movie_or_an_error_of_the_table(data: st.DataObject) -> None:
    edits = elst((300, -1), (1200, 5))
    whole = bytearray(moov(trak(stbl(), edits=edits), trak(stbl(uniform=(7, 3)), handler=b"soun")))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaRejected):
        for track in read_movie(bytes(whole), file_size=1000).tracks:
            track.presentation_span()
