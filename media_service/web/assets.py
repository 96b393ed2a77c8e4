"""`/api/v1/assets`: upload, list, look at, rename, delete."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import HttpMethod, Request, Response, delete, patch, post, put, route
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from media_service.errors import InvalidRequest, UnsupportedBody
from media_service.ingest.intake import Intake
from media_service.ingest.pipeline import MAX_TITLE_CHARACTERS, Admission, Label, tidy_title
from media_service.playback.seeking import SeekAnswer, Seeker
from media_service.store.catalog import Catalog
from media_service.store.listing import Order, Selection, Sort
from media_service.store.records import Asset, AssetChanges, AssetState, Visibility
from media_service.web.body import announced_length, body_chunks, told_of_shutdown
from media_service.web.crowding import Bodies
from media_service.web.doors import asset_said, prefix_for
from media_service.web.fields import fields_of
from media_service.web.forms import OVERHEAD_BYTES, FileForm
from media_service.web.guards import needs, owner_of
from media_service.web.openapi import ApiOperation
from media_service.web.openapi_uploads import FormOperation, RawOperation
from media_service.web.refusal import Refusal, body_may_be_unread
from media_service.web.shapes import AssetJson, AssetPageJson, asset_json
from media_service.web.visibility import wished_visibility
from media_service.wire.digests import read_file_digests, read_idempotency_key, repr_digest
from media_service.wire.disposition import clean_filename
from media_service.work.posters import Posters
from media_service.work.tasks import Tasks

NO_STORE = {"cache-control": "no-store"}

AnyRequest = Request[Any, Any, Any]


class AssetChange(msgspec.Struct, forbid_unknown_fields=True):
    """What PATCH takes: what is left out stays. `visibility`: null is as the setting PLAYBACK says.

    `poster_time`: seconds of the film; the frame that is shown then becomes its poster. Null: the service chooses one.
    """

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TITLE_CHARACTERS)] | UnsetType = UNSET
    visibility: Visibility | UnsetType | None = UNSET
    poster_time: Annotated[float, msgspec.Meta(ge=0)] | UnsetType | None = UNSET


async def _created(
    request: AnyRequest, catalog: Catalog, asset: Asset, *, unread: bool = False
) -> Response[AssetJson]:
    """The answer that names the asset. `unread`: it was there before, and of the request's body nothing was read."""
    kind = Refusal[AssetJson] if unread and body_may_be_unread(request) else Response[AssetJson]
    return kind(
        await asset_said(request, catalog, asset),
        status_code=201,
        headers={
            **NO_STORE,
            "location": f"/api/v1/assets/{asset.id}",
            "repr-digest": repr_digest(asset.sha256),
        },
    )


@post(
    "/api/v1/assets",
    guards=[needs("upload")],
    request_max_body_size=None,
    tags=["assets"],
    operation_class=FormOperation,
    status_code=201,
)
async def upload_form(
    request: AnyRequest,
    intake: Intake,
    admission: Admission,
    catalog: Catalog,
    bodies: Bodies,
    idle_seconds: float,
) -> Response[AssetJson]:
    """Upload a film as multipart/form-data: the file in the field `file`, optionally a `title` and a `visibility`.

    Answers 201 only after the file is durable. Without a usable file it answers 4xx and keeps nothing.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedBody("POST takes multipart/form-data; send the bare file with PUT.")
    owner, key = owner_of(request), read_idempotency_key(fields_of(request))
    if (known := await catalog.asset_of_key(owner, key)) is not None:
        return await _created(request, catalog, known, unread=True)
    form = FileForm()
    async with (
        bodies.one_of(owner),
        told_of_shutdown(),
        intake.begin(announced_length(request), overhead=OVERHEAD_BYTES) as incoming,
    ):
        await form.read(content_type, body_chunks(request, idle_seconds=idle_seconds), incoming)
        label = Label(
            filename=form.filename,
            title=form.fields.get("title"),
            visibility=wished_visibility(request, form.fields.get("visibility")),
            owner=owner,
            idempotency_key=key,
        )
        asset = await admission.admit(incoming, label)
    return await _created(request, catalog, asset)


@put(
    "/api/v1/assets",
    guards=[needs("upload")],
    request_max_body_size=None,
    tags=["assets"],
    operation_class=RawOperation,
    status_code=201,
)
async def upload_raw(
    request: AnyRequest,
    intake: Intake,
    admission: Admission,
    catalog: Catalog,
    bodies: Bodies,
    idle_seconds: float,
    filename: Annotated[str, Parameter(max_length=1024)] = "",
    title: Annotated[str, Parameter(max_length=1024)] = "",
    visibility: Annotated[Visibility | None, Parameter(description="Who may play it.")] = None,
) -> Response[AssetJson]:
    """Upload a film as the bare body of the request; same answer as the form's."""
    fields = fields_of(request)
    if fields.get("content-type", "").lower().startswith("multipart/"):
        # Stored as it is, the form's boundaries would make the film unreadable: say it now, in words.
        raise UnsupportedBody("PUT takes the bare file; send a form with POST.")
    if "content-range" in fields:
        raise InvalidRequest("PUT takes whole files only (RFC 9110 s14.5); there is no partial PUT here.")
    label = Label(
        filename=clean_filename(filename),
        title=title,
        visibility=wished_visibility(request, visibility),
        owner=owner_of(request),
        idempotency_key=read_idempotency_key(fields),
        digests=read_file_digests(fields),
    )
    if (known := await catalog.asset_of_key(label.owner, label.idempotency_key)) is not None:
        return await _created(request, catalog, known, unread=True)
    async with (
        bodies.one_of(label.owner),
        told_of_shutdown(),
        intake.begin(announced_length(request)) as incoming,
    ):
        async for chunk in body_chunks(request, idle_seconds=idle_seconds):
            await incoming.write(chunk)
        asset = await admission.admit(incoming, label)
    return await _created(request, catalog, asset)


