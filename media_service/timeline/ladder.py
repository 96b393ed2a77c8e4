"""Facts -> the renditions that are made. Never upscaled; named by the short side, as people name them."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from media_service.timeline.facts import Facts

TALLEST = 1080  # pixels on the short side: what phones, laptops and televisions all decode in hardware
LONGEST = 4096  # pixels on the long side: hardware decoders of H.264 end there
AUDIO_BITS_PER_SECOND = 128_000  # AAC-LC stereo is transparent to most ears there
AUDIO_SAMPLE_RATE = 48_000  # Hz: every player and every encoder takes it; one rate keeps joins exact


class VideoRendition(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding of the picture: H.264 High, 8-bit 4:2:0, upright, square pixels, even sides."""

    name: str
    width: int
    height: int


class AudioRendition(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding of the sound: AAC-LC."""

    name: str = "audio"
    channels: int = 2
    sample_rate: int = AUDIO_SAMPLE_RATE  # Hz
    bits_per_second: int = AUDIO_BITS_PER_SECOND


def video_rendition(facts: Facts) -> VideoRendition | None:
    """The picture at the source's size, at most 1080 x 4096 whichever way it stands; None without a video track."""
    if facts.video is None:
        return None
    sides = facts.video.display_size
    # In whole numbers: 1080.0 / short * short may fall just below 1080, and the even number below that is 1078.
    limit = min((1, 1), (TALLEST, min(sides)), (LONGEST, max(sides)), key=lambda ratio: Fraction(*ratio))
    width, height = (_even(side * limit[0], limit[1]) for side in sides)
    return VideoRendition(name=f"{min(width, height)}p", width=width, height=height)


def _even(side: int, divisor: int) -> int:
    """`side / divisor` as the nearest even number, but not above it when nothing was divided: that would be upscaling.

    4:2:0 halves both sides, so both must be even. Two is the least.
    """
    if divisor == 1:
        return max(2, side // 2 * 2)
    return max(2, (side + divisor) // (2 * divisor) * 2)


def audio_rendition(facts: Facts) -> AudioRendition | None:
    """The sound in stereo; None for silent films."""
    return None if facts.main_audio is None else AudioRendition()
