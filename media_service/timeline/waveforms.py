"""How loud a film's sound is over its length, as peaks.js and waveform-data.js read it (audiowaveform's JSON, version 2).

A point is the least and the greatest sample of so many (`samples_per_pixel`), at 8 bits. All channels are one, so that
what only the left speaker says is seen as well. Times are the film's: silence where its sound begins late or pauses.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from math import ceil, isfinite

from media_service.timeline.ladder import AUDIO_SAMPLE_RATE

MOST_POINTS = 20_000  # some 140 kB; wider than any screen, zoomed in several times
FINEST = AUDIO_SAMPLE_RATE // 25  # samples of a point, at least: a syllable has several
STEP = AUDIO_SAMPLE_RATE // 100  # samples; points are whole hundredths of a second


def total_samples(seconds: float) -> int:
    """So many samples of AUDIO_SAMPLE_RATE a film has that is so long."""
    return max(1, ceil(seconds * AUDIO_SAMPLE_RATE))


def samples_per_point(seconds: float) -> int:
    """Samples of AUDIO_SAMPLE_RATE that a point of a film of that length stands for."""
    return max(FINEST, STEP * ceil(total_samples(seconds) / (MOST_POINTS * STEP)))


def point_count(seconds: float) -> int:
    """How many points a film of that length has."""
    return ceil(total_samples(seconds) / samples_per_point(seconds))


def waveform_json(seconds: float, least: Sequence[float], greatest: Sequence[float]) -> bytes:
    """The JSON of a film of that length; samples are -1 to 1. Points that are lacking at its end are silent."""
    count = point_count(seconds)
    data = array("b", bytes(2 * count))
    for number, (low, high) in enumerate(zip(least[:count], greatest[:count], strict=True)):
        data[2 * number], data[2 * number + 1] = _level(low), _level(high)
    shown = {
        "version": 2,
        "channels": 1,
        "sample_rate": AUDIO_SAMPLE_RATE,
        "samples_per_pixel": samples_per_point(seconds),
        "bits": 8,
        "length": count,
        "data": data.tolist(),
    }
    return json.dumps(shown, separators=(",", ":")).encode("ascii")


def _level(sample: float) -> int:
    """At 8 bits. Decoders may exceed full scale a little, and of broken sound come values that are no numbers."""
    return max(-128, min(127, round(sample * 128))) if isfinite(sample) else 0
