"""Previews for scrub bars, below a film's address: storyboards and their sheets, single tiles, the image tracks of HLS.

DASH has its thumbnails in the manifest, and fetches the tiles.
"""

from __future__ import annotations

from litestar.types import ASGIApp

from media_service.playback.access import Access
from media_service.playback.previews import Previews
from media_service.web.dependencies import Blobs
from media_service.web.doors import way_in
from media_service.web.serving import FILM, AnyRequest, AssetId, Version, fetched, numbered, preflight, serve

IMAGES = FILM + "/hls/images"

VTT_PATH = FILM + "/storyboard.vtt"
JSON_PATH = FILM + "/storyboard.json"
SHEET_PATH = FILM + "/storyboard/{name:str}"
TILE_PATH = FILM + "/storyboard/tiles/{name:str}"
IFRAMES_PATH = IMAGES + "/index.m3u8"
TILES_PATH = IMAGES + "/tiles.m3u8"
INIT_PATH = IMAGES + "/init.mp4"
SEGMENT_PATH = IMAGES + "/{name:str}"
PATHS = (
    VTT_PATH,
    JSON_PATH,
    SHEET_PATH,
    TILE_PATH,
    IFRAMES_PATH,
    TILES_PATH,
    INIT_PATH,
    SEGMENT_PATH,
)


@fetched(VTT_PATH)
async def storyboard(
    request: AnyRequest, previews: Previews, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The previews as WebVTT: each cue names a sheet, and with `#xywh` the part of it that is shown then."""
    return serve(request, blobs, access, await previews.storyboard(asset_id, access))


@fetched(JSON_PATH)
async def storyboard_json(
    request: AnyRequest, previews: Previews, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The same as JSON, a list of `{startTime, endTime, text}` in seconds, as Vidstack reads it."""
    return serve(request, blobs, access, await previews.cues(asset_id, access, way_in(request)))


@fetched(SHEET_PATH)
async def sheet(
    request: AnyRequest,
    previews: Previews,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{n}.jpg`: sheet number n of the storyboard, up to 25 previews one below the other."""
    number = numbered(name, "jpg", "There is no such sheet.")
    return serve(request, blobs, access, await previews.sheet(asset_id, access, number, version))


@fetched(TILE_PATH)
async def tile(
    request: AnyRequest,
    previews: Previews,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{n}.jpg`: preview number n alone."""
    number = numbered(name, "jpg", "There is no such preview.")
    return serve(request, blobs, access, await previews.tile(asset_id, access, number, version))


@fetched(IFRAMES_PATH)
async def iframe_playlist(
    request: AnyRequest, previews: Previews, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The HLS I-frame playlist of the previews: each is an I-frame, a JPEG (`mjpg`) in fragmented MP4."""
    return serve(request, blobs, access, await previews.iframe_playlist(asset_id, access))


@fetched(TILES_PATH)
async def tile_playlist(
    request: AnyRequest, previews: Previews, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The HLS image playlist of the previews (`EXT-X-IMAGES-ONLY`): each is a JPEG file."""
    return serve(request, blobs, access, await previews.tile_playlist(asset_id, access))


@fetched(INIT_PATH)
async def images_init(
    request: AnyRequest,
    previews: Previews,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    version: Version = None,
) -> ASGIApp:
    """The initialization segment of the I-frame playlist of the previews."""
    return serve(request, blobs, access, await previews.init(asset_id, access, version))


@fetched(SEGMENT_PATH)
async def image_segment(
    request: AnyRequest,
    previews: Previews,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{n}.m4s`: preview number n as a media segment."""
    number = numbered(name, "m4s", "There is no such segment.")
    return serve(request, blobs, access, await previews.segment(asset_id, access, number, version))


HANDLERS = [
    preflight(PATHS),
    storyboard,
    storyboard_json,
    sheet,
    tile,
    iframe_playlist,
    tile_playlist,
    images_init,
    image_segment,
]
