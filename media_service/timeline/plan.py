"""Where a film is cut: one set of segment boundaries for all its renditions, computed before anything is encoded.

At keyframes of the source where it has them often enough, so that its own packets can be served as segments; else on a
grid, each boundary the time of a frame. The film starts at 0, so the first boundary is 0 even when the picture starts
later than the sound: playlists of picture and sound begin together. Every boundary after it is the time of a frame, so
the distance of two is exactly what EXTINF should say.

An open group of pictures has leading pictures: decoded after their keyframe, shown before it, and not without the group
before. The boundary is the keyframe's own time all the same. In an encoded segment the leading pictures are where they
are shown: before it. In the source's own packets they follow their keyframe into its segment, which then cannot be
shown whole without the one before; so keyframes without leading pictures are preferred where they alone come often
enough, and `Plan.independent` says whether that worked (EXT-X-INDEPENDENT-SEGMENTS, RFC 8216 s4.3.5.1).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress
from operator import lt, sub

from media_service.timeline.stored_index import StoredTrack

TARGET_SECONDS = Fraction(4)  # two or three requests a second behind a scrubbing thumb, 1 MB at 2 Mbit/s
GAP_SECONDS = Fraction(8)  # between keyframes: the longest a viewer should wait for a segment to be fetched
LEAST_SHARE = 4  # a segment shorter than a quarter of the target costs a request for nothing

AtOrAfter = Callable[
    [int], int | None
]  # ticks -> the time of the first frame at or after, None behind the last


@dataclass(frozen=True, slots=True)
class Plan:
    """Segment k is what is shown in [boundaries[k], boundaries[k + 1]), in ticks of `timescale` (ticks/s).

    `on_keyframes`: each boundary after the first is a sync packet of the source. `independent`: and each segment of the
    source's own packets can be decoded without the one before.
    """

    timescale: int
    boundaries: tuple[int, ...]
    on_keyframes: bool
    independent: bool

    @property
    def count(self) -> int:
        """How many segments."""
        return len(self.boundaries) - 1

    @property
    def durations(self) -> tuple[int, ...]:
        """What EXTINF says of each segment, in ticks."""
        return tuple(map(sub, self.boundaries[1:], self.boundaries))

    def segment_at(self, time: int) -> int:
        """The number of the segment in which `time` (ticks) is shown; the first or last one for times outside."""
        return min(max(bisect_right(self.boundaries, time) - 1, 0), self.count - 1)


def plan(
    track: StoredTrack, *, target_seconds: Fraction = TARGET_SECONDS, gap_seconds: Fraction = GAP_SECONDS
) -> Plan:
    """The boundaries of a film whose main track (its picture; its sound where it has none) is `track`."""
    target, gap = (max(1, round(seconds * track.timescale)) for seconds in (target_seconds, gap_seconds))
    # What an edit list cuts away from the front of the film leaves its times as they are; what lies before 0 is gone.
    start, stop = min(0, track.start), track.stop
    if track.all_sync:
        return Plan(
            track.timescale,
            grid(start, stop, _frames(track), target=target, first=track.start),
            on_keyframes=True,
            independent=True,
        )
    points = track.sync
    begins = bool(points.times) and points.times[0] <= track.start
    shown = list(compress(zip(points.times, points.leading, strict=True), points.shown))
    for independent in (True, False):
        keys = [time for time, leading in shown if time > track.start and not (independent and leading)]
        boundaries = at_keyframes(track.start, keys, stop, target=target, gap=gap)
        if boundaries is not None:
            return Plan(
                track.timescale,
                (start, *boundaries[1:]),
                on_keyframes=True,
                independent=independent and begins,
            )
    boundaries = grid(start, stop, _frames(track), target=target, first=track.start)
    return Plan(track.timescale, boundaries, on_keyframes=False, independent=False)


def at_keyframes(
    start: int, keyframes: Sequence[int], stop: int, *, target: int, gap: int
) -> tuple[int, ...] | None:
    """Boundaries from `start` to `stop` at `keyframes` (rising, all in ticks); None when two are further apart than `gap`.

    Each cut is at the keyframe nearest to `target` after the last one, though not nearer than half of it.
    """
    keys = [key for key in keyframes if start < key < stop]
    edges = (start, *keys, stop)
    if not all(map(lt, edges, edges[1:])) or max(map(sub, edges[1:], edges)) > gap:
        return None
    cuts = edges[1:]
    boundaries = [start]
    while True:
        last = boundaries[-1]
        first = bisect_left(cuts, last + (target + 1) // 2)
        after = bisect_left(cuts, last + target, first)
        near = [cuts[at] for at in (after - 1, after) if first <= at < len(cuts)]
        # No cut but the end is left, or the end is the best of all.
        cut = min(near, key=lambda key: abs(key - last - target), default=stop)
        if cut == stop:
            return _closed(boundaries, stop, target)
        boundaries.append(cut)


def grid(
    start: int, stop: int, at_or_after: AtOrAfter, *, target: int, first: int | None = None
) -> tuple[int, ...]:
    """Boundaries from `start` to `stop`: the first frame at or after each multiple of `target` behind `start`.

    A multiple is left out where that would be a sliver: after a frame that was shown for long, the next one follows soon.
    `first` is the time of the first frame where that is later than `start`: what comes before it is no segment.
    """
    boundaries = [start]
    last = start if first is None else max(start, first)
    while True:
        multiple = start + ((last - start) // target + 1) * target
        ticks = at_or_after(multiple)
        if ticks is not None and (ticks - last) * LEAST_SHARE < target:
            ticks = at_or_after(multiple + target)
        if ticks is None or ticks >= stop:
            return _closed(boundaries, stop, target)
        boundaries.append(ticks)
        last = ticks


def audio_boundaries(plan: Plan, track: StoredTrack, *, target_seconds: Fraction = TARGET_SECONDS) -> Plan:
    """The plan for a sound track's own packets: cut at the packet at or after each of the picture's boundaries.

    In ticks of the sound. A segment that would have no packet is joined to the one before, so that numbers may differ
    from the picture's; sound that outlasts the picture is cut further, on a grid.
    """
    target = max(1, round(target_seconds * track.timescale))
    boundaries = _followed(
        plan,
        track.timescale,
        _frames(track),
        start=min(0, track.start),
        first=track.start,
        stop=track.stop,
        target=target,
    )
    return Plan(track.timescale, boundaries, on_keyframes=track.all_sync, independent=track.all_sync)


def frame_boundaries(
    plan: Plan, *, timescale: int, frame: int, stop: int, target_seconds: Fraction = TARGET_SECONDS
) -> Plan:
    """As `audio_boundaries`, for sound that is yet to be encoded: a packet each `frame` ticks from 0 until `stop`."""

    def at_or_after(time: int) -> int | None:
        ticks = -(-time // frame) * frame
        return ticks if ticks < stop else None

    target = max(1, round(target_seconds * timescale))
    boundaries = _followed(plan, timescale, at_or_after, start=0, first=0, stop=stop, target=target)
    return Plan(timescale, boundaries, on_keyframes=True, independent=True)


def _followed(
    plan: Plan, timescale: int, at_or_after: AtOrAfter, *, start: int, first: int, stop: int, target: int
) -> tuple[int, ...]:
    """The inner boundaries of `plan` on another clock, then a grid for what is left behind its end."""
    boundaries = [start]
    inner = [-(-time * timescale // plan.timescale) for time in plan.boundaries[1:]]
    for time in (*inner, *range(inner[-1] + target, stop, target)):
        ticks = at_or_after(time)
        if ticks is None or ticks >= stop:
            break
        if (stop - ticks) * LEAST_SHARE < target:
            break  # the sound is a little longer than the picture, or than this boundary: no segment for that
        if ticks > max(boundaries[-1], first):
            boundaries.append(ticks)
    return (*boundaries, max(stop, boundaries[-1] + 1))


def _closed(boundaries: list[int], stop: int, target: int) -> tuple[int, ...]:
    """The boundaries with the end; a last segment too short to be worth a request goes to the one before."""
    if len(boundaries) > 1 and (stop - boundaries[-1]) * LEAST_SHARE < target:
        boundaries = boundaries[:-1]
    return (*boundaries, max(stop, boundaries[-1] + 1))


def _frames(track: StoredTrack) -> AtOrAfter:
    def at_or_after(time: int) -> int | None:
        packet = track.at_or_after(time)
        return None if packet is None else packet.time

    return at_or_after
