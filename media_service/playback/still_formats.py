"""Which kind of picture a still is sent as: what its client would rather have, of what the installed ffmpeg can write."""

from __future__ import annotations

from collections.abc import Iterable

from media_service.ffmpeg.probe import encoders
from media_service.ffmpeg.still_recipes import Format, encoder_of
from media_service.playback.frames import MEDIA_TYPES
from media_service.wire.accept import preferred

# Of those that a client likes as well as JPEG, the smaller first; they take about as long to make.
BETTER: tuple[Format, ...] = ("avif", "webp")


async def best_format(accept: Iterable[str]) -> Format:
    """What a client is sent whose header Accept has these lines. JPEG is always there: no film does without its encoder."""
    there = await encoders()
    known = {MEDIA_TYPES[name]: name for name in BETTER if encoder_of(name) in there}
    best = preferred(accept, tuple(known), MEDIA_TYPES["jpeg"])
    return known.get(best, "jpeg")
