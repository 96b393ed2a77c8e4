"""`/api/v1/uploads`: resumable uploads, by tus 1.0.0 and by draft-ietf-httpbis-resumable-upload-12.

One story for both: `wire.resumable` reads what a request asks, `ingest.uploads` does it, and `web.exchange` answers in the
dialect of the request. docs/uploads.md says what clients see.
"""

from __future__ import annotations

from asyncio import timeout
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from litestar import HttpMethod, Response, delete, patch, post, route
from litestar.params import Parameter

from media_service.errors import Busy, InvalidRequest, MediaServiceError, MethodNotAllowed, StorageFull
from media_service.ingest.uploads import Uploads
from media_service.store.catalog import Catalog
from media_service.store.records import Visibility
from media_service.web.body import told_of_shutdown
from media_service.web.crowding import Bodies
from media_service.web.exchange import COLLECTION, NO_STORE, Answer, AnyRequest, Exchange, UploadJson, allow
from media_service.web.guards import needs, public
from media_service.web.openapi_uploads import (
    AbilitiesOperation,
    AppendOperation,
    CancelOperation,
    CreationOperation,
    OverriddenOperation,
    StateOperation,
)
from media_service.web.visibility import wished_visibility
from media_service.wire import resumable
from media_service.wire.digests import read_idempotency_key
from media_service.wire.disposition import clean_filename

# How long a tus client that asks where its upload stands waits for the asset that is just being made of it.
OUTCOME_SECONDS = 20.0
ONE = f"{COLLECTION}/{{upload_id:str}}"


@route(
    [COLLECTION, ONE],
    http_method=HttpMethod.OPTIONS,
    guards=[public],
    tags=["uploads"],
    operation_class=AbilitiesOperation,
    sync_to_thread=False,
    status_code=204,
)
def options(request: AnyRequest, uploads: Uploads) -> Response[None]:
    """What is spoken here, and the limits; needs no key, because browsers ask without one."""
    headers = resumable.options_headers(uploads.max_bytes, uploads.expires_seconds)
    return Response(None, headers={**NO_STORE, **headers, **allow(request)})


@post(
    COLLECTION,
    guards=[needs("upload")],
    request_max_body_size=None,
    tags=["uploads"],
    operation_class=CreationOperation,
    status_code=201,
)
async def create_upload(
    request: AnyRequest,
    uploads: Uploads,
    catalog: Catalog,
    bodies: Bodies,
    idle_seconds: float,
    filename: Annotated[str, Parameter(max_length=1024)] = "",
    title: Annotated[str | None, Parameter(max_length=1024)] = None,
    visibility: Annotated[
        Visibility | None,
        Parameter(description="IETF draft: who may play it; tus says it in Upload-Metadata."),
    ] = None,
) -> Answer:
    """Begin a resumable upload, by tus 1.0.0 or the IETF draft; the body may hold its first bytes, or all of them."""
    exchange = Exchange(request, uploads, idle_seconds=idle_seconds)
    try:
        exchange.check_version()
        if resumable.asked_method(request.method, exchange.fields) != "POST":
            raise MethodNotAllowed("Only POST and OPTIONS are possible here.")
        wish = resumable.read_creation(exchange.fields)
        if visibility is not None and wish.dialect == "tus":
            raise InvalidRequest("By tus, visibility is a key of Upload-Metadata and no part of the address.")
        wish = replace(
            wish,
            filename=wish.filename or clean_filename(filename),
            title=wish.title or title,
            visibility=wished_visibility(request, visibility or wish.visibility),
        )
        async with bodies.one_of(exchange.owner), told_of_shutdown():
            upload = await uploads.create(
                exchange.owner, wish, exchange.chunks(), idempotency_key=read_idempotency_key(exchange.fields)
            )
        if upload.state == "open" or upload.concat == "partial":
            return exchange.begun(upload)
        return await exchange.ended(upload, catalog, strict=wish.strict, created=True)
    except MediaServiceError as error:
        return await exchange.failed(error)


@route(
    ONE,
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[needs("upload")],
    tags=["uploads"],
    operation_class=StateOperation,
)
async def upload_state(request: AnyRequest, uploads: Uploads, upload_id: str) -> Response[UploadJson]:
    """How far an upload is, and what became of it. A request that is still sending it is asked to end."""
    return await _state(request, uploads, upload_id)


