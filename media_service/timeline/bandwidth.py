"""How many bits a second a rendition takes, as playlists say it (RFC 8216 s4.3.4.2: BANDWIDTH, AVERAGE-BANDWIDTH)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

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
    most = 0
    for first, start in enumerate(ends):
        for last in range(first + 1, len(ends)):
            lasts = ends[last] - start
            if 2 * lasts > 3 * target:
                break
            if 2 * lasts >= target:
                most = max(most, -(-(sums[last] - sums[first]) * timescale // lasts))
    return max(most, average(bits, durations, timescale))
