"""The index of an MP4 from its sample tables: nothing of the film itself is read.

What an edit list shows is decided as ffmpeg does, which makes the renditions: a picture that begins before the edit
does is not shown; sound that begins before and goes on into it is. And where the first picture to be shown begins after
the edit does, ffmpeg lets its track begin with it: all its times move (`min_corrected_pts` in libavformat/mov.c).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, compress, islice
from operator import add, and_

from media_service.errors import BrokenMedia
from media_service.mp4.samples import Movie, Track
from media_service.timeline.facts import Facts
from media_service.timeline.index import MAX_TICKS, SHOWN, Columns, Index, TrackIndex, on_film_clock

_SHOWN_BIT = bytes((0, SHOWN)) + bytes(254)


def pair_tracks(movie: Movie, facts: Facts) -> list[tuple[int, Track]] | None:
    """The tracks of `facts` as (ffmpeg's stream number, track of the movie); None when they do not match.

    The picture is the first of the size that was probed: stills and thumbnails are "video" tracks too.
    """
    pictures = [track for track in movie.tracks if track.handler == "vide"]
    sounds = [track for track in movie.tracks if track.handler == "soun"]
    pairs: list[tuple[int, Track]] = []
    if facts.video is not None:
        size = (facts.video.width, facts.video.height)
        same = (track for track in pictures if (track.entry.width, track.entry.height) == size)
        picture = next(same, None) or next(iter(pictures), None)
        if picture is None:
            return None
        pairs.append((facts.video.index, picture))
    if len(sounds) != len(facts.audio):
        return None
    pairs += zip((track.index for track in facts.audio), sounds, strict=True)
    return sorted(pairs, key=lambda pair: pair[0])


def index_movie(
    movie: Movie, pairs: Sequence[tuple[int, Track]], *, origin: Fraction | None = None
) -> Index | None:
    """The index of these (stream number, track) pairs; tracks that show nothing are left out.

    None when the tables do not tell: the film is in fragments, or cut by several edits. `origin` as in `on_film_clock`.
    Raises BrokenMedia for times beyond all clocks.
    """
    if movie.fragmented or any(
        sum(edit.media_time is not None for edit in track.edits) > 1 for _, track in pairs
    ):
        return None
    tracks = (_index_track(stream, track) for stream, track in pairs)
    return on_film_clock((track for track in tracks if track is not None), origin)


def _index_track(stream: int, track: Track) -> TrackIndex | None:
    if not track.count:
        return None
    table = track.samples
    if max(abs(track.shift), abs(track.delay), table.decode_stop) > MAX_TICKS:
        raise BrokenMedia("a track begins or ends further from the film's start than any clock reaches")
    span = track.presentation_span()
    assert span is not None, "it has samples"
    times, stop = track.presentation_times(), span[1]
    shown = _shown(track, times, stop)
    first = min(compress(times, shown), default=None)
    if first is None:
        return None
    late = max(0, first - track.delay) if track.edits else 0
    columns = Columns(
        array("q", map((-late).__add__, times)),
        array("q", map((track.shift - late).__add__, table.decode_times)),
        array("q", table.sizes),
        array("q", table.offsets),
        bytes(map(add, table.sync, shown.translate(_SHOWN_BIT))),
    )
    return TrackIndex(
        stream=stream,
        kind="video" if track.handler == "vide" else "audio",
        timescale=track.timescale,
        start=track.delay if track.edits else first,
        stop=stop - late,
        exact_offsets=True,
        columns=columns,
    )


def _shown(track: Track, times: array[int], stop: int) -> bytes:
    """1 for each sample that the edit list shows; without one, everything is shown."""
    if all(edit.media_time is None for edit in track.edits):
        return b"\1" * len(times)
    begun = map(track.delay.__le__, times)
    if track.handler == "soun":
        # Composition offsets are rare in sound; where there are any, the next sample in order is near enough.
        decode_stop = track.samples.decode_stop + track.shift
        begun = map(track.delay.__lt__, chain(islice(times, 1, None), (decode_stop,)))
    return bytes(map(and_, begun, map(stop.__gt__, times)))
