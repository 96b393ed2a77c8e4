"""Resumable uploads as HTTP headers: tus 1.0.0 and the IETF draft, told apart by what the request carries.

One story for both: a `Creation`, then `Append`s, then the outcome. What differs between the dialects is the spelling;
it is read and written in `wire.tus` and `wire.ietf_uploads`, and nobody behind this module needs to know it.
"""

from __future__ import annotations

from media_service.errors import InvalidRequest
from media_service.wire import ietf_uploads, tus
from media_service.wire.digests import repr_digest
from media_service.wire.tus import check_version
from media_service.wire.upload_requests import (
    Append,
    Checks,
    Creation,
    Dialect,
    Digests,
    Headers,
    Shown,
    media_type,
)

__all__ = [
    "Append",
    "Checks",
    "Creation",
    "Dialect",
    "Digests",
    "Headers",
    "Shown",
    "asked_method",
    "cancel_headers",
    "check_retrieval",
    "check_version",
    "dialect_of",
    "options_headers",
    "problem_headers",
    "progress_headers",
    "read_append",
    "read_creation",
    "repr_digest",
    "state_headers",
]

_WHAT_TO_SEND = (
    "Send Tus-Resumable: 1.0.0 (tus), or Upload-Complete: ?0 or ?1 (draft-ietf-httpbis-resumable-upload)."
)


def dialect_of(headers: Headers) -> Dialect | None:
    """The dialect of a request by itself; None when it could be either, or neither."""
    if "tus-resumable" in headers:
        return "tus"
    if (
        "upload-complete" in headers
        or "upload-draft-interop-version" in headers
        or media_type(headers) == ietf_uploads.CONTENT_TYPE
    ):
        return "ietf"
    return None


def asked_method(method: str, headers: Headers) -> str:
    """The method that is meant: POST can stand for any other (tus, X-HTTP-Method-Override). Upper case."""
    override = headers.get("x-http-method-override", "").strip(" \t")
    return override.upper() if method == "POST" and override else method


def read_creation(headers: Headers) -> Creation:
    """What a POST on the collection asks for. Raises errors of the table, with sentences that name header and value."""
    match dialect_of(headers):
        case "tus":
            return tus.read_creation(headers)
        case "ietf":
            return ietf_uploads.read_creation(headers)
    raise InvalidRequest(f"This request does not say which protocol it speaks. {_WHAT_TO_SEND}")


def read_append(headers: Headers) -> Append:
    """What a PATCH on an upload asks for. Raises errors of the table, with sentences that name header and value."""
    match dialect_of(headers):
        case "tus":
            return tus.read_append(headers)
        case "ietf":
            return ietf_uploads.read_append(headers)
    raise InvalidRequest(f"This request does not say which protocol it speaks. {_WHAT_TO_SEND}")


def check_retrieval(headers: Headers) -> None:
    """Of HEAD and GET on an upload. Raises InvalidRequest for headers that only an append can have."""
    if dialect_of(headers) != "tus":
        ietf_uploads.check_retrieval(headers)


def state_headers(dialect: Dialect, shown: Shown, now: int) -> dict[str, str]:
    """Of answers to HEAD and GET on an upload; `now` is Unix seconds."""
    return tus.state_headers(shown) if dialect == "tus" else ietf_uploads.state_headers(shown, now)


def progress_headers(dialect: Dialect, shown: Shown, now: int) -> dict[str, str]:
    """Of answers to POST and PATCH, with an outcome (`shown.complete`) or without; `now` is Unix seconds."""
    return tus.progress_headers(shown) if dialect == "tus" else ietf_uploads.progress_headers(shown, now)


def problem_headers(dialect: Dialect, shown: Shown | None, now: int, *, max_bytes: int) -> dict[str, str]:
    """Of errors that are about the upload itself; `shown` is None where there is no upload (yet, or any more).

    The refusal of a file that has arrived is an outcome: it has `progress_headers`.
    """
    if dialect == "tus":
        return tus.problem_headers()
    return ietf_uploads.problem_headers(shown, now, max_bytes=max_bytes)


def cancel_headers(dialect: Dialect) -> dict[str, str]:
    """Of answers to DELETE: the upload is gone, so only the version is left to tell (tus, Core)."""
    return tus.problem_headers() if dialect == "tus" else {}


def options_headers(max_bytes: int, expires_seconds: int) -> dict[str, str]:
    """Of answers to OPTIONS, in both dialects: sizes in bytes, the lifetime of an upload in seconds."""
    return {
        **tus.options_headers(max_bytes),
        "upload-limit": ietf_uploads.limit(max_bytes, max_age=expires_seconds),
    }
