"""When the pictures of a segment are decoded, so that every player puts the segment where its playlist says.

hls.js takes the first decode time of the first fragment that it gets for the time that the playlist gives it, and moves all
others by the difference: with the source's own times, a film that is not begun at its start is shown by the delay of its B
frames too late. And MSE drops pictures that are already there where a new one claims to last into them: then hls.js fetches
the next segment again. (Both seen with hls.js 1.7 in Chromium 156.) So the decode times of a source are bent a little at
both ends of each segment:

- The first is the segment's boundary itself. A source with B frames decodes its keyframe some frames before it is shown;
  those frames are decoded in close order instead, one `step` apart, until the source's own times are reached. Only leading
  pictures of an open group, which are shown before the boundary, make it earlier, by as little as they need.
- No picture's duration (the time until the next one is decoded) reaches beyond the first picture of the next segment:
  the last ones are decoded later where the source's own times would make it so.

Between, they are the source's own. No picture is decoded after it is shown, and decode times always rise: composition
offsets are never negative, durations never zero. Pure arithmetic in ticks; all sequences are in decoding order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from operator import sub

# Pictures decoded in close order are 20 us apart: Chrome counts in whole microseconds and takes a decode time twice as far
# ahead as the last one lasted for a gap, so one or two of them would be too coarse.
STEPS_PER_SECOND = 50_000
# Pictures are this many steps apart at least, so that all that is decoded early has room before the first is shown: at
# most 16 pictures wait in a decoder (ITU-T H.264 sA.3.1, H.265 sA.4.2), and as many may be decoded early.
ROOM = 32
DEEPEST = 16


def step_of(timescale: int) -> int:
    """The ticks between pictures that are decoded in close order."""
    return max(1, timescale // STEPS_PER_SECOND)


def first_decode_time(times: Sequence[int], boundary: int, step: int) -> int:
    """When the first packet of a segment is decoded: at its boundary, or just in time for leading pictures before that.

    `times` are the presentation times of all its packets.
    """
    return min(boundary, *(time - early for time, early in zip(times, count(0, step), strict=False)))


def decode_times(
    times: Sequence[int], decoded: Sequence[int], *, start: int, stop: int, end: int, step: int
) -> list[int]:
    """The decode times of a segment whose packets are shown at `times` and whose source decodes them at `decoded`.

    They begin at `start` (`first_decode_time`); the next segment's at `stop`, and its first picture is shown at `end`, not
    before `stop`.
    """
    # The source's own times as late as they can be: some writers let a picture be decoded after it is shown.
    late = max(map(sub, decoded, times))
    found = []
    following = stop
    for number in range(len(times) - 1, 0, -1):
        own = max(decoded[number] - late, start + number * step)
        bent = max(own, following - max(step, end - times[number]))
        following = min(bent, times[number], following - step)
        found.append(following)
    return [start, *reversed(found)]