@route(
    "/api/v1/assets",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("read")],
    tags=["assets"],
    operation_class=ApiOperation,
)
async def list_assets(
    request: AnyRequest,
    catalog: Catalog,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Parameter(max_length=1000)] = None,
    asset_state: Annotated[AssetState | None, Parameter(query="state")] = None,
    search: Annotated[str | None, Parameter(query="q", max_length=200)] = None,
    sort: Sort = "created",
    order: Order = "desc",
) -> Response[AssetPageJson]:
    """The catalog in pages; `q` looks in titles and file names. Those without a duration come last, whatever the order."""
    selection = Selection(state=asset_state, search=search, sort=sort, order=order)
    found, next_cursor, total = await catalog.counted_page(limit, cursor, selection)
    renditions = await catalog.renditions_of([asset.id for asset in found])
    items = [asset_json(asset, renditions[asset.id], prefix_for(request, asset)) for asset in found]
    return Response(AssetPageJson(items, next_cursor, total), headers=NO_STORE)


@route(
    "/api/v1/assets/{asset_id:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("read")],
    tags=["assets"],
    operation_class=ApiOperation,
)
async def get_asset(request: AnyRequest, catalog: Catalog, asset_id: str) -> Response[AssetJson]:
    """One asset."""
    asset = await catalog.asset(asset_id)
    return Response(await asset_said(request, catalog, asset), headers=NO_STORE)


@route(
    "/api/v1/assets/{asset_id:str}/seek",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("read")],
    tags=["assets"],
    operation_class=ApiOperation,
)
async def seek_in_asset(
    request: AnyRequest,
    seeker: Seeker,
    asset_id: str,
    t: Annotated[float, Parameter(description="Seconds from the film's start.")],
    mode: Literal["keyframe", "exact"] = "exact",
) -> Response[SeekAnswer]:
    """Where a time lies: keyframe, frame, bytes of the original, segment. `mode=keyframe` begins at the keyframe."""
    if not math.isfinite(t):
        raise InvalidRequest("t: a finite number of seconds is wanted")
    return Response(await seeker.seek(asset_id, t, mode, partial(prefix_for, request)), headers=NO_STORE)


@patch(
    "/api/v1/assets/{asset_id:str}", guards=[needs("manage")], tags=["assets"], operation_class=ApiOperation
)
async def change_asset(
    request: AnyRequest, catalog: Catalog, tasks: Tasks, posters: Posters, asset_id: str, data: AssetChange
) -> Response[AssetJson]:
    """Rename an asset, say who may play it, or choose its poster."""
    changes: AssetChanges = {}
    if data.title is not UNSET:
        changes["title"] = tidy_title(data.title)
        if not changes["title"]:
            raise InvalidRequest("The title has no visible character.")
    if data.visibility is not UNSET:
        changes["visibility"] = data.visibility
    if not changes and data.poster_time is UNSET:
        raise InvalidRequest("There is nothing to change: send title, visibility or poster_time.")
    if data.poster_time is not UNSET:
        asset = await posters.choose(asset_id, data.poster_time)
    if changes:
        asset = await catalog.update_asset(asset_id, **changes)
    tasks.announce(asset_id)
    return Response(await asset_said(request, catalog, asset), headers=NO_STORE)


@delete(
    "/api/v1/assets/{asset_id:str}", guards=[needs("manage")], tags=["assets"], operation_class=ApiOperation
)
async def delete_asset(tasks: Tasks, asset_id: str) -> None:
    """Delete an asset and all that was made from it. Running responses of it are sent to their end."""
    await tasks.remove(asset_id)


HANDLERS = [upload_form, upload_raw, list_assets, get_asset, seek_in_asset, change_asset, delete_asset]
