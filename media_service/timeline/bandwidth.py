"""How many bits a second a rendition takes, as playlists say it (RFC 8216 s4.3.4.2: BANDWIDTH, AVERAGE-BANDWIDTH)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import ceil

HEAD_BYTES = 128  # of a segment before its samples: moof without its table of samples, and the header of mdat
SAMPLE_BYTES = 16  # of one sample in that table, at most: duration, size, flags, composition offset


def segment_bits(payload_bytes: int, samples: int) -> int:
    """The bits of a segment with so many samples, which together have so many bytes."""
    return 8 * (payload_bytes + HEAD_BYTES + samples * SAMPLE_BYTES)


def target_duration(durations: Sequence[int], timescale: int) -> int:
    """The longest duration (ticks) in seconds, rounded half up, at least 1 (RFC 8216 s4.3.3.1)."""
    return max(1, (2 * max(durations, default=0) + timescale) // (2 * timescale))


def average(bits: Sequence[int], durations: Sequence[int], timescale: int) -> int:
    """Bits/s over the whole of a rendition, rounded up."""
    return -(-sum(bits) * timescale // max(1, sum(durations)))


def peak(bits: Sequence[int], durations: Sequence[int], timescale: int) -> int:
    """The largest bits/s of any run of segments that lasts between a half and one and a half target durations, rounded up.

    That is what RFC 8216 s4.3.4.2 calls the peak segment bit rate. Of a film too short to have such a run: its average.
    """
    target = target_duration(durations, timescale) * timescale
    ends = list(accumulate(durations, initial=0))
    sums = list(accumulate(bits, initial=0))
    rate = Fraction(sums[-1], max(1, ends[-1]))  # bits in a tick
    # Dinkelbach's method: a few steps, however many segments one target duration has.
    while (denser := _denser(ends, sums, rate, target)) is not None:
        rate = denser
    return ceil(rate * timescale)


def _denser(ends: Sequence[int], sums: Sequence[int], rate: Fraction, target: int) -> Fraction | None:
    """The rate of the run with the most bits above `rate`, of those as long as `peak` says; None when none has any."""
    above = [bits * rate.denominator - end * rate.numerator for bits, end in zip(sums, ends, strict=True)]
    starts: deque[int] = deque()  # where a run to `last` may begin, the best first
    coming, most, found = 0, 0, None
    for last, end in enumerate(ends):
        while 2 * (end - ends[coming]) >= target:
            while starts and above[starts[-1]] >= above[coming]:
                starts.pop()
            starts.append(coming)
            coming += 1
        while starts and 2 * (end - ends[starts[0]]) > 3 * target:
            starts.popleft()
        if starts and above[last] - above[starts[0]] > most:
            most = above[last] - above[starts[0]]
            found = Fraction(sums[last] - sums[starts[0]], end - ends[starts[0]])
    return found
