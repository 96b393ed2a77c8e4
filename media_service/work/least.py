"""How many samples a segment must have at least, by the index: what decoders drop is little, what is lost is not.

Decoders drop what cannot be shown: leading frames of an open group, broken pictures, twins in time.
"""

from __future__ import annotations

import math

from media_service.timeline.outline import OutlineRendition
from media_service.timeline.stored_index import StoredTrack

LOST_FRAMES = 3
LOST_SHARE = 0.01
LOST_PACKETS = 7  # of sound, 0.15 s: what may be missing where a track ends
AAC_FRAME = 1024  # samples in a packet (ISO/IEC 14496-3)


def least_frames(
    track: StoredTrack, rendition: OutlineRendition, number: int, *, interlaced: bool = False
) -> int:
    """Of a picture that is encoded from `track`: at least one."""
    start, stop = (_source_ticks(track, rendition, edge) for edge in (number, number + 1))
    frames: float = len({packet.time for packet in track.between(start, stop)})
    if interlaced:
        frames /= 2  # two fields make one frame: such sources may have a packet for each
    if rendition.video is not None:
        frames = math.ceil(frames / rendition.video.frame_step)
    return max(1, math.ceil(frames * (1 - LOST_SHARE) - LOST_FRAMES))


def least_packets(rendition: OutlineRendition, number: int) -> int:
    """Of a sound that is encoded, which is one packet after the other: at least one."""
    return max(1, -(-rendition.durations[number] // AAC_FRAME) - LOST_PACKETS)


def _source_ticks(track: StoredTrack, rendition: OutlineRendition, boundary: int) -> int:
    """The first time on the source's clock that ffmpeg rounds to the boundary's tick, or a later one."""
    ticks = 2 * rendition.boundaries[boundary] - 1
    return -(-ticks * track.timescale // (2 * rendition.timescale))
