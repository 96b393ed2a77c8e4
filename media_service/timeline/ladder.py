"""Facts -> the renditions that are made. Never upscaled; named by the short side, as people name them."""

from __future__ import annotations

import msgspec

from media_service.timeline.facts import Facts

TALLEST = 1080  # pixels on the short side: what phones, laptops and televisions all decode in hardware
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
    """The picture at the source's size, at most 1080 on its short side; None without a video track."""
    if facts.video is None:
        return None
    width, height = facts.video.display_size
    short = min(width, height)
    scale = min(1.0, TALLEST / short)
    # 4:2:0 halves both sides, so both must be even; round down, because up would be upscaling. Two is the least.
    width, height = (max(2, int(side * scale) // 2 * 2) for side in (width, height))
    return VideoRendition(name=f"{min(width, height)}p", width=width, height=height)


def audio_rendition(facts: Facts) -> AudioRendition | None:
    """The sound in stereo; None for silent films."""
    return None if facts.main_audio is None else AudioRendition()
