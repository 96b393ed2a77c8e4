"""`frame.jpg`: a still of a film at any time, as JPEG, or as what the client would rather have."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Literal

from litestar.params import Parameter
from litestar.types import ASGIApp

from media_service.errors import InvalidRequest
from media_service.ffmpeg.still_recipes import MOST_BLUR
from media_service.playback.access import Access
from media_service.playback.frames import Frames, Wish
from media_service.playback.still_formats import best_format
from media_service.timeline.stills import LEAST_WIDTH, MOST_WIDTH
from media_service.web.cors import EXPOSE_HEADERS
from media_service.web.dependencies import Blobs
from media_service.web.send import nothing, while_there
from media_service.web.serving import FILM, AnyRequest, AssetId, fetched, preflight, serve

FRAME_PATH = FILM + "/frame.jpg"

READABLE = (EXPOSE_HEADERS.encode(), b"Accept-Ranges, Content-Length, Content-Range, ETag, X-Frame-Time")
NEGOTIATED = (b"vary", b"Accept")


@fetched(FRAME_PATH)
async def frame(
    request: AnyRequest,
    frames: Frames,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    t: Annotated[
        float,
        Parameter(description="Seconds from the film's start; outside it, its first or last frame."),
    ] = 0.0,
    mode: Annotated[
        Literal["keyframe", "exact"],
        Parameter(
            description="The frame that is on the screen then, or one near before it, which is there sooner."
        ),
    ] = "exact",
    width: Annotated[
        int | None,
        Parameter(
            ge=LEAST_WIDTH, le=MOST_WIDTH, description="In pixels; the film's own at most, and by default."
        ),
    ] = None,
    blur: Annotated[
        int, Parameter(ge=0, le=MOST_BLUR, description="How much of it is blurred away, 0 to 100.")
    ] = 0,
) -> ASGIApp:
    """A still of the film: AVIF or WebP for clients whose Accept names them, else JPEG. `X-Frame-Time` is the time of its
    frame in seconds. It is drawn while the answer waits: at most some seconds, then it is 503 with `Retry-After`."""
    if not math.isfinite(t):
        raise InvalidRequest("t: a finite number of seconds is wanted")
    kind = await best_format(request.headers.getall("accept", []))
    wish = Wish(Fraction(t), mode, width, blur, kind)
    opened = await while_there(request.receive, frames.frame(asset_id, access, wish))
    if opened is None:
        return nothing
    time = (b"x-frame-time", f"{opened.seconds:.6f}".encode())
    return serve(request, blobs, access, opened.picture, (READABLE, NEGOTIATED, time))


HANDLERS = [preflight([FRAME_PATH]), frame]
