"""The index from sample tables is the one that a pass over the packets gives."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from media_service.errors import BrokenMedia
from media_service.mp4.samples import Movie, read_movie
from media_service.mp4.view import movie_view
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.index import Index, TrackIndex
from media_service.timeline.index_codec import encode
from media_service.timeline.index_tables import index_movie, pair_tracks
from media_service.timeline.plan import audio_boundaries, plan
from media_service.timeline.stored_index import StoredIndex
from tests.mp4.films import elst, moov, stbl, trak
from tests.support.media import ffmpeg
from tests.support.shared import corpus, shared_file
from tests.timeline.passes import index_by_pass, streams_of
from tests.timeline.tracks import whole_index

FILMS = [
    entry["file"] for entry in corpus() if entry["file"].endswith(".mp4") and entry["expected"] != "reject"
]


def movie_of(path: Path) -> Movie:
    data = path.read_bytes()
    return movie_view(lambda start, stop: data[start:stop], len(data)).movie


def index_by_tables(path: Path) -> Index | None:
    movie = movie_of(path)
    numbers = {int(stream["id"], 16): stream["index"] for stream in streams_of(path)}
    pairs = [(numbers[track.track_id], track) for track in movie.tracks if track.track_id in numbers]
    return index_movie(movie, sorted(pairs, key=lambda pair: pair[0]))


def rows(track: TrackIndex) -> list[tuple[int, ...]]:
    """Size, sync, offset and times of the packets that are shown."""
    columns = track.columns
    every = zip(
        columns.sizes, columns.sync, columns.offsets, columns.times, columns.decode_times, strict=True
    )
    return [row for row, shown in zip(every, columns.shown, strict=True) if shown]


def assert_same(ours: Index, theirs: Index) -> None:
    assert abs(ours.origin - theirs.origin) < Fraction(1, 1000)
    assert [track.stream for track in ours.tracks] == [track.stream for track in theirs.tracks]
    for mine, other in zip(ours.tracks, theirs.tracks, strict=True):
        assert (mine.kind, mine.timescale, mine.exact_offsets) == (other.kind, other.timescale, True)
        assert [row[:3] for row in rows(mine)] == [row[:3] for row in rows(other)]
        for our_row, their_row in zip(rows(mine), rows(other), strict=True):
            assert max(abs(a - b) for a, b in zip(our_row[3:], their_row[3:], strict=True)) <= 1
        assert abs(mine.start - other.start) <= 1


@pytest.mark.parametrize("name", FILMS)
def test_tables_and_a_pass_over_the_packets_tell_the_same(name: str) -> None:
    path = shared_file(f"corpus/{name}")
    ours = index_by_tables(path)
    if ours is None:
        assert movie_of(path).fragmented
        return
    theirs = index_by_pass(path)
    assert_same(ours, theirs)
    assert whole_index(StoredIndex(encode(ours))) == ours
    for mine, other in zip(ours.tracks, theirs.tracks, strict=True):
        assert sum(mine.columns.shown) == sum(other.columns.shown)
        assert mine.start >= 0
        # An edit may end inside the last packet; a pass sees the packet only.
        longest = max(
            b - a for a, b in zip(sorted(mine.columns.times), sorted(mine.columns.times)[1:], strict=False)
        )
        assert abs(mine.stop - other.stop) <= longest


@pytest.mark.parametrize("name", FILMS)
def test_every_film_gets_a_plan_whose_segments_all_have_frames(name: str) -> None:
    path = shared_file(f"corpus/{name}")
    index = StoredIndex(encode(index_by_tables(path) or index_by_pass(path)))
    assert index.main is not None
    made = plan(index.main)
    plans = [(index.main, made)]
    plans += [(track, audio_boundaries(made, track)) for track in index.tracks if track.kind == "audio"]
    for track, cut in plans:
        counts = [
            len(track.between(*edges)) for edges in zip(cut.boundaries, cut.boundaries[1:], strict=False)
        ]
        assert min(counts) > 0
        assert sum(counts) == len(track.between(-track.stop, track.stop + 1))


@pytest.mark.parametrize("start", ["0.7", "1.01", "2.5"])
def test_a_film_cut_by_its_edit_list_shows_what_ffmpeg_shows(tmp_path: Path, start: str) -> None:
    path = tmp_path / "cut.mp4"
    ffmpeg(
        "-ss", start, "-i", shared_file("corpus/bbb_480p_30s_51_moovend.mp4"), "-t", "6", "-c", "copy", path
    )
    ours = index_by_tables(path)
    assert ours is not None
    assert any(not all(track.columns.shown) for track in ours.tracks)
    assert_same(ours, index_by_pass(path))


def test_empty_edits_delay_a_track_and_what_lies_before_an_edit_is_not_shown() -> None:
    edits = elst(
        (600, -1), (1200, 15)
    )  # one second late, from tick 15 on: the second of three samples is under way
    movie = read_movie(
        moov(trak(stbl(), edits=edits), trak(stbl(), handler=b"soun", edits=edits)), file_size=1000
    )
    index = index_movie(movie, list(enumerate(movie.tracks)), origin=Fraction(0))
    assert index is not None
    picture, sound = index.tracks
    assert sound.columns.times.tolist() == [985, 995, 1005]
    assert picture.columns.times.tolist() == [980, 990, 1000], (
        "its first picture to be shown begins with the edit"
    )
    assert (list(picture.columns.shown), list(sound.columns.shown)) == ([0, 0, 1], [0, 1, 1])
    assert (picture.start, sound.start, picture.stop) == (1000, 1000, 1010)
    earliest = index_movie(movie, list(enumerate(movie.tracks)))
    assert earliest is not None
    assert (earliest.tracks[0].start, earliest.tracks[1].start) == (0, 0)
    assert earliest.origin == 1


def test_fragments_and_several_edits_are_not_told_by_tables() -> None:
    several = read_movie(moov(trak(stbl(), edits=elst((6, 0), (6, 20)))), file_size=1000)
    assert index_movie(several, [(0, several.tracks[0])]) is None


def test_a_track_that_shows_nothing_is_left_out() -> None:
    movie = read_movie(moov(trak(stbl(), edits=elst((600, 500))), trak(stbl())), file_size=1000)
    index = index_movie(movie, list(enumerate(movie.tracks)))
    assert index is not None
    assert [track.stream for track in index.tracks] == [1]


def test_times_beyond_all_clocks_are_broken() -> None:
    movie = read_movie(moov(trak(stbl(), edits=elst((600, (1 << 62)), version=1))), file_size=1000)
    with pytest.raises(BrokenMedia):
        index_movie(movie, list(enumerate(movie.tracks)))


def test_tracks_are_paired_by_size_and_order_or_not_at_all() -> None:
    movie = read_movie(
        moov(trak(stbl()), trak(stbl(), handler=b"soun"), trak(stbl(), handler=b"soun")), file_size=1000
    )
    picture, *sounds = movie.tracks
    width, height = picture.entry.width, picture.entry.height
    assert width is not None
    assert height is not None
    video = VideoFacts(index=2, codec="h264", width=width, height=height)
    audio = tuple(AudioFacts(index=index, codec="aac", channels=2, sample_rate=48000) for index in (0, 1))
    facts = Facts(container="mov,mp4", video=video, audio=audio)
    assert pair_tracks(movie, facts) == [(0, sounds[0]), (1, sounds[1]), (2, picture)]
    assert pair_tracks(movie, Facts(container="mov,mp4", video=video)) is None
    assert pair_tracks(replace(movie, tracks=()), Facts(container="mov", video=video)) is None
