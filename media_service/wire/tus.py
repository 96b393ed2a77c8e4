"""tus 1.0.0 (tus.io/protocols/resumable-upload): request headers read, answers' headers made.

Extensions: creation, creation-with-upload, creation-defer-length, termination, checksum, expiration, concatenation.
"""

from __future__ import annotations

from binascii import a2b_base64

from media_service.errors import (
    BeyondLength,
    ChecksumUnsupported,
    FinalUpload,
    InvalidRequest,
    TusVersionUnsupported,
    UnsupportedBody,
    UploadTooLarge,
)
from media_service.wire.digests import read_digests
from media_service.wire.disposition import clean_filename
from media_service.wire.preconditions import build_date
from media_service.wire.upload_metadata import read_concat, read_metadata
from media_service.wire.upload_requests import (
    Append,
    Checks,
    Creation,
    Headers,
    Shown,
    clip,
    media_type,
    read_content_length,
    read_number,
    refuse_coded,
    wants_strictness,
)

VERSION = "1.0.0"
EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration,concatenation"
)
CONTENT_TYPE = "application/offset+octet-stream"
CHECKSUM_BYTES = {"sha1": 20, "sha256": 32, "crc32": 4}
"""Algorithms of `Upload-Checksum`, and the size of what they make."""


def check_version(headers: Headers) -> None:
    """Raises TusVersionUnsupported unless the client speaks our version (Core, Tus-Resumable)."""
    version = headers.get("tus-resumable")
    if version is None:
        raise TusVersionUnsupported(f"Tus-Resumable is missing; {VERSION} is spoken here.")
    if version != VERSION:
        raise TusVersionUnsupported(f"Tus-Resumable is {clip(version)}; {VERSION} is spoken here.")


def read_creation(headers: Headers) -> Creation:
    """A POST on the collection (Creation, Creation With Upload, Concatenation).

    Raises InvalidRequest, UploadTooLarge, BeyondLength, UnsupportedBody, FinalUpload, ChecksumUnsupported.
    """
    metadata = headers.get("upload-metadata", "")
    pairs = read_metadata(metadata)
    concat_header = headers.get("upload-concat")
    concat, parts = read_concat(concat_header)
    content_length = read_content_length(headers)
    has_content = content_length != 0
    if concat == "final":
        _refuse_length(headers)
        if has_content:
            raise FinalUpload("The upload is put together from others and takes no bytes itself.")
    length = None if concat == "final" else _read_length(headers)
    if has_content:
        _check_type(headers)
    if length is not None and content_length is not None and content_length > length:
        raise BeyondLength(f"The body has {content_length} bytes, Upload-Length is {length}.")
    title, visibility = pairs.get("title"), pairs.get("visibility")
    return Creation(
        dialect="tus",
        length=length,
        deferred=length is None and concat != "final",
        has_content=has_content,
        filename=clean_filename(_text(pairs.get("filename") or pairs.get("name") or b"")),
        title=None if title is None else _text(title),
        visibility=None if visibility is None else _text(visibility),
        metadata=metadata,
        concat=concat,
        parts=parts,
        concat_header=concat_header or "",
        repr_digests=read_digests(headers.get("repr-digest", ""), "Repr-Digest"),
        checks=_read_checks(headers),
        strict=wants_strictness(headers),
    )


def read_append(headers: Headers) -> Append:
    """A PATCH on an upload (Core, PATCH). Raises InvalidRequest, UploadTooLarge, UnsupportedBody, ChecksumUnsupported."""
    _check_type(headers)
    if "upload-offset" not in headers:
        raise InvalidRequest("Upload-Offset is missing; it says where the body begins.")
    return Append(
        dialect="tus",
        offset=read_number(headers["upload-offset"], "Upload-Offset", too_large=InvalidRequest),
        length=(
            read_number(headers["upload-length"], "Upload-Length", too_large=UploadTooLarge)
            if "upload-length" in headers
            else None
        ),
        content_length=read_content_length(headers),
        repr_digests=read_digests(headers.get("repr-digest", ""), "Repr-Digest"),
        checks=_read_checks(headers),
        strict=wants_strictness(headers),
    )


