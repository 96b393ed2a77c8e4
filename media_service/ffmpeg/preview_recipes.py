"""Stretches of a film -> argv that makes tiles of them. Pure: ffmpeg-python compiles, `ffmpeg.process` runs.

Tiles come as a track of fragmented MP4, a fragment for each, because so each comes with the exact time of its frame. They
have one size and one quality, and so one header: the standard Huffman tables (ITU-T T.81 K.3), the same quantisation, and
nothing of the source's tags.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ffmpeg

from media_service.ffmpeg.encoders import fragments
from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import (
    Filter,
    earlier,
    first_of_each,
    scaled,
    through,
    to_sdr,
    trimmed,
    untold,
)
from media_service.ffmpeg.recipes import FILM_TIMES, MOVED
from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.preview_plan import Stretch

TIMESCALE = 1_000_000  # ticks/s of what comes out
# 1 to 31. At 256 x 144 some 5 kB of a common frame; 2 took twice that, and from 6 on skies have steps.
QUALITY = 4
# Each input has a thread, and each of glibc's threads takes memory in a place of its own: half of the address space.
_ONE_HEAP = ("env", "MALLOC_ARENA_MAX=1")
_LATE_DECODERS = {
    "h264"
}  # wait for frames that might have to be shown before, and read much of the file for that


def tiles(
    facts: Facts,
    *,
    source_fd: int,
    stretch: Stretch,
    size: tuple[int, int],
    limits: Limits,
    threads: int = 1,
) -> list[str]:
    """argv that writes the tiles of `stretch`, of that width and height, to standard output.

    Raises ValueError without a picture.
    """
    track = facts.video
    if track is None:
        raise ValueError("the source has no picture")
    inputs = [
        ffmpeg.input(
            source_url(source_fd), **_reading(track, stretch, seek), threads=threads, **input_options(limits)
        )[str(track.index)]
        for seek in stretch.seeks
    ]
    if stretch.how == "hops":
        shown = [
            through(one, [*_hopped(stretch, start), *_small(track, size)])
            for one, start in zip(inputs, stretch.starts, strict=True)
        ]
        frames = shown[0] if len(shown) == 1 else ffmpeg.filter(shown, "interleave", nb_inputs=len(shown))
    else:
        chosen = [
            *earlier(stretch.delay),
            trimmed(stretch.starts[0], stretch.stop),
            *first_of_each(stretch.starts),
        ]
        frames = through(inputs[0], [*chosen, *_small(track, size)])
    output = frames.output("pipe:1", **_jpegs(stretch.stop))
    argv: list[str] = output.global_args("-nostdin", "-v", "error", "-nostats", *FILM_TIMES).compile()
    return [*_ONE_HEAP, *argv]


def _reading(track: VideoFacts, stretch: Stretch, seek: Fraction | None) -> dict[str, Any]:
    """Options of an input: what of it is read and decoded."""
    options: dict[str, Any] = {"itsoffset": MOVED}
    if stretch.how != "frames":
        # The decoder passes over the others, and the demuxer of MP4 does not even read them.
        options |= {"skip_frame": "nokey", "discard:v": "nokey"}
    elif stretch.sparing:
        options["skip_frame"] = "noref"
    if stretch.how == "hops" and track.codec in _LATE_DECODERS:
        options["flags"] = "low_delay"
    if seek is not None:
        options |= {"ss": f"{float(seek):.6f}", "noaccurate_seek": None}
    return options


def _hopped(stretch: Stretch, start: Fraction) -> list[Filter]:
    """The first frame from `start` on; then this input is done with."""
    return [
        *earlier(stretch.delay),
        Filter("trim", {"start": f"{float(start):.6f}"}),
        Filter("trim", {"end_frame": 1}),
    ]


def _small(track: VideoFacts, size: tuple[int, int]) -> list[Filter]:
    """SDR, of that size, and of interlaced films one field instead of what is made of two: the frames beside it are not there."""
    width, height = size
    one_field = [Filter("field", {"type": "top"})] if track.interlaced and track.rotation in {0, 180} else []
    small = [*to_sdr(track, width, height), *scaled(track, width, height, full_range=True)]
    return [*one_field, *small, *untold()]  # a profile would stand in the header, of the frames that have one


def _jpegs(stop: Fraction) -> dict[str, Any]:
    return {
        **fragments(stop),
        "movflags": "+frag_every_frame+empty_moov+default_base_moof+frag_discont+skip_trailer",
        "c:v": "mjpeg",
        "q:v": QUALITY,
        "huffman": "default",
        "flags": "+bitexact",
        "threads": 1,
        "fps_mode": "vfr",
        "enc_time_base": f"1:{TIMESCALE}",
        "video_track_timescale": TIMESCALE,
    }
