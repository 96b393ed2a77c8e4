"""Integrity digests (RFC 9530) and the key of a repeated request (Idempotency-Key): what a request says of itself."""

from __future__ import annotations

import base64
from binascii import unhexlify

from media_service.errors import InvalidRequest
from media_service.wire.structured import read_dictionary, read_item
from media_service.wire.upload_requests import Digests, Headers, clip

MAX_KEY_CHARS = 255

# RFC 9530 s5: those that are active; "md5", "sha", "unixsum" and the like prove nothing and are ignored.
_ALGORITHMS = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}


def read_digests(value: str, header: str) -> Digests:
    """The digests of `Content-Digest` or `Repr-Digest` (s2, s3) that we can check, by the names of hashlib.

    `header` is the field's name, for the sentence. Unknown algorithms are ignored (s2: a recipient may ignore any).
    Raises InvalidRequest.
    """
    members = read_dictionary(value)
    if members is None:
        raise InvalidRequest(f"{header} is {clip(value)}, which is not of the form sha-256=:...:.")
    digests = []
    for key, digest in members.items():
        name, size = _ALGORITHMS.get(key, ("", 0))
        if not name:
            continue
        if not isinstance(digest, bytes) or len(digest) != size:
            raise InvalidRequest(f"{header} has a {key} that is not {size} bytes in base64 between colons.")
        digests.append((name, digest))
    return tuple(digests)


def read_file_digests(headers: Headers) -> Digests:
    """The digests of a whole file that is the body of one request: its content and its representation are the same.

    Raises InvalidRequest.
    """
    return tuple(
        digest
        for name in ("Content-Digest", "Repr-Digest")
        for digest in read_digests(headers.get(name.lower(), ""), name)
    )


def repr_digest(sha256_hex: str) -> str:
    """`Repr-Digest` of a file with this SHA-256."""
    return f"sha-256=:{base64.b64encode(unhexlify(sha256_hex)).decode()}:"


def read_idempotency_key(headers: Headers) -> str | None:
    """`Idempotency-Key`: 1 to 255 visible ASCII characters, bare or as a quoted string; None when there is none.

    The draft (draft-ietf-httpapi-idempotency-key-header) has a quoted string, most clients send the bare key; both
    forms of one key are the same key. Raises InvalidRequest.
    """
    value = headers.get("idempotency-key")
    if value is None:
        return None
    key = read_item(value) if value.startswith('"') else value
    if (
        not isinstance(key, str)
        or not 1 <= len(key) <= MAX_KEY_CHARS
        or not all("!" <= char <= "~" for char in key)
    ):
        raise InvalidRequest(
            f"Idempotency-Key is {clip(value)}; it takes 1 to {MAX_KEY_CHARS} visible ASCII characters."
        )
    return key
