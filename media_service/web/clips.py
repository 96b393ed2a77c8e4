"""What stands for a film where many are listed, below its address: the clip, and the waveform of its sound."""

from __future__ import annotations

from litestar.types import ASGIApp

from media_service.playback.access import Access
from media_service.playback.clips import Clips
from media_service.web.dependencies import Blobs
from media_service.web.serving import FILM, AnyRequest, AssetId, Version, fetched, preflight, serve

CLIP_PATH = FILM + "/preview.mp4"
ANIMATION_PATH = FILM + "/preview.webp"
WAVEFORM_PATH = FILM + "/waveform.json"
PATHS = (CLIP_PATH, ANIMATION_PATH, WAVEFORM_PATH)


@fetched(CLIP_PATH)
async def clip(
    request: AnyRequest,
    clips: Clips,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    version: Version = None,
) -> ASGIApp:
    """A few seconds from all over the film, small and silent, as MP4."""
    return serve(request, blobs, access, await clips.clip(asset_id, access, version))


@fetched(ANIMATION_PATH)
async def animation(
    request: AnyRequest,
    clips: Clips,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    version: Version = None,
) -> ASGIApp:
    """The same as an animated WebP, for `<img>`."""
    return serve(request, blobs, access, await clips.animation(asset_id, access, version))


@fetched(WAVEFORM_PATH)
async def waveform(
    request: AnyRequest,
    clips: Clips,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    version: Version = None,
) -> ASGIApp:
    """How loud the main sound is over the film's length, as JSON that peaks.js and waveform-data.js read."""
    return serve(request, blobs, access, await clips.waveform(asset_id, access, version))


HANDLERS = [preflight(PATHS), clip, animation, waveform]
