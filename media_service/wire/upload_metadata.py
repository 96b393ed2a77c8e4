"""`Upload-Metadata` and `Upload-Concat` of tus: text that clients chose, bounded and checked before anything uses it."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Literal

from media_service.errors import InvalidRequest
from media_service.wire.upload_requests import clip

MAX_METADATA_CHARS = 8192
MAX_CONCAT_CHARS = 65536
MAX_PARTS = 1000
UPLOADS_PATH = "/api/v1/uploads"

_ID_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_MAX_ID_CHARS = 64


def read_metadata(value: str) -> dict[str, bytes]:
    """The pairs of `Upload-Metadata` (tus, Creation): keys of printable ASCII, each once; values decoded from base64.

    An empty header means no pairs: some clients send one. Raises InvalidRequest.
    """
    if len(value) > MAX_METADATA_CHARS:
        raise InvalidRequest(f"Upload-Metadata is longer than {MAX_METADATA_CHARS} bytes.")
    pairs: dict[str, bytes] = {}
    for pair in value.split(",") if value.strip(" ") else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        if not key or not all("!" <= char <= "~" for char in key):
            raise InvalidRequest(f"Upload-Metadata has the pair {clip(pair)}; a key is printable ASCII.")
        if key in pairs:
            raise InvalidRequest(f"Upload-Metadata has the key {clip(key)} twice.")
        try:
            pairs[key] = a2b_base64(encoded, strict_mode=True)
        except ValueError as error:  # binascii.Error, or characters beyond ASCII
            raise InvalidRequest(f"Upload-Metadata has a {clip(key)} that is not base64.") from error
    return pairs


def metadata_of(visibility: str | None) -> str:
    """`Upload-Metadata` that says nothing but who may play the film: what an upload remembers that came without any."""
    return (
        "" if visibility is None else f"visibility {b2a_base64(visibility.encode(), newline=False).decode()}"
    )


def visibility_of(metadata: str) -> Literal["public", "signed"] | None:
    """Who may play the film, by an `Upload-Metadata` that was looked at when it came; None: as the settings say."""
    match read_metadata(metadata).get("visibility"):
        case b"public":
            return "public"
        case b"signed":
            return "signed"
    return None


def read_concat(value: str | None) -> tuple[Literal["", "partial", "final"], tuple[str, ...]]:
    """`Upload-Concat` (tus, Concatenation): what the upload is, and of which uploads a final one is put together.

    Ids are those of URLs below `UPLOADS_PATH`; absolute ones may name any host, because a proxy's is not known here.
    Raises InvalidRequest.
    """
    if value is None:
        return "", ()
    if value == "partial":
        return "partial", ()
    kind, _, urls = value.partition(";")
    if kind != "final" or len(value) > MAX_CONCAT_CHARS:
        raise InvalidRequest(f'Upload-Concat is {clip(value)}, not "partial" or "final;" and a list of URLs.')
    parts = tuple(_upload_id(url) for url in urls.split(" ") if url)
    if not 1 <= len(parts) <= MAX_PARTS:
        raise InvalidRequest(f"Upload-Concat names {len(parts)} uploads; it takes 1 to {MAX_PARTS}.")
    return "final", parts


def _upload_id(url: str) -> str:
    parent, _, upload_id = url.partition("#")[0].partition("?")[0].rpartition("/")
    # "uploads/ID" is what is relative to the address of the request (RFC 3986 s5.2).
    below = parent == UPLOADS_PATH.rpartition("/")[2] or parent.endswith(UPLOADS_PATH)
    if not below or not 1 <= len(upload_id) <= _MAX_ID_CHARS or not _ID_CHARS.issuperset(upload_id):
        raise InvalidRequest(f"Upload-Concat names {clip(url)}, which is not the address of an upload here.")
    if not all("!" <= char <= "~" for char in url):
        raise InvalidRequest(f"Upload-Concat names {clip(url)}, which is not a URL.")
    return upload_id
