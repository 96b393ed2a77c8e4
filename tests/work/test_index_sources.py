"""The sample tables tell what a pass over all packets tells."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.scanning import scan
from media_service.mp4.view import movie_view
from media_service.timeline.facts import Facts
from media_service.timeline.index_tables import index_movie, pair_tracks
from media_service.timeline.packets import Packets, packets_of
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.shared import corpus, shared_file

LIMITS = Limits()
WITHIN_SECONDS = 0.025  # one packet of AAC: ffmpeg drops the priming in whole packets
MOVIES = [entry["file"] for entry in corpus("ok") if "boxes" in entry and not entry["boxes"]["frag"]]


async def both(path: Path) -> tuple[Facts, Packets | None, Packets]:
    fd = os.open(path, os.O_RDONLY)
    try:
        facts = await probe(fd, LIMITS)
        movie = movie_view(partial(_read, fd), os.fstat(fd).st_size).movie
        pairs = pair_tracks(movie, facts)
        assert pairs is not None
        told = index_movie(movie, pairs, origin=facts.origin)
        counted = packets_of(await scan(fd, facts, LIMITS))
        return facts, None if told is None else packets_of(told), counted
    finally:
        os.close(fd)


def _read(fd: int, start: int, stop: int) -> bytes:
    return os.pread(fd, stop - start, start)


async def agree(path: Path) -> None:
    _, told, counted = await both(path)
    assert told is not None
    assert [one.index for one in told.streams] == [one.index for one in counted.streams]
    for ours, theirs in zip(told.streams, counted.streams, strict=True):
        assert ours.size == theirs.size
        assert ours.start_seconds == pytest.approx(theirs.start_seconds, abs=WITHIN_SECONDS)
        assert ours.stop_seconds == pytest.approx(theirs.stop_seconds, abs=WITHIN_SECONDS)
        assert (ours.count, ours.key_count) == (theirs.count, theirs.key_count)


@pytest.mark.parametrize("name", MOVIES)
async def test_tables_and_packets_agree_on_the_corpus(name: str) -> None:
    await agree(shared_file(f"corpus/{name}"))


@pytest.mark.parametrize(
    "film",
    [Film(), Film(audio=False), Film(size=None), Film(rotation=90), Film(fps=60, seconds=3.3)],
    ids=str,
)
async def test_tables_and_packets_agree_on_films_of_all_kinds(films: Films, film: Film) -> None:
    await agree(films.film(film))


async def test_tables_and_packets_agree_on_a_film_cut_by_copying(films: Films, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    film = films.film(Film(seconds=6, keyframe_seconds=2))
    ffmpeg("-ss", "2.5", "-i", film, "-c", "copy", cut)
    await agree(cut)


async def test_fragments_are_for_a_pass_over_the_packets(films: Films, tmp_path: Path) -> None:
    fragmented = tmp_path / "fragmented.mp4"
    ffmpeg("-i", films.film(Film()), "-c", "copy", "-movflags", "+frag_keyframe+empty_moov", fragmented)
    _, told, counted = await both(fragmented)
    assert told is None
    assert counted.streams[0].count == 50
