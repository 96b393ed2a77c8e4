"""Which frames of a film become tiles, and in which runs of ffmpeg they are made. Pure.

Keyframes where they are near enough to each other: they are decoded alone, which takes a tenth of the time. Between those
that lie too far apart frames are decoded for it. Tiles that are there are not made again: what a pack lacks says what is
left to do, so a pack grows in steps, and a broken-off making costs one of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Literal, NamedTuple

from media_service.timeline.cutting import before, shown_later, video_seek
from media_service.timeline.facts import Facts
from media_service.timeline.previews import Tile, spacing_us
from media_service.timeline.stored_index import StoredTrack

# Up to this length of film tiles are never further apart than NEAR_US: two seconds are a common distance of keyframes, and
# 2.002 s with American frame rates. Longer films are rather decoded in half the time than shown twice as densely.
NEAR_UP_TO_US = 7_200_000_000
NEAR_US = 2_100_000
SHORTEST = Fraction(1, 2)  # of the spacing: keyframes that follow more closely are passed over
COARSE = 8  # tiles of the first pack: made in a few tenths of a second, and all keyframes in a few more
# Of one run, each of which has a decoder with some pictures: eight of 1080p claim 600 MB, and so do two of 4K.
HOPS = COARSE
HOPS_PIXELS = HOPS * 1920 * 1088

MOST_STARTS = 1000  # of one run: their times stand in an argument of ffmpeg's, which has 128 kB
MERGED_US = 20_000_000  # what is decoded in vain between two stretches takes no longer than another process
STRETCH_US = 900_000_000  # of film in one run that decodes everything: some minutes
# So many frames to each tile: then those that no other frame needs can be left out, and the next one is meant as well.
PLENTY_OF_FRAMES = 12
ROUNDING_US = 10_000  # how far ffmpeg's times are off in containers that have no fine clocks
HOP_US = 500_000  # decoding so much takes longer than a seek

# Where each frame comes with its time. Elsewhere (AVI, MPEG-PS) ffmpeg counts them, and must not leave any out.
_TIMED = {"mov", "matroska", "mpegts", "flv", "ogg", "asf"}
# Where decoders or demuxers pass over all but keyframes. Elsewhere (VP9 and AV1 in Matroska) each keyframe is sought.
_INDEXED = {"mov", "matroska"}
_NOT_SKIPPED = {"vp9", "av1"}


class Wanted(NamedTuple):
    """A frame that is to be a tile: when it is shown, in ticks of its track and in microseconds; `key`: decoded alone."""

    ticks: int
    time_us: int
    key: bool


How = Literal["keyframes", "hops", "frames"]


class Stretch(NamedTuple):
    """A run of ffmpeg, in seconds of the film: of each of `starts` on, until the next one or `stop`, the first frame that comes.

    `how`: of all "frames"; of the "keyframes" only; or by "hops", with an input for each start. `seeks`: where reading begins,
    one for each input; None: with the film. `delay`: by so much ffmpeg's times are later than those of the index. `sparing`:
    frames that no other one needs are left out.
    """

    how: How
    seeks: tuple[Fraction | None, ...]
    starts: tuple[Fraction, ...]
    stop: Fraction
    delay: Fraction
    sparing: bool


def wanted_frames(track: StoredTrack, film_us: int) -> list[Wanted]:
    """The frames that become tiles of a film of this length, in the order of their times."""
    spacing = spacing_us(film_us) * track.timescale // 1_000_000
    limit = max(
        spacing,
        (NEAR_US if film_us <= NEAR_UP_TO_US else 2 * spacing_us(film_us)) * track.timescale // 1_000_000,
    )
    keys = _all_keys(track, spacing) if track.all_sync else _keys(track)
    found: list[Wanted] = []
    chosen = _chosen(keys, spacing, limit)
    first = track.at_or_after(track.start)
    if first is not None and (not chosen or chosen[0] > first.time + limit):
        chosen.insert(0, first.time)  # a film that does not begin with a keyframe, as far as anybody knows
    known = set(keys)
    for time, after in pairwise((*chosen, track.stop)):
        found.append(_wanted(track, time, key=time in known))
        gap = after - time
        parts = max(ceil(gap / limit), round(gap / spacing)) if gap > limit else 1
        for part in range(1, parts):
            frame = track.at(time + gap * part // parts)
            if frame is not None and frame.time > found[-1].ticks:
                found.append(_wanted(track, frame.time, key=False))
    return found


def _wanted(track: StoredTrack, ticks: int, *, key: bool) -> Wanted:
    return Wanted(ticks, microseconds(track, ticks), key)


def microseconds(track: StoredTrack, ticks: int) -> int:
    """A time of the track as tiles have it."""
    return max(0, round(Fraction(ticks * 1_000_000, track.timescale)))


def true_time_us(track: StoredTrack, time_us: int) -> int | None:
    """The time of the frame that ffmpeg says is shown then, as the index has it; None where there is none near it."""
    ticks = time_us * track.timescale // 1_000_000
    near = [frame.time for frame in (track.at(ticks), track.at_or_after(ticks)) if frame is not None]
    times = [microseconds(track, time) for time in near]
    best = min(times, key=lambda time: abs(time - time_us), default=None)
    return None if best is None or abs(best - time_us) > ROUNDING_US else best


def _keys(track: StoredTrack) -> list[int]:
    points = track.sync
    return sorted({time for time, shown in zip(points.times, points.shown, strict=True) if shown})


def _all_keys(track: StoredTrack, spacing: int) -> list[int]:
    """Of a track in which every frame is one: those shown at multiples of the spacing."""
    frames = (
        track.at_or_after(time)
        for time in range(track.start, max(track.stop, track.start + 1), max(1, spacing))
    )
    return sorted({frame.time for frame in frames if frame is not None})


def _chosen(keys: Sequence[int], spacing: int, limit: int) -> list[int]:
    """Keyframes with the spacing between them, or what comes nearest to it within the limit; else simply the next one."""
    chosen: list[int] = list(keys[:1])
    while chosen:
        last = chosen[-1]
        low = bisect_left(keys, last + max(1, int(spacing * SHORTEST)))
        high = bisect_right(keys, last + limit)
        if low < high:
            chosen.append(min(keys[low:high], key=lambda time: abs(time - last - spacing)))
        elif low < len(keys):
            chosen.append(keys[low])
        else:
            return chosen
    return chosen


def lacking(wanted: Sequence[Wanted], tiles: Sequence[Tile]) -> list[Wanted]:
    """The frames for which there is no tile: none with their time, nor a later one before the next frame that is wanted."""
    times = [tile.time_us for tile in tiles]
    ends = [one.time_us for one in wanted[1:]]
    found = []
    for number, one in enumerate(wanted):
        at = bisect_left(times, one.time_us)
        if at == len(times) or (number < len(ends) and times[at] >= ends[number]):
            found.append(one)
    return found


def coarse(wanted: Sequence[Wanted], film_us: int, most: int = COARSE) -> list[Wanted]:
    """At most so many keyframes, spread over the film: what is quickly made."""
    keys = [one for one in wanted if one.key]
    if len(keys) <= most:
        return keys
    times = [one.time_us for one in keys]
    places = (bisect_left(times, film_us * number // most) for number in range(most))
    return [keys[place] for place in sorted({min(place, len(keys) - 1) for place in places})]


def stretches(
    facts: Facts, track: StoredTrack, lacking: Sequence[Wanted], *, attempt: int = 0
) -> list[Stretch]:
    """The runs that make these, the quick ones first.

    With `attempt` 1 everything is decoded, from further back: of keyframes that could not be decoded alone.
    """
    alone = attempt == 0 and _is_timed(facts)
    keys = [one for one in lacking if alone and one.key]
    others = [one for one in lacking if not (alone and one.key)]
    if _hops(facts, track, keys):
        quick = _hopping(facts, track, keys)
    else:
        quick = [_stretch(facts, track, "keyframes", group, attempt) for group in _parts(keys, MOST_STARTS)]
    return quick + [_stretch(facts, track, "frames", group, attempt) for group in _groups(others)]


def beginning(facts: Facts, track: StoredTrack, keys: Sequence[Wanted]) -> list[Stretch]:
    """The runs that quickly make these keyframes, of which there is one at least; or the first of them, if that cannot be."""
    return (
        _hopping(facts, track, keys) if _is_timed(facts) else [_stretch(facts, track, "frames", keys[:1], 0)]
    )


def _hopping(facts: Facts, track: StoredTrack, keys: Sequence[Wanted]) -> list[Stretch]:
    pixels = max(1, facts.video.width * facts.video.height) if facts.video is not None else HOPS_PIXELS
    most = max(1, min(HOPS, HOPS_PIXELS // pixels))
    return [_stretch(facts, track, "hops", group, 0) for group in _parts(keys, most)]


def _parts(wanted: Sequence[Wanted], most: int) -> Iterator[Sequence[Wanted]]:
    return (wanted[first : first + most] for first in range(0, len(wanted), most))


def _is_timed(facts: Facts) -> bool:
    return facts.container.split(",")[0] in _TIMED


def _hops(facts: Facts, track: StoredTrack, keys: Sequence[Wanted]) -> bool:
    """Whether seeking each keyframe is quicker than passing over all that lies between."""
    demuxer = facts.container.split(",")[0]
    if demuxer not in _INDEXED or facts.video is None or len(keys) < 2:
        return False
    skipped = not track.all_sync and (demuxer == "mov" or facts.video.codec not in _NOT_SKIPPED)
    return not skipped and keys[-1].time_us - keys[0].time_us > HOP_US * (len(keys) - 1)


def _groups(frames: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    group: list[Wanted] = []
    for one in frames:
        if group and (
            one.time_us - group[-1].time_us > MERGED_US
            or one.time_us - group[0].time_us > STRETCH_US
            or len(group) == MOST_STARTS
        ):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _stretch(facts: Facts, track: StoredTrack, how: How, wanted: Sequence[Wanted], attempt: int) -> Stretch:
    frames = [frame for one in wanted if (frame := track.at(one.ticks)) is not None]
    heads = frames if how == "hops" else frames[:1]
    last = frames[-1]
    after = track.at_or_after(last.time + track.timescale)
    count = track.shown_count * (last.time - frames[0].time)
    many = len(frames) > 1 and count > PLENTY_OF_FRAMES * (len(frames) - 1) * max(1, track.stop - track.start)
    return Stretch(
        how,
        tuple(video_seek(facts, track, head, attempt) for head in heads),
        tuple(before(track, frame) for frame in frames),
        Fraction(track.stop, track.timescale) + 1 if after is None else before(track, after),
        shown_later(facts, track),
        how == "frames" and many and _is_timed(facts),
    )
