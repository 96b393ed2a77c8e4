"""Facts -> the renditions that are encoded. Never upscaled; named by the short side, as people name them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from math import ceil

import msgspec

from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.timeline.h264_levels import level_for
from media_service.timeline.languages import label_of, tag_of

TALLEST = 1080  # pixels on the short side: what phones, laptops and televisions all decode in hardware
LONGEST = 4096  # pixels on the long side: hardware decoders of H.264 end there
RUNGS = (720, 480, 240)  # short sides in pixels below the top: each about half the bits of the one above
NEAREST_RUNG = 0.85  # of the short side above; a rung nearer than that saves nobody a stall
FAST = 31  # frames/s from which on the rungs below the top leave frames out
FASTEST = 240.0  # frames/s that are believed
USUAL_RATE = 30.0  # frames/s, where nobody knows
RATE_AGREES = 0.02  # by how much the packets may differ from the declared rate that they confirm

LEAST_BITS_PER_SECOND = 400_000  # of a picture; less saves nothing worth having
BITS_PER_PIXEL = 4  # a second, at most: 8 Mbit/s at 1080p
BITS_PER_FAST_PIXEL = 6  # above FAST
BUFFER_SECONDS = 1  # of the rate control: how far a moment may exceed the peak rate

# What of the same size as its own picture a packaged source must be for no rendition of that size to be needed beside it.
PLAIN_PIXELS = {"yuv420p", "yuvj420p"}
PLAIN_LEVEL = 42
PLAIN_SHARE = 1.5  # of the rung's peak rate, on average

MAX_SOUNDS = 8  # tracks of sound; discs have no more, and each costs an encoder
STEREO_BITS_PER_SECOND = 128_000  # AAC-LC stereo is transparent to most ears there
SURROUND_BITS_PER_SECOND = 384_000  # the same for six channels
SURROUND_CHANNELS = 6
AUDIO_SAMPLE_RATE = 48_000  # Hz: every player and every encoder takes it; one rate keeps joins exact


class VideoRendition(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding of the picture: H.264 High, 8-bit 4:2:0, upright, square pixels, even sides (pixels).

    `frame_step`: one frame of so many is kept, counted afresh from each segment's first one. `level` is H.264's level_idc.
    `max_bits_per_second` bounds any second, from a buffer of BUFFER_SECONDS. `frame_rate`: frames/s on average.
    """

    name: str
    width: int
    height: int
    frame_step: int = 1
    level: int
    max_bits_per_second: int
    frame_rate: float

    @property
    def codecs(self) -> str:
        """RFC 6381: profile High (100), no constraints, the level."""
        return f"avc1.6400{self.level:02x}"


