"""Ways in for viewers, as handlers see them: what the request's token opens, and addresses with a token."""

from __future__ import annotations

from typing import Any

from litestar import Request

from media_service.playback.access import Access
from media_service.playback.gate import Gate, prefix_of
from media_service.store.catalog import Catalog
from media_service.store.records import Asset
from media_service.web.guards import caller
from media_service.web.shapes import AssetJson, asset_json

AnyRequest = Request[Any, Any, Any]

SIGNED = "/t/{token:str}"


def both(path: str) -> list[str]:
    """The two ways to what lies there: for everybody, and with a token. Relative addresses serve both."""
    return [path, SIGNED + path]


def access_of(request: AnyRequest, gate: Gate) -> Access:
    """What the request may have of the asset that it names, before any look at that.

    Raises TokenInvalid, TokenNotYet, TokenExpired.
    """
    return gate.access(request.path_params.get("token"), request.path_params["asset_id"])


def way_in(request: AnyRequest) -> str:
    """What stood before the address that was asked for: nothing, or the token."""
    token = request.path_params.get("token")
    return "" if token is None else prefix_of(token)


async def asset_said(request: AnyRequest, catalog: Catalog, asset: Asset) -> AssetJson:
    """The asset's JSON for the key of the request."""
    return asset_json(asset, await catalog.renditions(asset.id), prefix_for(request, asset))


def prefix_for(request: AnyRequest, asset: Asset) -> str:
    """What stands before the asset's addresses in answers to a key: of a signed one a token, for those who may read."""
    gate: Gate = request.app.state.gate
    # Who may only upload has no business with films, and with DEDUPLICATE the answer may be another's.
    return gate.prefix(asset) if "read" in caller(request).scopes else ""
