"""Streams as ffmpeg writes them of one rendition of a run, and the outline of what they are cut into."""

from __future__ import annotations

from pathlib import Path

from media_service.ffmpeg.encoders import FRAGMENTED
from media_service.timeline.ladder import AudioRendition, VideoRendition
from media_service.timeline.outline import OutlineRendition
from tests.support.media import ffmpeg

CODECS = "avc1.64000a"
_PICTURE = [
    "-c:v",
    "libx264",
    "-g",
    "25",
    "-bf",
    "0",
    "-profile:v",
    "high",
    "-level",
    "1.0",
    "-pix_fmt",
    "yuv420p",
]
_CLOCK = ["-fps_mode", "vfr", "-enc_time_base", "1:90000", "-video_track_timescale", "90000"]
_FRAGMENTS = ["-movflags", FRAGMENTED, "-avoid_negative_ts", "disabled", "-f", "mp4"]


def picture(path: Path, *options: str, seconds: float = 4) -> bytes:
    """25 frames a second, a keyframe and so a fragment every second."""
    source = ["-f", "lavfi", "-i", f"testsrc2=size=64x36:rate=25:duration={seconds}"]
    ffmpeg(*source, *_PICTURE, *_CLOCK, *options, *_FRAGMENTS, path)
    return path.read_bytes()


def sound(path: Path, *options: str, seconds: float = 4) -> bytes:
    """Fragments of a second, after the packet that primes decoders."""
    source = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"]
    ffmpeg(*source, "-c:a", "aac", "-frag_duration", "1000000", *options, *_FRAGMENTS, path)
    return path.read_bytes()


def picture_rendition(
    *boundaries: int, name: str = "36p", made: VideoRendition | None = None
) -> OutlineRendition:
    """Boundaries in ticks of 1/90000 s."""
    return OutlineRendition(
        name=name,
        kind="video",
        stream=0,
        timescale=90_000,
        boundaries=boundaries,
        codecs=CODECS,
        bandwidth=400_000,
        average_bandwidth=200_000,
        video=made
        or VideoRendition(
            name=name, width=64, height=36, level=10, max_bits_per_second=400_000, frame_rate=25.0
        ),
    )


def sound_rendition(*boundaries: int) -> OutlineRendition:
    """Boundaries in samples of 1/48000 s."""
    made = AudioRendition(name="audio", stream=1, channels=1, bits_per_second=64_000, label="Sound")
    return OutlineRendition(
        name="audio",
        kind="audio",
        stream=1,
        timescale=48_000,
        boundaries=boundaries,
        codecs="mp4a.40.2",
        bandwidth=64_000,
        average_bandwidth=64_000,
        audio=made,
    )
