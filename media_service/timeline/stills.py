"""Single pictures of a film: which frame is shown at a time, how a decoder gets there, and how large it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from media_service.timeline.cutting import before, shown_later, video_seek
from media_service.timeline.facts import Facts
from media_service.timeline.index import Packet
from media_service.timeline.seeking import ROUNDING, Mode, begin, frame_at
from media_service.timeline.stored_index import StoredTrack

LEAST_WIDTH = 16  # pixels
MOST_WIDTH = 1920
# Of the other side: VP8, and with it WebP, ends at 16383 (RFC 6386 s9.1), and nobody looks at longer strips.
LONGEST_SIDE = 4096

# Decoding begins at the frame's keyframe; where the demuxer lands too late, ten seconds further back.
ATTEMPTS = 2
LAST_SECONDS = Fraction(1)  # behind the last frame there is none that it could be taken for


@dataclass(frozen=True, slots=True, kw_only=True)
class StillCut:
    """How to get at one frame, in seconds of the film: the only one with its time in [start, stop).

    `seek`: where reading begins, None: with the film. `delay`: by so much the times that ffmpeg gives to frames are later
    than those of the index. `frames`: about how many are decoded for it.
    """

    seek: Fraction | None
    delay: Fraction
    start: Fraction
    stop: Fraction
    frames: int


def frame_for(track: StoredTrack, seconds: Fraction, mode: Mode) -> Packet:
    """The frame that is on the screen then, or the keyframe before it; outside the film its first or last one."""
    frame = frame_at(track, seconds + ROUNDING)
    if mode == "exact":
        return frame
    key = begin(track, frame)
    return key if key.shown and key.sync else frame


def shown_between(track: StoredTrack, frame: Packet) -> tuple[Fraction, Fraction]:
    """When `frame` is on the screen: [begin, stop) in seconds of the film."""
    after = track.at_or_after(frame.time + 1)
    stop = max(track.stop, frame.time + 1) if after is None else after.time
    return Fraction(frame.time, track.timescale), Fraction(stop, track.timescale)


def still_cut(facts: Facts, track: StoredTrack, frame: Packet, *, attempt: int = 0) -> StillCut:
    """How to get at `frame`. `attempt` counts from 0 to ATTEMPTS - 1."""
    after = track.at_or_after(frame.time + 1)
    return StillCut(
        seek=video_seek(facts, track, frame, attempt),
        delay=shown_later(facts, track),
        start=before(track, frame),
        stop=Fraction(frame.time, track.timescale) + LAST_SECONDS if after is None else before(track, after),
        frames=max(1, frame.number - begin(track, frame).number + 1),
    )


def drawn_size(across: int, down: int, width: int | None, short_side: int | None = None) -> tuple[int, int]:
    """Even width and height, in pixels, at which a film that is shown `across` x `down` is drawn.

    `width` is what is wanted (None: as wide as may be); never larger than the film itself, MOST_WIDTH, LONGEST_SIDE, and
    `short_side` if given.
    """
    scale = min(
        Fraction(1),
        Fraction(min(MOST_WIDTH, width or MOST_WIDTH), across),
        Fraction(LONGEST_SIDE, max(across, down)),
    )
    if short_side is not None:
        # Of an odd number the even one below: rounded up, the picture would be larger than is allowed.
        scale = min(scale, Fraction(max(2, short_side // 2 * 2), min(across, down)))
    return _even(across * scale), _even(down * scale)


def _even(pixels: Fraction) -> int:
    return max(2, round(pixels / 2) * 2)