@patch(
    ONE,
    guards=[needs("upload")],
    request_max_body_size=None,
    tags=["uploads"],
    operation_class=AppendOperation,
    status_code=204,
)
async def append_to_upload(
    request: AnyRequest,
    uploads: Uploads,
    catalog: Catalog,
    bodies: Bodies,
    idle_seconds: float,
    upload_id: str,
) -> Response[None]:
    """Append the body to an upload. The last append answers when the asset is there."""
    exchange = Exchange(request, uploads, idle_seconds=idle_seconds)
    return await _append(exchange, uploads, catalog, bodies, upload_id)


@delete(ONE, guards=[needs("upload")], tags=["uploads"], operation_class=CancelOperation, status_code=204)
async def cancel_upload(request: AnyRequest, uploads: Uploads, upload_id: str) -> Response[None]:
    """Give an upload up: what it sent is removed. An asset that was made of it stays."""
    return await _cancel(request, uploads, upload_id)


@post(
    ONE,
    guards=[needs("upload")],
    request_max_body_size=None,
    tags=["uploads"],
    operation_class=OverriddenOperation,
    status_code=204,
)
async def overridden(
    request: AnyRequest,
    uploads: Uploads,
    catalog: Catalog,
    bodies: Bodies,
    idle_seconds: float,
    upload_id: str,
) -> Response[None]:
    """For clients that can send nothing but GET and POST (tus, X-HTTP-Method-Override)."""
    match resumable.asked_method(request.method, request.headers):
        case "PATCH":
            exchange = Exchange(request, uploads, idle_seconds=idle_seconds)
            return await _append(exchange, uploads, catalog, bodies, upload_id)
        case "HEAD" | "GET":
            return await _state(request, uploads, upload_id)
        case "DELETE":
            return await _cancel(request, uploads, upload_id)
        case method:
            return await Exchange(request, uploads).failed(
                MethodNotAllowed(f"{method[:32]} is not possible here."), upload_id
            )


async def _state(request: AnyRequest, uploads: Uploads, upload_id: str) -> Answer:
    exchange = Exchange(request, uploads)
    try:
        if request.method == "GET" and exchange.dialect is None:
            # A person, or a program that only watches: nobody is disturbed.
            return exchange.state(await uploads.look(upload_id, exchange.owner))
        await exchange.meet(upload_id)
        if exchange.dialect == "ietf":
            resumable.check_retrieval(exchange.fields)
        async with told_of_shutdown():
            upload = await uploads.retrieve(upload_id, exchange.owner)
            if exchange.dialect == "tus":
                # To whom all is there, by the offset, it is over: tus-js-client asks no more. So it shall hear of the asset.
                with suppress(Busy, StorageFull, TimeoutError):
                    async with timeout(OUTCOME_SECONDS):
                        upload = await uploads.outcome(upload)
        return exchange.state(upload)
    except MediaServiceError as error:
        return await exchange.failed(error, upload_id)


async def _append(
    exchange: Exchange, uploads: Uploads, catalog: Catalog, bodies: Bodies, upload_id: str
) -> Answer:
    try:
        await exchange.meet(upload_id)
        wish = resumable.read_append(exchange.fields)
        async with bodies.one_of(exchange.owner), told_of_shutdown():
            upload = await uploads.append(upload_id, exchange.owner, wish, exchange.chunks())
        if upload.state == "open" or upload.concat == "partial":
            return exchange.appended(upload)
        return await exchange.ended(upload, catalog, strict=wish.strict, created=False)
    except MediaServiceError as error:
        return await exchange.failed(error, upload_id)


async def _cancel(request: AnyRequest, uploads: Uploads, upload_id: str) -> Answer:
    exchange = Exchange(request, uploads)
    try:
        await exchange.meet(upload_id)
        async with told_of_shutdown():
            await uploads.cancel(upload_id, exchange.owner)
    except MediaServiceError as error:
        return await exchange.failed(error, upload_id)
    return exchange.cancelled()


HANDLERS = [options, create_upload, upload_state, append_to_upload, cancel_upload, overridden]
