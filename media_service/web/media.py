"""`/media`: everything that players fetch. Each handler opens a Representation, plans a Delivery and sends it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import HttpMethod, Request, Response, route
from litestar.params import Parameter
from litestar.types import ASGIApp

from media_service.errors import NotFound
from media_service.playback.library import Library
from media_service.web.cors import CORS, PREFLIGHT
from media_service.web.dependencies import Blobs
from media_service.web.openapi import MediaOperation
from media_service.web.send import DeliveryResponse
from media_service.wire.delivery import plan
from media_service.wire.representation import Representation

AnyRequest = Request[Any, Any, Any]
AssetId = Annotated[str, Parameter(max_length=64, description="The asset's id.")]
Version = Annotated[
    str | None,
    Parameter(query="v", max_length=64, description="From the playlist: makes the answer cacheable."),
]

READ = [HttpMethod.GET, HttpMethod.HEAD]


def _send(request: AnyRequest, blobs: Blobs, representation: Representation) -> ASGIApp:
    delivery = plan(request.method, request.scope["headers"], representation)
    return DeliveryResponse(delivery, blobs, CORS)


@route(
    "/media/{asset_id:str}/{name:str}", http_method=READ, tags=["playback"], operation_class=MediaOperation
)
async def film(request: AnyRequest, library: Library, blobs: Blobs, asset_id: AssetId, name: str) -> ASGIApp:
    """`original.{ext}`, `{rendition}.mp4`, `audio.m4a` or `poster.jpg`: whole files, any range of them."""
    stem, _, extension = name.rpartition(".")
    if stem == "original":
        return _send(request, blobs, await library.original(asset_id, extension))
    if name == "poster.jpg":
        return _send(request, blobs, await library.poster(asset_id))
    if extension == "mp4" or name == "audio.m4a":
        return _send(request, blobs, await library.classic(asset_id, stem))
    raise NotFound("There is no such file.")


@route(
    "/media/{asset_id:str}/hls/master.m3u8",
    http_method=READ,
    tags=["playback"],
    operation_class=MediaOperation,
)
async def master(request: AnyRequest, library: Library, blobs: Blobs, asset_id: AssetId) -> ASGIApp:
    """The HLS multivariant playlist."""
    return _send(request, blobs, await library.master(asset_id))


@route(
    "/media/{asset_id:str}/hls/{rendition:str}/index.m3u8",
    http_method=READ,
    tags=["playback"],
    operation_class=MediaOperation,
)
async def playlist(
    request: AnyRequest, library: Library, blobs: Blobs, asset_id: AssetId, rendition: str
) -> ASGIApp:
    """The HLS media playlist of a rendition: as far as it is made, or whole."""
    return _send(request, blobs, await library.playlist(asset_id, rendition))


@route(
    "/media/{asset_id:str}/hls/{rendition:str}/init.mp4",
    http_method=READ,
    tags=["playback"],
    operation_class=MediaOperation,
)
async def init_segment(
    request: AnyRequest,
    library: Library,
    blobs: Blobs,
    asset_id: AssetId,
    rendition: str,
    version: Version = None,
) -> ASGIApp:
    """A rendition's initialization segment."""
    return _send(request, blobs, await library.init_segment(asset_id, rendition, version))


@route(
    "/media/{asset_id:str}/hls/{rendition:str}/{name:str}",
    http_method=READ,
    tags=["playback"],
    operation_class=MediaOperation,
)
async def segment(
    request: AnyRequest,
    library: Library,
    blobs: Blobs,
    asset_id: AssetId,
    rendition: str,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{k}.m4s`: a rendition's media segment number k."""
    number, _, extension = name.rpartition(".")
    if extension != "m4s" or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise NotFound("There is no such segment.")
    return _send(request, blobs, await library.segment(asset_id, rendition, int(number), version))


@route(
    [
        "/media/{asset_id:str}/{name:str}",
        "/media/{asset_id:str}/hls/master.m3u8",
        "/media/{asset_id:str}/hls/{rendition:str}/index.m3u8",
        "/media/{asset_id:str}/hls/{rendition:str}/init.mp4",
        "/media/{asset_id:str}/hls/{rendition:str}/{name:str}",
    ],
    http_method=HttpMethod.OPTIONS,
    include_in_schema=False,
    sync_to_thread=False,
    status_code=204,
)
def preflight() -> Response[None]:
    """What scripts on other origins may send."""
    return Response(None, headers=PREFLIGHT)


# The preflight first: Litestar adds its own OPTIONS to each path that has none when its first handler comes.
HANDLERS = [preflight, film, master, playlist, init_segment, segment]