class AudioRendition(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding of a track of sound: AAC-LC. `stream` is the track of the source, as ffmpeg numbers it."""

    name: str
    stream: int
    channels: int
    sample_rate: int = AUDIO_SAMPLE_RATE  # Hz
    bits_per_second: int
    language: str | None = None  # BCP 47, or what the source says
    label: str  # for people


def video_renditions(facts: Facts, *, packaged: bool) -> tuple[VideoRendition, ...]:
    """The rungs, the largest first; none without a picture.

    The top one has the source's size, at most 1080 x 4096 whichever way it stands. `packaged`: the source's own picture is
    served as well; where every player decodes that and it is no larger in bytes, no rung has its size, and none may take
    more than it: that would cost a slow line more for less, and players that go by the bit rate alone would prefer it.
    """
    video, rate = facts.video, frame_rate(facts)
    if video is None:
        return ()
    sides = video.display_size
    # In whole numbers: 1080.0 / short * short may fall just below 1080, and the even number below that is 1078.
    scale = min((1, 1), (TALLEST, min(sides)), (LONGEST, max(sides)), key=lambda ratio: Fraction(*ratio))
    top = _rung(sides, scale, rate)
    rungs = [top]
    for short in RUNGS:
        if short <= NEAREST_RUNG * min(rungs[-1].width, rungs[-1].height):
            rungs.append(_rung(sides, (short, min(sides)), rate, slow=True))
    if packaged and scale == (1, 1) and _is_plain(facts, video, top):
        own = _bits_per_second(facts, video)
        return tuple(rung for rung in rungs[1:] if rung.max_bits_per_second < own)
    return tuple(rungs)


def frame_rate(facts: Facts) -> float | None:
    """Frames/s of the picture: what is declared if the packets confirm it, else what they tell; None where nobody knows."""
    video = facts.video
    if video is None:
        return None
    declared = None if video.frame_rate is None else video.frame_rate[0] / video.frame_rate[1]
    shown = facts.packets.stream(video.index)
    seconds = shown.duration_seconds
    counted = shown.count / seconds if shown.count > 1 and seconds > 0 else None
    if counted is not None and (declared is None or abs(declared - counted) > RATE_AGREES * counted):
        return min(counted, FASTEST)
    return declared if declared is not None and declared <= FASTEST else None


def max_bits_per_second(width: int, height: int, rate: float) -> int:
    """The peak rate of such a picture (pixels, frames/s)."""
    return max(
        LEAST_BITS_PER_SECOND, width * height * (BITS_PER_FAST_PIXEL if rate > FAST else BITS_PER_PIXEL)
    )


def encoded(name: str, sides: tuple[int, int], rate: float, *, slow: bool) -> VideoRendition:
    """What a picture of these sides and that rate (pixels, frames/s) becomes; `slow`: not above FAST."""
    width, height = sides
    step = ceil(rate / FAST) if slow else 1
    rate /= step
    bits = max_bits_per_second(width, height, rate)
    return VideoRendition(
        name=name,
        width=width,
        height=height,
        frame_step=step,
        level=level_for(width, height, rate, bits_per_second=bits, buffer_bits=bits * BUFFER_SECONDS),
        max_bits_per_second=bits,
        frame_rate=rate,
    )


def _rung(
    sides: tuple[int, int], scale: tuple[int, int], rate: float | None, *, slow: bool = False
) -> VideoRendition:
    width, height = (_even(side * scale[0], scale[1]) for side in sides)
    rate = USUAL_RATE if rate is None else rate
    return encoded(f"{min(width, height)}p", (width, height), rate, slow=slow)


def _even(side: int, divisor: int) -> int:
    """`side / divisor` as the nearest even number, but not above it when nothing was divided: that would be upscaling.

    4:2:0 halves both sides, so both must be even. Two is the least.
    """
    if divisor == 1:
        return max(2, side // 2 * 2)
    return max(2, (side + divisor) // (2 * divisor) * 2)


def _is_plain(facts: Facts, video: VideoFacts, rung: VideoRendition) -> bool:
    """Whether the source's own picture, packaged, serves whomever that rung would serve."""
    return (
        video.codec == "h264"
        and video.pixel_format in PLAIN_PIXELS
        and video.bit_depth == 8
        and not video.is_hdr
        and not video.interlaced
        and video.level is not None
        and video.level <= PLAIN_LEVEL
        and 0 < _bits_per_second(facts, video) <= PLAIN_SHARE * rung.max_bits_per_second
    )


def _bits_per_second(facts: Facts, video: VideoFacts) -> float:
    """Of the source's own picture, on average; 0 when nobody knows."""
    packets = facts.packets.stream(video.index)
    return packets.size * 8 / packets.duration_seconds if packets.duration_seconds > 0 else 0.0


def audio_renditions(facts: Facts, *, packaged: Collection[int]) -> tuple[AudioRendition, ...]:
    """The sounds that are encoded, the main track's first: each in stereo, and with six channels where it has as many.

    `packaged`: the tracks that are served as they are; what they serve is not encoded.
    """
    return tuple(
        rendition
        for number, track in enumerate(heard(facts), 1)
        for rendition in _encodings(track, number)
        if not (track.index in packaged and rendition.name == audio_name(number, track.channels))
    )


def heard(facts: Facts) -> tuple[AudioFacts, ...]:
    """The tracks of sound that are served, the main one first, else in the source's order."""
    main = facts.main_audio
    tracks = sorted((track for track in facts.audio if track.decodable), key=lambda track: track != main)
    return tuple(tracks[:MAX_SOUNDS])


def audio_name(number: int, channels: int) -> str:
    """What a rendition of the track `number` (from 1) with so many channels is called."""
    first = "audio" if number == 1 else f"audio-{number}"
    return f"{first}-51" if channels > 2 else first


def _encodings(track: AudioFacts, number: int) -> Iterator[AudioRendition]:
    layouts = [(2, STEREO_BITS_PER_SECOND)]
    if track.channels >= SURROUND_CHANNELS:
        layouts.append((SURROUND_CHANNELS, SURROUND_BITS_PER_SECOND))
    for channels, bits in layouts:
        yield AudioRendition(
            name=audio_name(number, channels),
            stream=track.index,
            channels=channels,
            bits_per_second=bits,
            language=tag_of(track.language),
            label=label_of(track.language, track.title, channels=channels),
        )
