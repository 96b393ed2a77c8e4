"""What requests for resumable uploads ask, and what answers tell of an upload: the words that both dialects share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from media_service.errors import InvalidRequest, UnsupportedBody, UploadTooLarge

Headers = Mapping[str, str]
"""Request fields: lower-case name -> value; the lines of a repeated field joined by commas."""

Dialect = Literal["tus", "ietf"]
"""tus 1.0.0, or draft-ietf-httpbis-resumable-upload-12 (interop version 8)."""

Digests = tuple[tuple[str, bytes], ...]
"""Pairs of algorithm ("sha1", "sha256", "sha512", "crc32") and wanted digest."""

MAX_DIGITS = 19
MAX_NUMBER = 2**63 - 1  # what the catalog's integers hold; 19 digits as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the bytes of this very body must be. `tus_checksum`: a mismatch is 460 (tus), not 400 (RFC 9530)."""

    content: Digests = ()
    tus_checksum: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A wish for a new upload. Sizes are bytes."""

    dialect: Dialect
    length: int | None = None
    deferred: bool = False
    """tus: the length comes later, on purpose."""
    complete: bool | None = None
    """IETF: whether this body is all there is; tus: None, because there the length decides."""
    has_content: bool = False
    """Whether the body holds bytes of the file."""
    filename: str = ""
    """Cleaned; "" when there is none."""
    title: str | None = None
    visibility: str | None = None
    """Who may play the film, as it was said: nobody has looked at it."""
    metadata: str = ""
    """`Upload-Metadata` as it came: printable ASCII."""
    concat: Literal["", "partial", "final"] = ""
    parts: tuple[str, ...] = ()
    """Ids of the uploads that a final one is put together from, in their order."""
    concat_header: str = ""
    """`Upload-Concat` as it came: printable ASCII."""
    repr_digests: Digests = ()
    """Of the whole file."""
    checks: Checks = Checks()
    strict: bool = False
    """A file that cannot be used is to be a 4xx, also where the dialect knows none (`Prefer: handling=strict`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """A wish to append a body at `offset`. Sizes are bytes."""

    dialect: Dialect
    offset: int
    complete: bool | None = None
    """IETF: whether the upload ends with this body; tus: None."""
    length: int | None = None
    """Of the whole upload, where the request says or implies it."""
    content_length: int | None = None
    """Of the body; None when only its end will tell."""
    repr_digests: Digests = ()
    checks: Checks = Checks()
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What answers tell of an upload. Sizes are bytes, `expires_at` is Unix seconds."""

    dialect: Dialect
    offset: int
    length: int | None
    complete: bool
    """Whether there is an outcome: an asset, or a refusal of the file."""
    expires_at: int
    max_bytes: int
    concat_header: str = ""
    metadata: str = ""


def read_number(text: str, header: str, *, too_large: type[InvalidRequest | UploadTooLarge]) -> int:
    """Digits as a number; nothing else that int() takes ("+5", "1_000", Arabic digits).

    Raises InvalidRequest; `too_large` beyond 2**63-1.
    """
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest(f"{header} is {clip(text)}, which is not a number of bytes.")
    if len(text) > MAX_DIGITS or int(text) > MAX_NUMBER:
        raise too_large(f"{header} is {clip(text)}, which is more than any file has.")
    return int(text)


def read_content_length(headers: Headers) -> int | None:
    """Bytes of the body; None when it is sent without saying. Raises InvalidRequest, UploadTooLarge.

    A request with neither header has no body (RFC 9112 s6.3).
    """
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length")
    return 0 if text is None else read_number(text, "Content-Length", too_large=UploadTooLarge)


def media_type(headers: Headers) -> str:
    """`Content-Type` without parameters, in lower case; "" when there is none."""
    return headers.get("content-type", "").partition(";")[0].strip(" \t").lower()


def refuse_coded(headers: Headers) -> None:
    """Raises UnsupportedBody for a compressed body: what arrives is the film itself (RFC 9110 s15.5.16)."""
    coding = headers.get("content-encoding", "").strip(" \t").lower()
    if coding not in {"", "identity"}:
        raise UnsupportedBody(f"Content-Encoding is {clip(coding)}; films are sent as they are.")


def wants_strictness(headers: Headers) -> bool:
    """Whether `Prefer` says `handling=strict` (RFC 7240 s4.4); the first of several counts."""
    for preference in headers.get("prefer", "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip(" \t").lower() == "handling":
            return value.strip(' \t"').lower() == "strict"
    return False


def clip(text: str) -> str:
    """A piece of a request, as a sentence of an error quotes it: in quotes, and never long."""
    return ascii(text if len(text) <= 64 else f"{text[:64]}...")
