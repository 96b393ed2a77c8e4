"""A track of JPEGs in fragmented MP4: each picture a sample, shown until the next one (ISO/IEC 23008-12 Annex H.3, `mjpg`).

hls.js and Shaka take the picture out of `mdat` as it is, so there is one in each fragment, with all its tables; ffmpeg
refuses to write such a track.
"""

from __future__ import annotations

from media_service.mp4.boxes import LARGEST_SHORT
from media_service.mp4.fragments import Sample, build_fragment
from media_service.mp4.init_segment import InitTrack, build_init
from media_service.mp4.plain_entry import pictures_stsd

CODEC = "mjpg"
TIMESCALE = 1_000_000  # ticks/s

_TRACK = 1


def images_init(width: int, height: int) -> bytes:
    """The init segment of pictures of that size in pixels."""
    return build_init(
        InitTrack(
            track_id=_TRACK,
            timescale=TIMESCALE,
            handler="vide",
            codec=CODEC,
            width=width,
            height=height,
            sample_rate=0,
            channels=0,
            stsd=pictures_stsd(CODEC, (width, height)),
        )
    )


def image_head(number: int, begin_us: int, stop_us: int, size: int) -> bytes:
    """What stands before picture `number` (from 0) in its segment. It has `size` bytes and is shown in [begin_us, stop_us)."""
    # A duration has 32 bits. Of a picture that is shown for longer than 71 minutes, playlists tell the truth.
    duration = min(stop_us - begin_us, LARGEST_SHORT)
    sample = Sample(duration, size, sync=True)
    return build_fragment(sequence=number + 1, track_id=_TRACK, base_time=begin_us, samples=[sample])
