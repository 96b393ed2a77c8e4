"""Where the keyframes of a film lie in time: the places at which a decoder can begin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from media_service.timeline.stored_index import StoredTrack


def keyframe_times(track: StoredTrack) -> list[int]:
    """When they are shown, ascending, in ticks of the track; of a sound those are all its packets."""
    if track.all_sync:
        return sorted(track.shown_times())
    return sorted(compress(track.sync.times, track.sync.shown))


def thinned(times: Sequence[int], most: int) -> Sequence[int]:
    """At most `most` of them, at least 2, at even distances in the list; the first and the last stay."""
    if len(times) <= most:
        return times
    return [times[number * (len(times) - 1) // (most - 1)] for number in range(most)]
