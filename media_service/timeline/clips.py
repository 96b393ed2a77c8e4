"""The clip that stands for a film where many are listed: a few short excerpts spread over it, small, without sound.

Which excerpts follows from the index alone. They are segments of a rendition that nothing else knows (`clip_of`), so they
are cut, encoded and checked by what does that for all renditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from media_service.timeline.facts import Facts
from media_service.timeline.index import Packet
from media_service.timeline.ladder import (
    USUAL_RATE,
    VideoRendition,
    encoded,
    frame_rate,
)
from media_service.timeline.outline import OutlineRendition
from media_service.timeline.outlining import VIDEO_TIMESCALE
from media_service.timeline.stored_index import StoredTrack

BOX = 320  # pixels of the long side, at most: what a card in a list has
EXCERPTS = 5
EXCERPT_SECONDS = 1
# A film so short is shown from its start, for as long as all excerpts of a longer one.
SHORT_SECONDS = 2 * EXCERPTS * EXCERPT_SECONDS
# An excerpt may begin so far behind its keyframe: all between is decoded in vain.
FAR_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Clip:
    """`excerpts` are the numbers of those segments of `rendition` that are shown one after another."""

    rendition: OutlineRendition
    video: VideoRendition
    excerpts: tuple[int, ...]


def clip_of(facts: Facts, track: StoredTrack) -> Clip | None:
    """The clip of a film whose picture is `track`; None for a single picture, and where there is none."""
    if facts.video is None or track.shown_count < 2:
        return None
    boundaries, numbers = [0], list[int]()
    for begin, end in _excerpts(track):
        if begin > boundaries[-1]:
            boundaries.append(begin)
        numbers.append(len(boundaries) - 1)
        boundaries.append(end)
    if (stop := _ticks(track, track.stop)) > boundaries[-1]:
        boundaries.append(stop)
    video = _picture(facts, facts.video.display_size)
    rendition = OutlineRendition(
        name=video.name,
        kind="video",
        stream=track.stream,
        timescale=VIDEO_TIMESCALE,
        boundaries=tuple(boundaries),
        codecs=video.codecs,
        bandwidth=video.max_bits_per_second,
        average_bandwidth=video.max_bits_per_second,
        video=video,
    )
    return Clip(rendition, video, tuple(numbers))


def _excerpts(track: StoredTrack) -> list[tuple[int, int]]:
    """When each begins and ends, in VIDEO_TIMESCALE; at least one, none empty, none before the one before has ended."""
    seconds = Fraction(track.stop - track.start, track.timescale)
    found: list[tuple[int, int]] = []
    if seconds > SHORT_SECONDS:
        for number in range(EXCERPTS):
            middle = seconds * (2 * number + 1) / (2 * EXCERPTS)
            begin = _beginning(track, middle, seconds / (2 * EXCERPTS))
            if begin is not None and begin >= (found[-1][1] if found else 0):
                found.append((begin, begin + EXCERPT_SECONDS * VIDEO_TIMESCALE))
    if found:
        return found
    begin = max(0, _ticks(track, track.start))
    end = min(_ticks(track, track.stop), begin + EXCERPTS * EXCERPT_SECONDS * VIDEO_TIMESCALE)
    return [(begin, max(end, begin + 1))]


def _beginning(track: StoredTrack, seconds: Fraction, spare: Fraction) -> int | None:
    """When the excerpt begins that is to show what comes `seconds` after the track's start; None: too dear to decode.

    With the keyframe before, if that is no more than `spare` seconds away: nothing is decoded in vain.
    """
    frame = track.at(track.start + int(seconds * track.timescale))
    key = None if frame is None else track.keyframe(frame)
    if frame is None or key is None:
        return None
    if key.time >= track.start and _apart(track, key, frame) <= spare:
        return _ticks(track, key.time)
    return _ticks(track, frame.time) if _apart(track, key, frame) <= FAR_SECONDS else None


def _apart(track: StoredTrack, key: Packet, frame: Packet) -> Fraction:
    return Fraction(frame.time - key.time, track.timescale)


def _ticks(track: StoredTrack, time: int) -> int:
    return round(Fraction(time * VIDEO_TIMESCALE, track.timescale))


def _picture(facts: Facts, sides: tuple[int, int]) -> VideoRendition:
    return encoded("clip", clip_size(*sides), frame_rate(facts) or USUAL_RATE, slow=True)


def clip_size(across: int, down: int) -> tuple[int, int]:
    """Width and height (pixels, even) of the clip of a film that is shown `across` x `down`; never enlarged."""
    scale = min(Fraction(1), Fraction(BOX, max(across, down)))
    if scale == 1:
        return max(2, across // 2 * 2), max(2, down // 2 * 2)
    return max(2, round(across * scale / 2) * 2), max(2, round(down * scale / 2) * 2)
