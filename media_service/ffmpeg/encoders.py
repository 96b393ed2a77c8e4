"""What ffmpeg's encoders and its MP4 muxer are told: the same for every run of a rendition, so that their output joins.

Times: what comes out keeps the times that go in, so a picture that begins a second after the sound begins at 1 s in its own
fragments too. Two flags do that, found by experiment: `frag_discont` makes the first fragment carry its real decode time
(without it, each output silently starts at 0), and `avoid_negative_ts disabled` leaves the encoder's 1024 priming samples
of AAC before their true place, at negative times.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from media_service.timeline.ladder import BUFFER_SECONDS, AudioRendition, VideoRendition
from media_service.timeline.outlining import VIDEO_TIMESCALE

FRAGMENT_SECONDS = 2  # of sound; of picture there is one from each IDR frame to the next
SPARE_SECONDS = 1  # beyond the end that filters make

FRAGMENTED = "+frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets+frag_discont+skip_trailer"


def h264(rendition: VideoRendition, threads: int) -> dict[str, Any]:
    """The picture; `threads` 0: as many as there are cores. Where IDR frames are is for the run to say."""
    return {
        "c:v": "libx264",
        "profile:v": "high",
        "level": rendition.level,
        "preset": "veryfast",
        "crf": 22,
        "threads": threads,
        "maxrate": rendition.max_bits_per_second,
        "bufsize": rendition.max_bits_per_second * BUFFER_SECONDS,
        # H.264's own end of the scale. x264 goes on to 69, where it leaves out all detail, and took such measures against the
        # last frame before a long pause, for which it expects the most bits: a recorded screen stood still half drawn.
        "qmax": 51,
        "forced-idr": 1,
        # IDR frames where we say, and no others. No B frames, which costs a seventh of the bits at equal SSIM: frames are
        # shown in the order they are decoded in, so their times stand in the file as they are. Of fragments with composition
        # offsets ffmpeg's own demuxer (mpv, Kodi, ...) shows the picture late by the largest of them, 67 ms; other players
        # differ in edit lists.
        "x264-params": "keyint=infinite:scenecut=0:open-gop=0:bframes=0",
        # Variable rates keep their times, to a tick of the 90 kHz clock.
        "fps_mode": "vfr",
        "enc_time_base": f"1:{VIDEO_TIMESCALE}",
        "video_track_timescale": VIDEO_TIMESCALE,
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
        # What most films have and few say; said of each, it stands in no init segment (ITU-T H.264 s.E.2.1).
        "chroma_sample_location": "left",
    }


def aac(rendition: AudioRendition) -> dict[str, Any]:
    """The sound."""
    return {
        "c:a": "aac",
        "b:a": rendition.bits_per_second,
        "ar": rendition.sample_rate,
        "ac": rendition.channels,
        "frag_duration": FRAGMENT_SECONDS * 1_000_000,  # microseconds
    }


def layout(rendition: AudioRendition) -> str:
    """5.1 with speakers at the back, as AAC's channel configuration 6 means (ISO/IEC 14496-3 table 1.19)."""
    return "5.1" if rendition.channels == 6 else "stereo"


def fragments(stop: Fraction) -> dict[str, Any]:
    """What all outputs share: fragments, true times, and nothing of the source's tags (they may tell where it was shot).

    `stop`: seconds of film. Filters end exactly there; a second later there is an end in any case. (`-t` counts from 0 where
    times are the source's.)
    """
    return {
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "avoid_negative_ts": "disabled",
        "movflags": FRAGMENTED,
        "f": "mp4",
        "t": f"{float(stop + SPARE_SECONDS):.6f}",
    }
