"""What a pass over all packets would find, taken from an MP4's sample tables instead: the same numbers, no reading."""

from __future__ import annotations

from media_service.mp4.samples import Movie, Track
from media_service.timeline.facts import Facts
from media_service.timeline.packets import Packets, StreamPackets


def movie_packets(movie: Movie, facts: Facts) -> Packets | None:
    """The packets of the tracks in `facts`; None when the tables do not tell (fragments, several edits)."""
    if movie.fragmented:
        return None
    pictures = [track for track in movie.tracks if track.handler == "vide"]
    sounds = [track for track in movie.tracks if track.handler == "soun"]
    pairs: list[tuple[int, Track]] = []
    if facts.video is not None:
        size = (facts.video.width, facts.video.height)
        same = (track for track in pictures if (track.entry.width, track.entry.height) == size)
        track = next(same, None) or next(iter(pictures), None)
        if track is None:
            return None
        pairs.append((facts.video.index, track))
    if len(sounds) != len(facts.audio):
        return None
    pairs += zip((track.index for track in facts.audio), sounds, strict=True)
    if any(sum(edit.media_time is not None for edit in track.edits) > 1 for _, track in pairs):
        return None  # a film cut in its edit list: only a player (or ffmpeg) knows what is shown
    return Packets(
        tuple(
            _stream(index, track, facts.start_seconds) for index, track in sorted(pairs, key=lambda p: p[0])
        )
    )


def _stream(index: int, track: Track, origin_seconds: float) -> StreamPackets:
    span = track.presentation_span()
    if span is None:
        return StreamPackets(index=index)
    start, stop = span
    shown = [start <= time < stop for time in track.presentation_times()]
    return StreamPackets(
        index=index,
        count=sum(shown),
        key_count=sum(sync and seen for sync, seen in zip(track.samples.sync, shown, strict=True)),
        size=sum(track.samples.sizes),
        start_seconds=start / track.timescale - origin_seconds,
        stop_seconds=stop / track.timescale - origin_seconds,
    )
