"""draft-ietf-httpbis-resumable-upload-12 (interop version 8): request headers read, answers' headers made.

`Upload-Complete`, `Upload-Offset` and `Upload-Length` are structured fields (RFC 9651). Where they are something else
they are ignored, as s4.1 wants it; where they are needed, the request then lacks them.

`Upload-Draft-Interop-Version` is not looked at: clients of versions 6 and 7 say the same with the same headers, and those
before them lack the media type of an append, which is refused in words.
"""

from __future__ import annotations

from http_sf import ser

from media_service.errors import (
    BeyondLength,
    InconsistentLength,
    InvalidRequest,
    MalformedForm,
    UnsupportedBody,
    UploadTooLarge,
)
from media_service.wire.digests import read_digests
from media_service.wire.disposition import parse_disposition
from media_service.wire.structured import read_item
from media_service.wire.upload_requests import (
    MAX_NUMBER,
    Append,
    Checks,
    Creation,
    Headers,
    Shown,
    clip,
    media_type,
    read_content_length,
    refuse_coded,
    wants_strictness,
)

CONTENT_TYPE = "application/partial-upload"
MAX_INTEGER = 10**15 - 1  # of structured fields (RFC 9651 s3.3.1)


def read_creation(headers: Headers) -> Creation:
    """A POST on the collection (s4.2).

    Raises InvalidRequest, UploadTooLarge, InconsistentLength, BeyondLength, UnsupportedBody.
    """
    complete = _read_complete(headers)
    content_length = read_content_length(headers)
    kind = media_type(headers)
    if kind.startswith("multipart/"):
        raise UnsupportedBody(f"Content-Type is {clip(kind)}; a resumable upload is the bare file.")
    refuse_coded(headers)
    length = _read_length(headers, offset=0, content_length=content_length, complete=complete)
    if length is not None and content_length is not None and content_length > length:
        raise BeyondLength(f"The body has {content_length} bytes, Upload-Length is {length}.")
    return Creation(
        dialect="ietf",
        length=length,
        complete=complete,
        has_content=content_length != 0,
        filename=_read_filename(headers.get("content-disposition", "")),
        repr_digests=read_digests(headers.get("repr-digest", ""), "Repr-Digest"),
        checks=_read_checks(headers),
        strict=wants_strictness(headers),
    )


def read_append(headers: Headers) -> Append:
    """A PATCH on an upload (s4.4). Raises InvalidRequest, UploadTooLarge, InconsistentLength, UnsupportedBody."""
    kind = media_type(headers)
    if kind != CONTENT_TYPE:
        raise UnsupportedBody(f"Content-Type is {clip(kind)}; the bytes of an upload are {CONTENT_TYPE}.")
    refuse_coded(headers)
    complete = _read_complete(headers)
    offset = _integer(headers, "upload-offset")
    if offset is None:
        raise InvalidRequest(
            f"Upload-Offset is {_quoted(headers, 'upload-offset')}; it takes a number of bytes."
        )
    content_length = read_content_length(headers)
    return Append(
        dialect="ietf",
        offset=offset,
        complete=complete,
        length=_read_length(headers, offset=offset, content_length=content_length, complete=complete),
        content_length=content_length,
        repr_digests=read_digests(headers.get("repr-digest", ""), "Repr-Digest"),
        checks=_read_checks(headers),
        strict=wants_strictness(headers),
    )


def check_retrieval(headers: Headers) -> None:
    """Raises InvalidRequest for a HEAD or GET that states what only an append can state (s4.3)."""
    for name in ("Upload-Offset", "Upload-Complete"):
        if name.lower() in headers:
            raise InvalidRequest(f"{name} has no place in a request that asks for the offset.")


def _read_complete(headers: Headers) -> bool:
    value = read_item(headers.get("upload-complete", ""))
    if not isinstance(value, bool):
        raise InvalidRequest(f"Upload-Complete is {_quoted(headers, 'upload-complete')}; it takes ?1 or ?0.")
    return value


def _read_length(headers: Headers, *, offset: int, content_length: int | None, complete: bool) -> int | None:
    """The length by either of its two indicators (s4.1.3), which must agree; None when neither is there."""
    stated = _integer(headers, "upload-length")
    if content_length is None:
        return stated
    end = offset + content_length
    if end > MAX_NUMBER:
        raise UploadTooLarge(f"The upload would end at byte {end}, which is more than any file has.")
    if complete and stated not in {None, end}:
        raise InconsistentLength(f"Upload-Length is {stated}, but the upload would end at byte {end}.")
    return end if complete else stated


def _read_filename(disposition: str) -> str:
    """The file name of Content-Disposition (s4.2.1), whatever its type; "" when there is none that can be read."""
    try:
        text = disposition.encode("latin-1").decode("utf-8")  # bare UTF-8 is what `curl -H` makes of umlauts
    except UnicodeError:
        text = disposition
    try:
        return parse_disposition(text).filename or ""
    except MalformedForm as error:
        raise InvalidRequest("Content-Disposition has a quoted text without an end.") from error


def _read_checks(headers: Headers) -> Checks:
    return Checks(content=read_digests(headers.get("content-digest", ""), "Content-Digest"))


def _integer(headers: Headers, name: str) -> int | None:
    """A non-negative Integer; None for anything else, which is ignored."""
    value = read_item(headers.get(name, ""))
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _quoted(headers: Headers, name: str) -> str:
    return clip(headers[name]) if name in headers else "missing"


def state_headers(shown: Shown, now: int) -> dict[str, str]:
    """Of HEAD and GET (s4.3.2)."""
    headers = progress_headers(shown, now)
    if shown.length is not None:
        headers["upload-length"] = str(shown.length)
    return headers


def progress_headers(shown: Shown, now: int) -> dict[str, str]:
    """Of answers to POST and PATCH; of those with an outcome as well, which `Upload-Complete: ?1` marks (s4.1.2)."""
    return {
        "upload-complete": ser(shown.complete),
        "upload-offset": str(shown.offset),
        "upload-limit": limit(shown.max_bytes, max_age=shown.expires_at - now),
    }


def problem_headers(shown: Shown | None, now: int, *, max_bytes: int) -> dict[str, str]:
    """Of errors that are about the upload itself, not about the file that was uploaded (s4.1.2, s4.4.2)."""
    if shown is None:
        return {"upload-complete": "?0", "upload-limit": limit(max_bytes)}
    return {**progress_headers(shown, now), "upload-complete": "?0"}


def limit(max_bytes: int, *, max_age: int | None = None) -> str:
    """`Upload-Limit` (s4.1.4): sizes in bytes, `max_age` in seconds."""
    limits = {"min-size": 0, "max-size": min(max_bytes, MAX_INTEGER)}
    if max_age is not None:
        limits["max-age"] = min(max(0, max_age), MAX_INTEGER)
    return ser({key: (value, {}) for key, value in limits.items()})
