"""Packaging: the source's own packets as segments, nothing encoded and nothing stored.

A segment is a `moof` made from the index, and spans of the original. Which tracks are fit for that `packagable` says;
where they are cut follows from the plan (`cut`), and each segment is put together when somebody asks for it (`segment`): a
millisecond, and a size that is known before a byte of the original is read.

Presentation times are exactly the index's. Decode times are the source's, bent at both ends of a segment (see
`decode_times`): each segment's first decode time is its boundary, and its samples last until the next segment's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress, pairwise

from media_service.mp4.fragments import Sample, build_fragment
from media_service.timeline.decode_times import decode_times, first_decode_time, step_of
from media_service.timeline.index import Columns
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.packagable import TRACK_ID, PackagedTrack, packagable, whole_range
from media_service.timeline.plan import Plan
from media_service.timeline.stored_index import StoredTrack

__all__ = ["PackagedSegment", "PackagedTrack", "cut", "packagable", "segment"]


@dataclass(frozen=True, slots=True)
class PackagedSegment:
    """The segment is `head`, then the half-open `spans` of the original, in bytes.

    `base_time` is the decode time of the first of its `samples`, in ticks of the rendition; their durations add up to the
    next segment's. The samples' bytes are those of the spans, one after another.
    """

    head: bytes
    spans: tuple[tuple[int, int], ...]
    base_time: int
    samples: tuple[Sample, ...]


def cut(track: StoredTrack, plan: Plan) -> tuple[int, ...]:
    """The numbers of the packets at which the segments of `plan` begin, in decoding order, and where the last one stops.

    Segment k has those packets in [numbers[k], numbers[k + 1]) that are shown. What the edit list cuts away in front is left
    out; so is sound that begins before the film. Raises ValueError when a boundary is at no packet that decoding can begin
    at (see `Plan.on_keyframes`), or a segment would be empty.
    """
    first, stop = whole_range(track)
    inner = [-(-time * track.timescale // plan.timescale) for time in plan.boundaries[1:-1]]
    if track.all_sync:
        packets = map(track.at_or_after, inner)
        numbers = [packet.number for packet in packets if packet is not None]
    else:
        points = track.sync
        places = dict(compress(zip(points.times, points.numbers, strict=True), points.shown))
        numbers = [places[time] for time in inner if time in places]
    edges = (first, *numbers, stop)
    if len(numbers) != len(inner) or any(here >= there for here, there in pairwise(edges)):
        raise ValueError("a boundary of the plan is not at a packet that decoding can begin at")
    return edges


def segment(track: StoredTrack, rendition: OutlineRendition, number: int) -> PackagedSegment:
    """Segment `number` (from 0) of a rendition that is packaged from `track`. Reads a block or two of the index.

    Raises IndexError for a number that there is not, ValueError for a rendition that is not packaged.
    """
    if not 0 <= number < rendition.count:
        raise IndexError(f"the rendition has {rendition.count} segments, no number {number}")
    scale, step = rendition.timescale // track.timescale, step_of(rendition.timescale)
    columns = _packets(track, rendition, number)
    times = [time * scale for time in columns.times]
    decoded = times if track.all_sync else [time * scale for time in columns.decode_times]
    start = _first(track, rendition, number, times)
    if number + 1 < rendition.count:
        following = [time * scale for time in _packets(track, rendition, number + 1).times]
        stop, end = _first(track, rendition, number + 1, following), min(following)
    else:
        stop = end = rendition.boundaries[-1]
    bent = decode_times(times, decoded, start=start, stop=stop, end=end, step=step)
    samples = tuple(
        Sample(after - here, size, bool(sync), time - here)
        for (here, after), size, sync, time in zip(
            pairwise((*bent, stop)), columns.sizes, columns.sync, times, strict=True
        )
    )
    head = build_fragment(sequence=number + 1, track_id=TRACK_ID, base_time=start, samples=samples)
    return PackagedSegment(head, _spans(columns), start, samples)


def _first(track: StoredTrack, rendition: OutlineRendition, number: int, times: list[int]) -> int:
    """The first decode time of a segment whose packets are shown at `times`."""
    if track.kind == "audio":
        return times[0]
    return first_decode_time(times, rendition.boundaries[number], step_of(rendition.timescale))


def _packets(track: StoredTrack, rendition: OutlineRendition, number: int) -> Columns:
    """What a segment has: of its packets those that are shown."""
    if rendition.packaged is None:
        raise ValueError(f"{rendition.name!r} is not packaged")
    start, stop = rendition.packaged.packets[number : number + 2]
    columns = track.columns(start, stop)
    return columns if all(columns.shown) else columns.only(columns.shown)


def _spans(columns: Columns) -> tuple[tuple[int, int], ...]:
    """Where the packets lie; those that follow each other are one span."""
    spans: list[tuple[int, int]] = []
    for offset, size in zip(columns.offsets, columns.sizes, strict=True):
        if spans and spans[-1][1] == offset:
            spans[-1] = (spans[-1][0], offset + size)
        else:
            spans.append((offset, offset + size))
    return tuple(spans)
