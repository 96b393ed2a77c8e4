"""`/api/v1/assets/{id}/playback-tokens`: tokens for who cannot, or will not, make them (docs/signed-playback.md)."""

from __future__ import annotations

import math
from datetime import datetime
from time import time
from typing import Annotated

import msgspec
from litestar import Response, post
from msgspec import Meta

from media_service.errors import InvalidRequest
from media_service.playback.gate import Gate, prefix_of
from media_service.store.catalog import Catalog
from media_service.web.guards import needs
from media_service.web.openapi import ApiOperation
from media_service.web.playback_shapes import PlaybackJson, playback_json
from media_service.web.shapes import instant
from media_service.wire.signatures import MAX_HEIGHT, MAX_NUMBER

Seconds = Annotated[float, Meta(ge=0, le=MAX_NUMBER // 1000)]


class TokenWish(msgspec.Struct, forbid_unknown_fields=True):
    """What a token is to say. `expires_in`: seconds from now. `window`: the part of the film, from and to, in seconds.

    `max_height`: of the pictures, in pixels on the short side.
    """

    expires_in: Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
    not_before: Annotated[datetime, Meta(tz=True)] | None = None
    window: Annotated[list[Seconds], Meta(min_length=2, max_length=2)] | None = None
    max_height: Annotated[int, Meta(ge=1, le=MAX_HEIGHT)] | None = None


class TokenJson(msgspec.Struct, frozen=True):
    """A playback token, when it expires, and the addresses that it opens."""

    token: str
    expires_at: str
    playback: PlaybackJson


@post(
    "/api/v1/assets/{asset_id:str}/playback-tokens",
    guards=[needs("manage")],
    tags=["playback"],
    operation_class=ApiOperation,
    status_code=201,
)
async def make_token(catalog: Catalog, gate: Gate, asset_id: str, data: TokenWish) -> Response[TokenJson]:
    """A token that opens one asset for viewers. It is kept nowhere, and cannot be taken back."""
    asset = await catalog.asset(asset_id)
    expires_at = int(time()) + data.expires_in
    try:
        token, access = gate.token(
            asset_id,
            expires_at,
            not_before=None if data.not_before is None else math.floor(data.not_before.timestamp()),
            window=None if data.window is None else _milliseconds(*data.window),
            max_height=data.max_height,
        )
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    playback = playback_json(asset, await catalog.renditions(asset_id), prefix_of(token), access)
    said = TokenJson(token, instant(expires_at * 1000), playback)
    return Response(said, status_code=201, headers={"cache-control": "no-store"})


def _milliseconds(begin: float, end: float) -> tuple[int, int]:
    """The whole ones around it; what is no more than an error of floating-point numbers is none."""
    return math.floor(round(begin * 1000, 3)), math.ceil(round(end * 1000, 3))


HANDLERS = [make_token]
