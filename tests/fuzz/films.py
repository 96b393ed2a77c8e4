"""Films to be damaged, and all that the service reads of a damaged one by itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from media_service.errors import MediaRejected, MediaServiceError, TruncatedMedia
from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.scanning import scan
from media_service.matroska.frames import find_frames
from media_service.matroska.tracks import MatroskaTrack, read_tracks
from media_service.mp4.view import MovieView, movie_view
from media_service.timeline import outline as outlines
from media_service.timeline.facts import Facts
from media_service.timeline.index import Index
from media_service.timeline.index_tables import index_movie, pair_tracks
from media_service.timeline.matroska_places import place
from media_service.timeline.packets import packets_of
from media_service.work.browsers import browser_codecs
from media_service.work.indexing import _checked_duration, _judged, _told
from tests.fuzz.seeds import matroska_seed, mp4_seed
from tests.fuzz.watched import Target
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.shared import SHARED, corpus

MOST_SECONDS = 12 * 3600.0  # a film may last, as in settings
# What tables spread out into: a track may claim a sample for each byte of its file, and is then a second track's
# columns, its index and its outline besides (25, 33 and some 60 bytes of each).
BYTES_PER_BYTE = 400
MOST_BYTES = 16 << 20
MOST_FRAMES = 100_000
LARGEST_BYTES = 1_000_000  # of a film of the corpus that is damaged: larger ones only take longer to copy

FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof"


def damaged_films(films: Films, directory: Path) -> list[Path]:
    """Our own films and those of the corpus that are small enough."""
    plain = films.film(Film(seconds=2))
    own = [plain, films.film(Film(seconds=2, moov_at_end=False))]
    made = directory / "fragments.mp4"
    ffmpeg("-i", plain, "-c", "copy", "-movflags", FRAGMENTED, made)
    laced = directory / "film.mkv"
    ffmpeg("-i", plain, "-c", "copy", laced)
    quick = directory / "film.mov"
    ffmpeg("-i", plain, "-c:v", "copy", "-c:a", "pcm_s16le", quick)
    webm = films.film(Film(seconds=1, codec="libvpx", container="webm"))
    shared = [SHARED / "corpus" / entry["file"] for entry in corpus()]
    small = [
        path
        for path in shared
        if path.suffix in {".mp4", ".mkv", ".webm"} and path.stat().st_size < LARGEST_BYTES
    ]
    return [*own, made, quick, laced, webm, *small]


async def target(path: Path) -> Target:
    """The film as a target: what its mutants are read with is what was probed of the honest one.

    ffprobe's word on a mutant may be any, so to believe the honest one's is one of the cases.
    """
    is_matroska = path.suffix in {".mkv", ".webm"}
    seed = matroska_seed(path) if is_matroska else mp4_seed(path)
    fd = os.open(path, os.O_RDONLY)
    try:
        facts = await probe(fd, PROBE_LIMITS)
        index = await scan(fd, facts, PROBE_LIMITS) if is_matroska else None
    except MediaServiceError:
        facts, index = None, None
    finally:
        os.close(fd)
    read = _Matroska(facts, index).read if is_matroska else _Mp4(facts).read
    # What the indexer takes for the file's fault; anything else is logged as ours.
    return Target(
        path.name, [seed], read, (MediaRejected,), most_bytes=MOST_BYTES, bytes_per_byte=BYTES_PER_BYTE
    )


@dataclass(frozen=True)
class _Mp4:
    facts: Facts | None

    def read(self, data: bytes) -> None:
        """As `work.indexing`: index by the file's own tables, packaging, outline."""
        view = movie_view(partial(_all, data), len(data))
        if self.facts is None:
            return
        pairs = pair_tracks(view.movie, self.facts)
        index = None if pairs is None else index_movie(view.movie, pairs, origin=self.facts.origin)
        if index is not None:
            _judge(self.facts, view, {}, index)
            browser_codecs(self.facts, view.movie)


@dataclass(frozen=True)
class _Matroska:
    facts: Facts | None
    index: Index | None

    def read(self, data: bytes) -> None:
        """As `work.indexing`, with the demuxer's pass over the honest film; and all frames of whatever track there is."""
        if self.facts is not None and self.index is not None:
            index, tracks = place(partial(_some, data), len(data), self.facts, self.index)
            if index is not self.index:  # what is judged of it is no mutant
                _judge(self.facts, None, tracks, index)
        tracks_found = read_tracks(partial(_some, data), len(data))
        numbers = {track.number for track in tracks_found}
        find_frames(partial(_some, data), len(data), numbers, most=MOST_FRAMES)


def _judge(facts: Facts, view: MovieView | None, tracks: Mapping[int, MatroskaTrack], index: Index) -> None:
    packets = packets_of(index)
    facts = _told(facts, packets, MOST_SECONDS)
    _checked_duration(facts, packets, MOST_SECONDS)
    outline = _judged(facts, view, tracks, index)[2]
    assert outlines.decode(outlines.encode(outline)) == outline


def _all(data: bytes, start: int, stop: int) -> bytes:
    found = data[start:stop]
    if len(found) < stop - start:
        raise TruncatedMedia("it ends before")
    return found


def _some(data: bytes, start: int, stop: int) -> bytes:
    return data[start:stop]
