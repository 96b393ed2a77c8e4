"""What the handlers of all that players fetch have in common: how parts of a film are named, and how they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import Annotated, Any

from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter
from litestar.types import ASGIApp

from media_service.errors import NotFound
from media_service.playback.access import Access
from media_service.store.blobs import BlobStore
from media_service.web.cors import CORS, PREFLIGHT
from media_service.web.doors import both
from media_service.web.guards import public
from media_service.web.openapi import MediaOperation
from media_service.web.send import DeliveryResponse
from media_service.web.shortcut import opening_of
from media_service.wire.delivery import Answers, Headers
from media_service.wire.representation import Representation

AnyRequest = Request[Any, Any, Any]
AssetId = Annotated[str, Parameter(max_length=64, description="The asset's id.")]
Version = Annotated[
    str | None,
    Parameter(
        query="v",
        max_length=64,
        description="From what lists it (playlist, storyboard, asset): makes the answer cacheable.",
    ),
]

READ = [HttpMethod.GET, HttpMethod.HEAD]
FILM = "/media/{asset_id:str}"


def fetched(path: str) -> HTTPRouteHandler:
    """Makes a handler of GET and HEAD: what players fetch at this path, for everybody and with a token."""
    return route(
        both(path), http_method=READ, guards=[public], tags=["playback"], operation_class=MediaOperation
    )


def preflight(paths: Sequence[str]) -> HTTPRouteHandler:
    """A handler of OPTIONS for these paths and those with a token.

    The first among a module's: Litestar adds its own OPTIONS to each path that has none when its first handler comes.
    """

    @route(
        [way for path in paths for way in both(path)],
        http_method=HttpMethod.OPTIONS,
        guards=[public],
        include_in_schema=False,
        sync_to_thread=False,
        status_code=204,
    )
    def allowed() -> Response[None]:
        return Response(None, headers=PREFLIGHT)

    return allowed


def serve(
    request: AnyRequest,
    blobs: BlobStore,
    access: Access,
    representation: Representation,
    headers: Headers = CORS,
) -> ASGIApp:
    """The answer to a request for `representation`, which a cache may keep no longer than its token is good.

    `headers` are sent besides. What the address alone says is kept for those who ask at it again.
    """
    opening = opening_of(request.scope, request.path_params["asset_id"])
    answers = Answers(representation, access.headers(representation.headers, time()))
    delivery = answers.to(request.method, request.scope["headers"])
    accel = request.app.state.get("accel")
    if opening is None:
        return DeliveryResponse(delivery, blobs.open, headers, accel=accel)
    # Vary: the request's headers had a say in what this is.
    if all(name != b"vary" for name, _ in headers):
        opening.keep(access, representation, headers)
    return DeliveryResponse(delivery, opening.open, headers, accel=accel)


def numbered(name: str, extension: str, otherwise: str) -> int:
    """The number of a file that playlists name `{number}.{extension}`. Raises NotFound, in these words, for any other name."""
    stem, _, ending = name.rpartition(".")
    number = number_of(stem) if ending == extension else None
    if number is None:
        raise NotFound(otherwise)
    return number


def number_of(text: str) -> int | None:
    """A segment's or track's number, as playlists write it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
