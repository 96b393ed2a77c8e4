"""Operations -> filters. Pure: what a transform does to a picture, and how large it comes out.

Pictures stay in the YUV of their result (JPEG, MP4, WebM), where nothing but the brightness is touched twice; or in RGB, where
the result is RGB (PNG, WebP, GIF) or where something shines through.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from media_service.errors import InvalidRequest
from media_service.ffmpeg.filters import Filter, deinterlaced, in_rgb, scaled, through, to_sdr, untold
from media_service.timeline.facts import VideoFacts
from media_service.wire.transforms import MAX_SIDE, Operations, Result

GIF_FPS = 10  # unless another one is wanted: a GIF has no compression in time to speak of
MOST_GIF_FPS = 50  # its clock counts hundredths of seconds, and browsers take a delay of one for ten
BLUR_STEPS = 3  # of the recursive filter: with one it is no Gaussian, and squares show

_RGB_RESULTS = frozenset({"png", "webp", "gif"})
_EVEN_RESULTS = frozenset({"mp4", "webm"})  # 4:2:0: colour at half the width and height
_ALPHA_FORMATS = ("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "pal8")
_GREY = {f"{to}{by}": share for to in "rgb" for by, share in (("r", 0.2126), ("g", 0.7152), ("b", 0.0722))}


def size_of(video: VideoFacts, wanted: Operations, result: Result, most_pixels: int) -> tuple[int, int]:
    """Width and height of the result: as wanted, or as large as fits into both, in the picture's own shape.

    Raises InvalidRequest when that is larger than `most_pixels`, or than files of this kind can be.
    """
    across, down = video.display_size
    if wanted.rotate in {90, 270}:
        across, down = down, across
    factors = [
        Fraction(side, own)
        for side, own in ((wanted.width, across), (wanted.height, down))
        if side is not None
    ]
    factor = min(factors, default=Fraction(1))
    step = 2 if result.name in _EVEN_RESULTS else 1
    width, height = (max(step, round(side * factor / step) * step) for side in (across, down))
    if max(width, height) > MAX_SIDE or width * height > most_pixels:
        raise InvalidRequest(f"width, height: {width} x {height} pixels are more than is made; ask for less.")
    return width, height


def pictured(
    stream: Any, video: VideoFacts, wanted: Operations, result: Result, size: tuple[int, int], *, still: bool
) -> Any:
    """ffmpeg-python's `stream` after all that is wanted, as frames that the result's encoder takes. `still`: of one picture."""
    shown = _pictured(stream, video, wanted, result, size, still=still)
    return through(shown, untold()) if result.kind == "picture" else shown


def _pictured(
    stream: Any, video: VideoFacts, wanted: Operations, result: Result, size: tuple[int, int], *, still: bool
) -> Any:
    stream = through(stream, [*deinterlaced(video), *_rate(wanted, result, still=still)])
    across, down = size[::-1] if wanted.rotate in {90, 270} else size
    alpha = (video.pixel_format or "").startswith(_ALPHA_FORMATS)
    if result.name in _RGB_RESULTS:
        chain = [*in_rgb(video, across, down, alpha=alpha), *_in_rgb(wanted, alpha=alpha)]
        stream = through(stream, chain)
        return _with_palettes(stream) if result.name == "gif" else stream
    if alpha:
        stream = _on_white(through(stream, in_rgb(video, across, down, alpha=True)))
    else:
        stream = through(stream, to_sdr(video, across, down))
    fitted = scaled(video, across, down, full_range=result.name == "jpeg")
    return through(stream, [*fitted, *_in_yuv(wanted)])


def _rate(wanted: Operations, result: Result, *, still: bool) -> list[Filter]:
    if result.kind != "film" or still:
        return []
    fps = wanted.fps
    if result.name == "gif":
        fps = min(fps or GIF_FPS, MOST_GIF_FPS)
    return [] if fps is None else [Filter("fps", {"fps": f"{fps:.6f}"})]


def _turned(wanted: Operations) -> list[Filter]:
    if wanted.rotate == 180:
        return [Filter("hflip", {}), Filter("vflip", {})]
    return (
        [Filter("transpose", {"dir": "clock" if wanted.rotate == 90 else "cclock"})] if wanted.rotate else []
    )


def _in_yuv(wanted: Operations) -> list[Filter]:
    chain = _turned(wanted)
    if wanted.grayscale:
        chain.append(Filter("lutyuv", {"u": 128, "v": 128}))
    if wanted.blur:
        chain.append(Filter("gblur", {"sigma": wanted.blur, "steps": BLUR_STEPS, "planes": 1}))
        if not wanted.grayscale:  # colour has half as many pixels
            chain.append(Filter("gblur", {"sigma": wanted.blur / 2, "steps": BLUR_STEPS, "planes": 6}))
    return chain


def _in_rgb(wanted: Operations, *, alpha: bool) -> list[Filter]:
    chain = _turned(wanted)
    if wanted.grayscale:
        chain.append(Filter("colorchannelmixer", _GREY))
    if wanted.blur:
        blur = Filter("gblur", {"sigma": wanted.blur, "steps": BLUR_STEPS})
        # Multiplied by its opacity: what cannot be seen has a colour too, mostly black, which would run into the edges.
        seen = [Filter("format", {"pix_fmts": "gbrap"}), Filter("premultiply", {"inplace": 1})]
        chain += [*seen, blur, Filter("unpremultiply", {"inplace": 1})] if alpha else [blur]
    return chain


def _on_white(stream: Any) -> Any:
    """What shines through is white, as paper is: what cannot be seen is mostly black otherwise."""
    copies = stream.filter_multi_output("split")
    paper = copies[0].filter(
        "lutrgb", r=255, g=255, b=255, a=255
    )  # drawbox, which says it better, crashes on RGBA
    return ffmpeg.filter([paper, copies[1]], "overlay", format="rgb")


def _with_palettes(stream: Any) -> Any:
    """256 colours for each frame of its own: one palette for all would hold the whole film in memory until its end."""
    copies: Sequence[Any] = stream.filter_multi_output("split")
    palette = copies[0].filter("palettegen", stats_mode="single")
    return ffmpeg.filter([copies[1], palette], "paletteuse", new=1)
