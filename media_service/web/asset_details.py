"""`/api/v1/assets/{id}/...`: what is told of one asset beyond its own record, and how it is tried again."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Request, Response, post, route
from litestar.params import Parameter

from media_service.playback.timelines import Timeline, Timelines
from media_service.store.catalog import Catalog
from media_service.store.records import HistoryEvent
from media_service.web.doors import asset_said
from media_service.web.guards import needs
from media_service.web.openapi import ApiOperation
from media_service.web.shapes import AssetJson, instant
from media_service.work.retrying import Retrier

NO_STORE = {"cache-control": "no-store"}

AnyRequest = Request[Any, Any, Any]


class HistoryEntryJson(msgspec.Struct, frozen=True):
    """Something that happened. `code` is an error's (docs/errors.md); `detail` says for a person which, what or why."""

    at: str
    event: HistoryEvent
    code: str | None
    detail: str | None


class HistoryJson(msgspec.Struct, frozen=True):
    """What happened to an asset, oldest first: the newest 200."""

    items: list[HistoryEntryJson]


@route(
    "/api/v1/assets/{asset_id:str}/timeline",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("read")],
    tags=["assets"],
    operation_class=ApiOperation,
)
async def get_timeline(timelines: Timelines, asset_id: str) -> Response[Timeline]:
    """The film at a glance: keyframes, where each rendition is cut, and which of its segments are made by now."""
    return Response(await timelines.of(asset_id), headers=NO_STORE)


@route(
    "/api/v1/assets/{asset_id:str}/history",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("read")],
    tags=["assets"],
    operation_class=ApiOperation,
)
async def get_history(catalog: Catalog, asset_id: str) -> Response[HistoryJson]:
    """What happened to an asset: when it arrived, played, was made, why it failed, what was changed."""
    entries = await catalog.history(asset_id)
    items = [HistoryEntryJson(instant(one.at), one.event, one.code, one.detail) for one in entries]
    return Response(HistoryJson(items), headers=NO_STORE)


@post(
    "/api/v1/assets/{asset_id:str}/retry",
    guards=[needs("manage")],
    tags=["assets"],
    operation_class=ApiOperation,
    status_code=202,
)
async def retry_asset(
    request: AnyRequest,
    catalog: Catalog,
    retrier: Retrier,
    asset_id: str,
    rendition: Annotated[
        str | None, Parameter(max_length=100, description="Only this one, of an asset that plays.")
    ] = None,
) -> Response[AssetJson]:
    """Try again what failed: all of an asset that is `failed`, or what one that is `playable` does without."""
    asset = await retrier.retry(asset_id, rendition)
    return Response(await asset_said(request, catalog, asset), headers=NO_STORE)


HANDLERS = [get_timeline, get_history, retry_asset]
