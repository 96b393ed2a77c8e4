"""One request about resumable uploads, and how it is answered, in whichever dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from time import time
from typing import Any

import msgspec
from litestar import Request, Response

from media_service.errors import (
    MediaServiceError,
    MethodNotAllowed,
    OffsetMismatch,
    ShuttingDown,
    UploadPaused,
    UploadStalled,
    remembered,
)
from media_service.ingest.uploads import Uploads
from media_service.store.catalog import Catalog
from media_service.store.records import Upload
from media_service.web.body import body_chunks
from media_service.web.doors import asset_said
from media_service.web.fields import fields_of
from media_service.web.guards import owner_of
from media_service.web.problems import problem
from media_service.web.refusal import Refusal, body_may_be_unread
from media_service.web.shapes import instant
from media_service.wire import resumable
from media_service.wire.resumable import Dialect, Shown

AnyRequest = Request[Any, Any, Any]
Answer = Response[Any]

COLLECTION = "/api/v1/uploads"
NO_STORE = {"cache-control": "no-store"}


def allow(request: AnyRequest) -> dict[str, str]:
    """`Allow` of the address: the collection's, or that of one upload, where POST stands for methods that a client cannot
    send (tus, X-HTTP-Method-Override)."""
    one = "upload_id" in request.path_params
    return {"allow": "GET, HEAD, PATCH, DELETE, POST, OPTIONS" if one else "POST, OPTIONS"}


class UploadErrorJson(msgspec.Struct, frozen=True):
    """Why no asset could be made of an upload."""

    code: str
    title: str
    detail: str


class UploadJson(msgspec.Struct, frozen=True):
    """An upload. `open`: it is not finished; `finished`: `asset` is the asset's address; `rejected`: `error` says why."""

    id: str
    state: str
    offset: int
    length: int | None
    filename: str
    title: str | None
    expires_at: str
    asset: str | None
    error: UploadErrorJson | None


