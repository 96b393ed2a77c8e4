"""`/media` and `/t/{token}/media`: everything that players fetch. Each handler opens a Representation, plans a Delivery and sends it."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import Annotated, Any

from litestar import HttpMethod, Request, Response, route
from litestar.params import Parameter
from litestar.types import ASGIApp

from media_service.errors import NotFound
from media_service.playback.access import Access
from media_service.playback.classics import Classics
from media_service.playback.library import Library
from media_service.playback.playlists import Playlists
from media_service.playback.segments import Segments
from media_service.web.cors import CORS, PREFLIGHT
from media_service.web.dependencies import Blobs
from media_service.web.doors import both
from media_service.web.guards import public
from media_service.web.openapi import MediaOperation
from media_service.web.send import DeliveryResponse, nothing, while_there
from media_service.wire.delivery import Headers, plan
from media_service.wire.disposition import content_disposition
from media_service.wire.representation import Representation

AnyRequest = Request[Any, Any, Any]
AssetId = Annotated[str, Parameter(max_length=64, description="The asset's id.")]
Version = Annotated[
    str | None,
    Parameter(query="v", max_length=64, description="From the playlist: makes the answer cacheable."),
]

READ = [HttpMethod.GET, HttpMethod.HEAD]
FILM = "/media/{asset_id:str}"
RENDITION = FILM + "/hls/{rendition:str}"

FILE_PATH = FILM + "/{name:str}"
SUBTITLES_PATH = FILM + "/subtitles/{name:str}"
MANIFEST_PATH = FILM + "/dash/manifest.mpd"
MASTER_PATH = FILM + "/hls/master.m3u8"
PLAYLIST_PATH = RENDITION + "/index.m3u8"
IFRAMES_PATH = RENDITION + "/iframes.m3u8"
INIT_PATH = RENDITION + "/init.mp4"
SEGMENT_PATH = RENDITION + "/{name:str}"
PATHS = (
    FILE_PATH,
    SUBTITLES_PATH,
    MANIFEST_PATH,
    MASTER_PATH,
    PLAYLIST_PATH,
    IFRAMES_PATH,
    INIT_PATH,
    SEGMENT_PATH,
)


def _send(
    request: AnyRequest,
    blobs: Blobs,
    access: Access,
    representation: Representation,
    headers: Headers = CORS,
) -> ASGIApp:
    representation = replace(representation, headers=access.headers(representation.headers, time()))
    delivery = plan(request.method, request.scope["headers"], representation)
    return DeliveryResponse(delivery, blobs, headers)


def _number(text: str) -> int | None:
    """A segment's or track's number, as playlists write it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


@route(both(FILE_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation)
async def film(
    request: AnyRequest,
    library: Library,
    classics: Classics,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
) -> ASGIApp:
    """`original.{ext}`, `{rendition}.mp4`, `{sound}.m4a` or `poster.jpg`: whole files, any range of them. `download`: the
    original, to be kept under the name that it came with."""
    stem, _, extension = name.rpartition(".")
    if name == "download":
        kept_as, original = await library.download(asset_id, access)
        disposition = (b"content-disposition", content_disposition("attachment", kept_as).encode("ascii"))
        return _send(request, blobs, access, original, (*CORS, disposition))
    if stem == "original":
        return _send(request, blobs, access, await library.original(asset_id, access, extension))
    if name == "poster.jpg":
        return _send(request, blobs, access, await library.poster(asset_id, access))
    if extension in {"mp4", "m4a"}:
        return _send(request, blobs, access, await classics.classic(asset_id, access, stem, extension))
    raise NotFound("There is no such file.")


@route(
    both(SUBTITLES_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
)
async def subtitles(
    request: AnyRequest,
    library: Library,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{n}.vtt`: text subtitle track number n as WebVTT."""
    stem, _, extension = name.rpartition(".")
    number = _number(stem)
    if extension != "vtt" or number is None:
        raise NotFound("There are no such subtitles.")
    return _send(request, blobs, access, await library.subtitles(asset_id, access, number, version))


@route(
    both(MANIFEST_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
)
async def manifest(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The DASH manifest: the whole film, over the same segments as HLS."""
    return _send(request, blobs, access, await playlists.manifest(asset_id, access))


@route(
    both(MASTER_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
)
async def master(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The HLS multivariant playlist: pictures, sounds and subtitles to choose from."""
    return _send(request, blobs, access, await playlists.master(asset_id, access))


@route(
    both(PLAYLIST_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
)
async def playlist(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId, rendition: str
) -> ASGIApp:
    """The HLS media playlist of a rendition or of `subtitles-{n}`: the whole film, whether it is made or not."""
    kind, _, number = rendition.partition("-")
    if kind == "subtitles" and (track := _number(number)) is not None:
        return _send(request, blobs, access, await playlists.subtitles(asset_id, access, track))
    return _send(request, blobs, access, await playlists.media(asset_id, access, rendition))


@route(
    both(IFRAMES_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
)
async def iframes(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId, rendition: str
) -> ASGIApp:
    """The HLS I-frame playlist of a picture: one keyframe of each segment, for scrubbing."""
    return _send(request, blobs, access, await playlists.iframes(asset_id, access, rendition))


@route(both(INIT_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation)
async def init_segment(
    request: AnyRequest,
    segments: Segments,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    rendition: str,
    version: Version = None,
) -> ASGIApp:
    """A rendition's initialization segment. Waits like a media segment while it is made."""
    opened = await while_there(request.receive, segments.init(asset_id, access, rendition, version))
    return nothing if opened is None else _send(request, blobs, access, opened)


@route(
    both(SEGMENT_PATH), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
)
async def segment(
    request: AnyRequest,
    segments: Segments,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    rendition: str,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{k}.m4s`: a rendition's media segment number k. One that is not there yet is made now, and the answer waits for it:
    at most some seconds, then it is 503 with `Retry-After`."""
    stem, _, extension = name.rpartition(".")
    number = _number(stem)
    if extension != "m4s" or number is None:
        raise NotFound("There is no such segment.")
    opened = await while_there(
        request.receive, segments.segment(asset_id, access, rendition, number, version)
    )
    return nothing if opened is None else _send(request, blobs, access, opened)


@route(
    [way for path in PATHS for way in both(path)],
    http_method=HttpMethod.OPTIONS,
    guards=[public],
    include_in_schema=False,
    sync_to_thread=False,
    status_code=204,
)
def preflight() -> Response[None]:
    """What scripts on other origins may send."""
    return Response(None, headers=PREFLIGHT)


# The preflight first: Litestar adds its own OPTIONS to each path that has none when its first handler comes.
HANDLERS = [
    preflight,
    film,
    subtitles,
    manifest,
    master,
    playlist,
    iframes,
    init_segment,
    segment,
]
