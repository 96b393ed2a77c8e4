"""Headers of upload requests for the tests: well-formed, nearly so, and not at all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from media_service.errors import MediaServiceError

SHA256 = hashlib.sha256(b"film").digest()


def encoded(text: str) -> str:
    """As `Upload-Metadata` has it."""
    return base64.b64encode(text.encode()).decode()


def refusal(
    read: Callable[[Mapping[str, str]], object], headers: Mapping[str, str]
) -> MediaServiceError | None:
    """What `read` makes of the headers, if that is an error of the table; others pass through."""
    try:
        read(headers)
    except MediaServiceError as error:
        return error
    return None


_ANY_TEXT = st.text(st.characters(codec=None), max_size=40)
_NUMBERS = st.integers(-1, 2**70).map(str) | st.sampled_from(["0", "5", "?1", "5;a=1", "5.0", "+5", ""])
_DIGESTS = st.sampled_from([f"sha-256=:{base64.b64encode(SHA256).decode()}:", "md5=:AA==:", "sha-256=:AA==:"])


def _headers(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Any choice of the fields, each with a value of its kind or with any text."""
    optional = {name.replace("_", "-"): values | _ANY_TEXT for name, values in fields.items()}
    return st.fixed_dictionaries({}, optional=optional)


TUS_HEADERS = _headers(
    tus_resumable=st.sampled_from(["1.0.0", "0.2.2"]),
    content_type=st.just("application/offset+octet-stream"),
    content_length=_NUMBERS,
    transfer_encoding=st.just("chunked"),
    upload_offset=_NUMBERS,
    upload_length=_NUMBERS,
    upload_defer_length=st.just("1"),
    upload_metadata=st.binary(max_size=20).map(lambda data: "filename " + base64.b64encode(data).decode()),
    upload_concat=st.sampled_from(["partial", "final;/api/v1/uploads/a uploads/b"]),
    upload_checksum=st.sampled_from(["crc32 AAAAAA==", "sha1 AAAA", "md5 AAAA"]),
    content_digest=_DIGESTS,
    repr_digest=_DIGESTS,
    prefer=st.just("handling=strict"),
)

IETF_HEADERS = _headers(
    upload_complete=st.sampled_from(["?0", "?1", "?1;a", "true"]),
    content_type=st.sampled_from(["application/partial-upload", "video/mp4", "multipart/form-data"]),
    content_length=_NUMBERS,
    transfer_encoding=st.just("chunked"),
    content_encoding=st.sampled_from(["gzip", "identity"]),
    content_disposition=st.sampled_from(["inline; filename=a.mp4", 'inline; filename="a', "attachment"]),
    upload_offset=_NUMBERS,
    upload_length=_NUMBERS,
    upload_draft_interop_version=st.sampled_from(["8", "3"]),
    content_digest=_DIGESTS,
    repr_digest=_DIGESTS,
    prefer=st.just("handling=strict"),
)