class Exchange:
    """A request and its answer. `fields` are the request's headers; `dialect` is None while it is not known."""

    def __init__(self, request: AnyRequest, uploads: Uploads, *, idle_seconds: float = 0.0) -> None:
        self.request = request
        self.fields = fields_of(request)
        self.dialect: Dialect | None = resumable.dialect_of(self.fields)
        self.owner = owner_of(request)
        self._uploads = uploads
        self._idle_seconds = idle_seconds
        self._unread = body_may_be_unread(request)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The request's body. Raises UploadCut, UploadPaused."""
        try:
            async for chunk in body_chunks(self.request, idle_seconds=self._idle_seconds):
                yield chunk
        except UploadStalled as error:
            raise UploadPaused(error.detail) from None
        self._unread = False

    async def meet(self, upload_id: str) -> Upload:
        """The upload that is meant. A request that names no dialect speaks the upload's own. Raises NotFound,
        TusVersionUnsupported."""
        upload = await self._uploads.look(upload_id, self.owner)
        self.dialect = self.dialect or upload.dialect
        self.check_version()
        return upload

    def check_version(self) -> None:
        """Raises TusVersionUnsupported."""
        if self.dialect == "tus":
            resumable.check_version(self.fields)

    def state(self, upload: Upload) -> Answer:
        """To HEAD and GET: where the upload is, and what became of it."""
        headers = resumable.state_headers(self.dialect or upload.dialect, self._shown(upload), int(time()))
        headers = {**NO_STORE, **headers, **_outcome(upload)}
        if self.dialect is None:
            return Response(_upload_json(upload), headers=headers)
        # Neither protocol knows a body here; who expects the file's bytes in it must not take JSON for them.
        return Response(None, status_code=204, headers=headers)

    def begun(self, upload: Upload) -> Answer:
        """To POST: there is an upload now."""
        headers = {**self._progress(upload), **_outcome(upload), "location": f"{COLLECTION}/{upload.id}"}
        return self._answer(_upload_json(upload), 201, headers)

    def appended(self, upload: Upload) -> Answer:
        """To PATCH: more has to come."""
        return self._answer(None, 204, self._progress(upload))

    def cancelled(self) -> Answer:
        """To DELETE, after `meet`."""
        assert self.dialect is not None
        headers = {**NO_STORE, **resumable.cancel_headers(self.dialect)}
        return Response(None, status_code=204, headers=headers)

    async def ended(self, upload: Upload, catalog: Catalog, *, strict: bool, created: bool) -> Answer:
        """To the request that brought the last byte, or asks for its answer once more. `created`: to a POST."""
        if upload.state == "rejected" and (strict or self.dialect == "ietf"):
            error = remembered(upload.error_code or "", upload.error_detail or "")
            return problem(self.request, error, {**NO_STORE, **self._progress(upload)})
        if self.dialect == "tus":
            if created:
                return self.begun(upload)
            return self._answer(None, 204, {**self._progress(upload), **_outcome(upload)})
        # The draft's answer is that of an upload in one piece, with a mark (s4.4.2).
        asset = await catalog.asset(upload.asset_id or upload.id)
        headers = {**self._progress(upload), **_outcome(upload), "location": f"/api/v1/assets/{asset.id}"}
        return self._answer(await asset_said(self.request, catalog, asset), 201, headers)

    async def failed(self, error: MediaServiceError, upload_id: str | None = None) -> Answer:
        """The answer that tells of an error, and where the upload is."""
        upload: Upload | None = None
        if upload_id is not None and not isinstance(
            error, ShuttingDown
        ):  # whose catalog may be closed already
            with suppress(MediaServiceError):
                upload = await self._uploads.look(upload_id, self.owner)
        dialect = self.dialect or (None if upload is None else upload.dialect)
        headers = allow(self.request) if isinstance(error, MethodNotAllowed) else {}
        if dialect is None:
            return problem(self.request, error, headers)
        shown = None if upload is None else self._shown(upload)
        if shown is not None and isinstance(error, OffsetMismatch) and error.expected is not None:
            shown = replace(shown, offset=error.expected)
        limits = resumable.problem_headers(dialect, shown, int(time()), max_bytes=self._uploads.max_bytes)
        return problem(self.request, error, headers | limits)

    def _progress(self, upload: Upload) -> dict[str, str]:
        return resumable.progress_headers(self.dialect or upload.dialect, self._shown(upload), int(time()))

    def _shown(self, upload: Upload) -> Shown:
        return Shown(
            dialect=upload.dialect,
            offset=upload.offset,
            length=upload.length,
            complete=upload.state != "open",
            expires_at=upload.expires_at // 1000,
            max_bytes=self._uploads.max_bytes,
            concat_header=upload.concat_header,
            metadata=upload.metadata,
        )

    def _answer(self, body: object, status: int, headers: dict[str, str]) -> Answer:
        headers = {**NO_STORE, **headers}
        if self._unread:
            # What repeats a request that was answered before need not be read again.
            return Refusal(b"" if body is None else body, status_code=status, headers=headers)
        return Response(body, status_code=status, headers=headers)


def _outcome(upload: Upload) -> dict[str, str]:
    """What became of the upload, for programs."""
    headers = {}
    if upload.state == "finished" and upload.asset_id is not None:
        headers["upload-asset"] = f"/api/v1/assets/{upload.asset_id}"
    if upload.error_code is not None:
        headers["upload-error"] = upload.error_code
    if upload.sha256 is not None:
        headers["repr-digest"] = resumable.repr_digest(upload.sha256)
    return headers


def _upload_json(upload: Upload) -> UploadJson:
    error = None
    if upload.error_code is not None:
        kind = remembered(upload.error_code, upload.error_detail or "")
        error = UploadErrorJson(upload.error_code, kind.title, kind.detail)
    return UploadJson(
        id=upload.id,
        state=upload.state,
        offset=upload.offset,
        length=upload.length,
        filename=upload.filename,
        title=upload.title,
        expires_at=instant(upload.expires_at),
        asset=f"/api/v1/assets/{upload.asset_id}" if upload.asset_id is not None else None,
        error=error,
    )
