"""One frame -> argv that draws it. Pure: ffmpeg-python compiles, `ffmpeg.process` runs."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import ffmpeg

from media_service.ffmpeg.fence import Limits, input_options, source_url
from media_service.ffmpeg.filters import (
    Filter,
    deinterlaced,
    earlier,
    scaled,
    through,
    to_sdr,
    trimmed,
    untold,
)
from media_service.ffmpeg.recipes import FILM_TIMES, MOVED
from media_service.timeline.facts import Facts, VideoFacts
from media_service.timeline.stills import StillCut

Format = Literal["jpeg", "webp", "avif"]

MOST_BLUR = 100
BLUR_UNIT = (
    1000  # blur is counted in thousandths of the picture's width: it looks the same however large that is
)

_JPEG_QUALITY = 3  # 2 to 31; as posters have always had it
_WEBP_QUALITY = 80  # 0 to 100; about as good as that, in two thirds of the bytes
_AVIF_QUALITY = 34  # 0 to 63, lower is better; likewise, in less than half


class Drawing(NamedTuple):
    """How a frame is drawn: width and height in even pixels, `blur` as a Gaussian's deviation in BLUR_UNITths of the width."""

    width: int
    height: int
    format: Format = "jpeg"
    blur: int = 0


def encoder_of(kind: Format) -> str:
    """The encoder that it takes, as ffmpeg names it."""
    return str(_FORMATS[kind]["c:v"])


def still(
    facts: Facts, *, source_fd: int, cut: StillCut, drawing: Drawing, limits: Limits, threads: int = 1
) -> list[str]:
    """argv that writes the frame of `cut` to standard output: JPEG, WebP, or for AVIF an MP4 of one AV1 frame.

    Upright, square pixels, SDR, nothing of the source's tags. Nothing comes out, and the exit status says so, when the frame
    is not met. Raises ValueError without a picture.
    """
    track = facts.video
    if track is None:
        raise ValueError("the source has no picture")
    seek = {} if cut.seek is None else {"ss": f"{float(cut.seek):.6f}", "noaccurate_seek": None}
    source = ffmpeg.input(
        source_url(source_fd), threads=threads, itsoffset=MOVED, **seek, **input_options(limits)
    )
    # Deinterlacing looks at the frames around one: it comes before they are cut away.
    frames = [*earlier(cut.delay), *deinterlaced(track), trimmed(cut.start, cut.stop)]
    output = through(source[str(track.index)], [*frames, *_drawn(track, drawing)]).output(
        "pipe:1",
        **_FORMATS[drawing.format],
        **{"frames:v": 1, "map_metadata": -1, "fflags": "+bitexact", "flags:v": "+bitexact"},
        **{"threads:v": 1, "fps_mode": "passthrough"},
    )
    argv: list[str] = output.global_args(
        *("-nostdin", "-v", "error", "-nostats", "-abort_on", "empty_output"),
        # By default as many as there are cores, each with a stack that counts against the limit.
        *("-filter_complex_threads", str(threads)),
        *FILM_TIMES,
    ).compile()
    return argv


def _drawn(track: VideoFacts, drawing: Drawing) -> list[Filter]:
    width, height = drawing.width, drawing.height
    # AVIF says which colours it has; JPEG and WebP are BT.601, the one in full range, the other in limited (RFC 9649 s2.5).
    chain = [
        *to_sdr(track, width, height),
        *scaled(track, width, height, full_range=drawing.format != "avif"),
    ]
    if drawing.format == "webp":
        limited = {
            "in_range": "pc",
            "out_range": "tv",
            "in_color_matrix": "bt601",
            "out_color_matrix": "bt601",
        }
        chain += [Filter("scale", limited), Filter("format", {"pix_fmts": "yuv420p"})]
    if drawing.blur:
        chain.append(Filter("gblur", {"sigma": f"{drawing.blur * width / BLUR_UNIT:.3f}", "steps": 3}))
    return [*chain, *untold()]


_FORMATS: dict[Format, dict[str, Any]] = {
    "jpeg": {"c:v": "mjpeg", "q:v": _JPEG_QUALITY, "f": "mjpeg"},
    "webp": {"c:v": "libwebp", "q:v": _WEBP_QUALITY, "f": "image2pipe"},
    # ffmpeg 5.1 writes AVIF only where it can seek, which no pipe lets it: so MP4, and the boxes are ours (mp4.avif).
    "avif": {
        "c:v": "libaom-av1",
        "crf": _AVIF_QUALITY,
        "b:v": 0,
        "usage": "allintra",
        "cpu-used": 8,
        "still-picture": 1,
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
        # Not `empty_moov`: what the decoder is configured with is not known before the frame.
        "movflags": "+frag_keyframe+delay_moov+default_base_moof+skip_trailer",
        "f": "mp4",
    },
}
