"""How well a source can be sought in as it is: measured from its index, said in words a person understands."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from operator import sub
from statistics import median_low
from typing import Literal

import msgspec

from media_service.timeline.keyframes import keyframe_times
from media_service.timeline.seeking import begin, frame_at
from media_service.timeline.stored_index import StoredIndex, StoredTrack

Moov = Literal["front", "end", "fragmented", "none"]
Verdict = Literal["excellent", "good", "fair", "poor"]

SEEKS = 500  # times tried, uniformly over the film: the median is steady to a hundredth by then

# A verdict holds while the longest distance between keyframes (s) and the bytes of a median and a worst seek are at most
# these. A decoder does some ten times real time, and 10 Mbit/s are 1.2 MB/s: excellent is within a blink, poor over 5 s.
LIMITS: tuple[tuple[Verdict, float, int, int], ...] = (
    ("excellent", 2.5, 1_000_000, 4_000_000),
    ("good", 5.5, 3_000_000, 12_000_000),
    ("fair", 12.0, 8_000_000, 32_000_000),
)


class Seekability(msgspec.Struct, frozen=True, kw_only=True):
    """Distances in seconds, sizes in bytes; None where the container does not say where its packets lie."""

    keyframe_longest_seconds: float
    keyframe_mean_seconds: float
    seek_median_bytes: int | None
    seek_worst_bytes: int | None
    moov: Moov
    verdict: Verdict
    advice: str


def seekability(index: StoredIndex, moov: Moov) -> Seekability | None:
    """The verdict on a film; None when it has no track. `moov` is where an MP4 has its index: "none" in other files.

    A seek fetches everything from the keyframe to the frame, of all tracks that lie in between.
    """
    track = index.main
    if track is None:
        return None
    longest, mean = _distances(track)
    sizes = _seek_sizes(track)
    median, worst = (median_low(sizes), max(chain(sizes, _group_sizes(track)))) if sizes else (None, None)
    verdict = _verdict(longest, median, worst)
    return Seekability(
        keyframe_longest_seconds=round(longest, 6),
        keyframe_mean_seconds=round(mean, 6),
        seek_median_bytes=median,
        seek_worst_bytes=worst,
        moov=moov,
        verdict=verdict,
        advice=_advice(verdict, longest, worst, moov),
    )


def _distances(track: StoredTrack) -> tuple[float, float]:
    """The longest and the mean distance between keyframes in seconds, the ends of the track included."""
    edges = sorted({track.start, *keyframe_times(track), track.stop})
    distances = list(map(sub, edges[1:], edges)) or [0]
    return max(distances) / track.timescale, sum(distances) / len(distances) / track.timescale


def _seek_sizes(track: StoredTrack) -> list[int]:
    """The bytes from keyframe to frame for times spread evenly over the track."""
    sizes: list[int] = []
    for number in range(SEEKS):
        ticks = Fraction(track.start) + Fraction((2 * number + 1) * (track.stop - track.start), 2 * SEEKS)
        frame = frame_at(track, ticks / track.timescale)
        key = begin(track, frame)
        span = track.byte_span(min(key.number, frame.number), max(key.number, frame.number) + 1)
        if span is not None:
            sizes.append(span[1] - span[0])
    return sizes


def _group_sizes(track: StoredTrack) -> Iterator[int]:
    """The bytes of each group of pictures: no seek from its keyframe takes more.

    Uniform times and keyframes at a steady pace meet in few places of a group, and may all miss its end.
    """
    points = track.sync
    after = chain(zip(points.numbers[1:], points.leading[1:], strict=True), [(track.count, 0)])
    # In a track where all packets are sync packets there is no list of them, and no group to miss.
    for first, (stop, leading) in zip(points.numbers, after, strict=False):
        # The leading pictures behind the next keyframe need this one.
        span = track.byte_span(first, stop + 1 + leading if leading else stop)
        if span is not None:
            yield span[1] - span[0]


def _verdict(longest: float, median: int | None, worst: int | None) -> Verdict:
    for verdict, seconds, median_bytes, worst_bytes in LIMITS:
        if longest <= seconds and (median or 0) <= median_bytes and (worst or 0) <= worst_bytes:
            return verdict
    return "poor"


def _advice(verdict: Verdict, longest: float, worst: int | None, moov: Moov) -> str:
    """One to three sentences for whoever made the file."""
    cost = "" if worst is None else f" and fetches up to {_size(worst)}"
    sentences = {
        "excellent": "Seeking in the original is immediate.",
        "good": f"Seeking in the original is quick: a jump decodes up to {longest:.1f} s{cost}.",
        "fair": f"A jump in the original may take a moment: it decodes up to {longest:.1f} s{cost}. "
        "Exporting with a keyframe every 2 seconds makes it immediate; the renditions made here have that.",
        "poor": f"Seeking in the original is slow: a jump decodes up to {longest:.1f} s{cost}. "
        "Use the renditions made here, or export again with a keyframe every 2 seconds.",
    }[verdict]
    where = {
        "front": "",
        "end": " The file has its index (moov) at its end, where players find it late; it is served from here with the "
        "index in front. For use elsewhere, export with 'fast start'.",
        "fragmented": " The file is in fragments without one index of all: some players can only seek in the renditions.",
        "none": " Browsers may not play or seek in a file of this kind; the renditions work everywhere.",
    }[moov]
    return sentences + where


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{max(1, size // 1000)} kB"
