"""A part of an outline, for viewers who may not have all of it: fewer pictures, or an earlier end.

Segments keep their numbers and times, and all of it the outline's version: it is the same film, of which less is listed.
The head is never cut off. With decode times in film time players disagree about where 0 is when the first segment is missing.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction

from msgspec.structs import replace

from media_service.timeline.outline import Outline, OutlineRendition


def no_taller(outline: Outline, max_height: int) -> Outline:
    """Without the pictures that `is_taller`."""
    kept = tuple(one for one in outline.renditions if not is_taller(one, max_height))
    return outline if len(kept) == len(outline.renditions) else _with(outline, renditions=kept)


def is_taller(one: OutlineRendition, max_height: int) -> bool:
    """Whether it is a picture of more pixels on the short side, or of how many nobody knows."""
    if one.kind != "video":
        return False
    return one.width is None or one.height is None or min(one.width, one.height) > max_height


def ending(outline: Outline, stop: Fraction) -> Outline:
    """Up to the end of the segments that begin before `stop` (s), without the renditions that begin later.

    Subtitles are one file for the whole film: they are dropped.
    """
    counts = [segments_before(outline, one, stop) for one in outline.renditions]
    kept = tuple(_cut(one, count) for one, count in zip(outline.renditions, counts, strict=True) if count > 0)
    seconds = outline.seconds
    if kept and counts[0] < outline.main.count:
        seconds = min(seconds, float(kept[0].seconds(kept[0].count)))
    return _with(outline, renditions=kept, subtitles=(), seconds=seconds)


def segments_before(outline: Outline, one: OutlineRendition, stop: Fraction) -> int:
    """How many segments of `one` begin before `stop` (s)."""
    clock = _clock(outline, one)
    return min(one.count, bisect_left(clock.boundaries, stop * clock.timescale))


def starts(outline: Outline, one: OutlineRendition, boundary: int) -> Fraction:
    """When the boundary is (s)."""
    return _clock(outline, one).seconds(boundary)


def _clock(outline: Outline, one: OutlineRendition) -> OutlineRendition:
    """Of all pictures the same, as playlists have it: on their own clocks they differ by a tick, and Shaka waits for ever for
    the end of one that ends a segment before the others."""
    return outline.videos[0] if one.kind == "video" else one


def _cut(one: OutlineRendition, count: int) -> OutlineRendition:
    if count == one.count:
        return one
    packaged = one.packaged
    if packaged is not None:
        packaged = replace(packaged, packets=packaged.packets[: count + 1])
    return replace(one, boundaries=one.boundaries[: count + 1], packaged=packaged)


def _with(outline: Outline, **changes: object) -> Outline:
    changed = replace(outline, **changes)
    # What is fetched with it is named by the whole one's version.
    changed.__dict__["version"] = outline.version
    return changed
