"""Errors as `application/problem+json` (RFC 9457), from the one table in `errors`."""

from __future__ import annotations

import logging
import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from media_service.errors import (
    InvalidRequest,
    MediaServiceError,
    MethodNotAllowed,
    NotFound,
    RequestTooLarge,
    UnsupportedBody,
    UploadStalled,
)
from media_service.web.cors import PROBLEM_CORS, PUBLIC_PREFIX
from media_service.web.refusal import Refusal, body_may_be_unread

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger(__name__)

# What the framework refuses by itself, in the table's words.
BY_STATUS: dict[int, type[MediaServiceError]] = {413: RequestTooLarge, 415: UnsupportedBody}
# Query parameters whose names handlers cannot have (`state` is Litestar's) -> what clients call them.
PUBLIC_NAMES = {"asset_state": "state", "search": "q", "version": "v"}

# However it came there: whoever reads the log shall not play the film.
_TOKEN = re.compile("/A[QR][A-Za-z0-9_-]{54,}")

AnyRequest = Request[Any, Any, Any]


def problem(
    request: AnyRequest, error: MediaServiceError, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """The response that tells a client about `error`."""
    answer = dict(headers or {})
    answer["cache-control"] = "no-store"
    if request.url.path.startswith(PUBLIC_PREFIX):
        answer |= PROBLEM_CORS
    if error.retry_after is not None:
        answer["retry-after"] = str(error.retry_after)
    if error.status == 401:
        answer["www-authenticate"] = 'Bearer realm="media_service"'
    body = {"type": error.problem_type, "title": error.title, "status": error.status, "code": error.code}
    if error.detail:
        body["detail"] = error.detail
    body |= error.members
    kind = (
        Refusal[bytes]
        if body_may_be_unread(request, stalled=isinstance(error, UploadStalled))
        else Response[bytes]
    )
    return kind(msgspec.json.encode(body), status_code=error.status, media_type=MEDIA_TYPE, headers=answer)


def on_own_error(request: AnyRequest, error: MediaServiceError) -> Response[bytes]:
    """An error from the table."""
    return problem(request, error)


def on_framework_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """An error that the framework found: put into the table's words."""
    if isinstance(error, NotFoundException):
        return problem(request, NotFound("There is nothing at this address."))
    if isinstance(error, MethodNotAllowedException):
        return problem(
            request,
            MethodNotAllowed(f"{request.method} is not possible here."),
            dict(error.headers or {}),
        )
    if error.status_code < 500:
        kind = BY_STATUS.get(error.status_code, InvalidRequest)
        return problem(request, kind(_sentence(error)))
    return on_bug(request, error)


def on_bug(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Anything else is our mistake: the log has the details, the client does not."""
    number = request.headers.get("x-request-id", "-")
    path = _TOKEN.sub("/-", request.url.path)
    log.error("%s %r failed, request %.64r", request.method, path, number, exc_info=error)
    return problem(request, MediaServiceError("The service made a mistake; its log says more."))


def _sentence(error: HTTPException) -> str:
    extra = error.extra if isinstance(error.extra, list) else []
    reasons = [
        f"{PUBLIC_NAMES.get(item.get('key', ''), item.get('key', ''))}: {item.get('message', '')}".strip(": ")
        for item in extra
        if isinstance(item, dict)
    ]
    return "; ".join(reasons) or str(error.detail)