def _read_length(headers: Headers) -> int | None:
    """Upload-Length; None when it is deferred. One of both must be there, and not both."""
    text, deferred = headers.get("upload-length"), headers.get("upload-defer-length")
    if deferred is not None and deferred != "1":
        raise InvalidRequest(f"Upload-Defer-Length is {clip(deferred)}; it can only be 1.")
    if (text is None) == (deferred is None):
        both = "are both there" if text is not None else "are both missing"
        raise InvalidRequest(f"Upload-Length and Upload-Defer-Length {both}; an upload has one of them.")
    return None if text is None else read_number(text, "Upload-Length", too_large=UploadTooLarge)


def _refuse_length(headers: Headers) -> None:
    if "upload-length" in headers or "upload-defer-length" in headers:
        raise InvalidRequest("The length of a final upload is the sum of its parts; send no Upload-Length.")


def _check_type(headers: Headers) -> None:
    kind = media_type(headers)
    if kind != CONTENT_TYPE:
        raise UnsupportedBody(f"Content-Type is {clip(kind)}; tus sends bytes as {CONTENT_TYPE}.")
    refuse_coded(headers)


def _read_checks(headers: Headers) -> Checks:
    """Upload-Checksum (Checksum), and Content-Digest, which any HTTP message may have."""
    content = read_digests(headers.get("content-digest", ""), "Content-Digest")
    value = headers.get("upload-checksum")
    if value is None:
        return Checks(content=content)
    name, _, encoded = value.partition(" ")
    if name not in CHECKSUM_BYTES:
        raise ChecksumUnsupported(
            f"Upload-Checksum names {clip(name)}; known are {', '.join(CHECKSUM_BYTES)}."
        )
    try:
        digest = a2b_base64(encoded, strict_mode=True)
    except ValueError as error:  # binascii.Error, or characters beyond ASCII
        raise InvalidRequest(f"Upload-Checksum is {clip(value)}, whose digest is not base64.") from error
    if len(digest) != CHECKSUM_BYTES[name]:
        raise InvalidRequest(f"Upload-Checksum has {len(digest)} bytes; {name} has {CHECKSUM_BYTES[name]}.")
    return Checks(content=((name, digest), *content), tus_checksum=True)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def state_headers(shown: Shown) -> dict[str, str]:
    """Of HEAD and GET. A final upload has no offset until it is put together (Concatenation)."""
    headers = {"tus-resumable": VERSION}
    final = shown.concat_header.startswith("final")
    if not final or shown.offset == shown.length:
        headers["upload-offset"] = str(shown.offset)
    if shown.length is not None:
        headers["upload-length"] = str(shown.length)
    elif not final:
        headers["upload-defer-length"] = "1"
    if shown.metadata:
        headers["upload-metadata"] = shown.metadata
    if shown.concat_header:
        headers["upload-concat"] = shown.concat_header
    return {**headers, "upload-expires": build_date(shown.expires_at)}


def progress_headers(shown: Shown) -> dict[str, str]:
    """Of answers to POST and PATCH (Core, PATCH; Creation With Upload; Expiration)."""
    return {
        "tus-resumable": VERSION,
        "upload-offset": str(shown.offset),
        "upload-expires": build_date(shown.expires_at),
    }


def problem_headers() -> dict[str, str]:
    """Of errors. Tus-Version must stand with 412 and does no harm elsewhere (Core, Tus-Resumable)."""
    return {"tus-resumable": VERSION, "tus-version": VERSION}


def options_headers(max_bytes: int) -> dict[str, str]:
    """Of answers to OPTIONS (Core, OPTIONS; Checksum)."""
    return {
        "tus-resumable": VERSION,
        "tus-version": VERSION,
        "tus-extension": EXTENSIONS,
        "tus-max-size": str(max_bytes),
        "tus-checksum-algorithm": ",".join(CHECKSUM_BYTES),
    }
