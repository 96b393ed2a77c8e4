"""A film's clip -> argv that makes an animated picture of it, for pages where a film cannot stand. Pure.

The clip itself is encoded as any rendition is (`ffmpeg.recipes.video_run`).
"""

from __future__ import annotations

import ffmpeg

from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import Filter, through

FRAMES_PER_SECOND = 12  # of the animation: each frame costs as much as several of the clip
ENCODER = "libwebp_anim"
QUALITY = 50  # of 100: as many bytes as the clip, and at this size as good to look at


def animation(*, source_fd: int, limits: Limits) -> list[str]:
    """argv that writes the clip as an endless animated WebP to standard output.

    WebP's pictures are ITU-R BT.601 in limited range (RFC 6386 s9.2), whatever the clip has. Nothing but pictures is
    written. Fails where ffmpeg is built without libwebp.
    """
    colours: dict[str, str | int | float] = {
        "in_color_matrix": "bt709",
        "out_color_matrix": "bt601",
        "out_range": "tv",
        "flags": "accurate_rnd",
    }
    chain = [
        Filter("fps", {"fps": FRAMES_PER_SECOND}),
        Filter("scale", colours),
        Filter("format", {"pix_fmts": "yuv420p"}),
    ]
    source = ffmpeg.input(source_url(source_fd), threads=1, **input_options(limits))
    output = through(source["v:0"], chain).output(
        "pipe:1",
        f="webp",
        loop=0,
        map_metadata=-1,
        map_chapters=-1,
        fflags="+bitexact",
        **{"c:v": ENCODER, "q:v": QUALITY, "threads": 1},
    )
    argv: list[str] = output.global_args("-nostdin", "-v", "error", "-abort_on", "empty_output").compile()
    return argv
