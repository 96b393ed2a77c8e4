"""What the OpenAPI schema says of uploads: their bodies, and the headers that say what of a file a body is.

Resumable uploads have the headers of two protocols, tus 1.0.0 and the IETF draft; docs/uploads.md tells their stories.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from litestar.openapi.spec import (
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Parameter,
    Reference,
    RequestBody,
    Schema,
)

from media_service.web.openapi import BINARY, TEXT, ApiOperation, PublicOperation

# Request headers -> what they say.
_KEY = {
    "Idempotency-Key": "Names this very upload, 1 to 255 visible ASCII characters: who repeats it gets the same asset",
}
# What one word may be; of the others docs/uploads.md tells more than a schema could.
_FORMS = {
    "Idempotency-Key": Schema(type=OpenAPIType.STRING, min_length=1, max_length=255, pattern="^[!-~]+$"),
}
_DIGESTS = {
    "Content-Digest": "`sha-256` or `sha-512` of the body (RFC 9530); other bytes are not taken",
    "Repr-Digest": "`sha-256` or `sha-512` of the whole file (RFC 9530); another file is not kept",
}
_OF_RESUMABLE = {
    "Tus-Resumable": "tus: `1.0.0`",
    "Upload-Complete": "IETF draft: `?1` if the file ends with this body, `?0` if more of it follows",
    "Upload-Length": "Both: bytes of the whole file",
    "Upload-Checksum": "tus: `sha1`, `sha256` or `crc32`, and that digest of the body in base64",
    "Prefer": "tus: `handling=strict` wants a problem, not `Upload-Error`, for a file that cannot be used (RFC 7240)",
    **_DIGESTS,
}
_OF_CREATION = {
    **_OF_RESUMABLE,
    "Upload-Defer-Length": "tus: `1` if the length comes later",
    "Upload-Metadata": "tus: `filename`, `title` and `visibility` (`public` or `signed`), in base64",
    "Upload-Concat": "tus: `partial`, or `final;` and the addresses of the partial uploads",
    "Content-Disposition": "IETF draft: the file's name",
    **_KEY,
}
_OF_APPEND = {**_OF_RESUMABLE, "Upload-Offset": "Both: where the body begins, in bytes"}
_OF_OTHERS = {"Tus-Resumable": _OF_RESUMABLE["Tus-Resumable"]}

# Answers' headers -> what they say.
_PLACE = {"Location": "The asset's address"}
_DIGEST = {"Repr-Digest": "`sha-256` of the whole file, as it is kept"}
_PROGRESS = {
    "Upload-Offset": "Bytes that are here and durable",
    "Upload-Complete": "IETF draft: `?1` if the answer is what became of the upload",
    "Upload-Limit": "IETF draft: sizes in bytes, and seconds until the upload expires",
    "Upload-Expires": "tus: when the upload expires",
    "Tus-Resumable": "tus: `1.0.0`",
}
_OUTCOME = {
    "Upload-Asset": "The address of the asset that was made of it",
    "Upload-Error": "The code of what is wrong with the file (docs/errors.md)",
    **_DIGEST,
}
_ABILITIES = {
    "Allow": "The methods of this address",
    "Tus-Version": "tus: `1.0.0`",
    "Tus-Extension": "tus: what is spoken beyond the core",
    "Tus-Max-Size": "tus: the most bytes that a file may have",
    "Tus-Checksum-Algorithm": "tus: those of `Upload-Checksum`",
    "Upload-Limit": "IETF draft: the least and the most bytes, and seconds that an upload is kept",
}

_TUS_TYPE = "application/offset+octet-stream"
_IETF_TYPE = "application/partial-upload"


@dataclass
class FormOperation(ApiOperation):
    """An upload as multipart/form-data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        form = Schema(
            type=OpenAPIType.OBJECT,
            required=["file"],
            properties={"file": BINARY, "title": TEXT, "visibility": TEXT},
        )
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True
        )
        _take(self, _KEY)
        _answer(
            self, 201, "The asset; also one that this key or these bytes have made before", _PLACE | _DIGEST
        )


@dataclass
class RawOperation(ApiOperation):
    """An upload as the bare file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.request_body = _bytes_of("application/octet-stream", required=True)
        _take(self, _KEY | _DIGESTS)
        _answer(
            self, 201, "The asset; also one that this key or these bytes have made before", _PLACE | _DIGEST
        )


@dataclass
class CreationOperation(ApiOperation):
    """The beginning of a resumable upload."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.request_body = _bytes_of(_TUS_TYPE, "application/octet-stream", required=False)
        _take(self, _OF_CREATION)
        place = {"Location": "The upload's address; IETF draft: the asset's, once it is there"}
        _answer(
            self, 201, "The upload, or, by the IETF draft, the asset", place | _PROGRESS | _OUTCOME, _asset()
        )


@dataclass
class AppendOperation(ApiOperation):
    """The next bytes of a resumable upload."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.request_body = _bytes_of(_TUS_TYPE, _IETF_TYPE, required=True)
        _take(self, _OF_APPEND)
        _answer(
            self, 201, "IETF draft: the asset, after the last byte", _PLACE | _PROGRESS | _OUTCOME, _asset()
        )
        _answer(
            self, 204, "The bytes are durable; tus: after the last one with the outcome", _PROGRESS | _OUTCOME
        )


@dataclass
class OverriddenOperation(AppendOperation):
    """Any of an upload's other operations, for those who can send nothing but POST."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.request_body = _bytes_of(_TUS_TYPE, _IETF_TYPE, required=False)
        _take(self, {"X-HTTP-Method-Override": "tus: the method that is meant, `PATCH`, `HEAD` or `DELETE`"})


@dataclass
class StateOperation(ApiOperation):
    """Where a resumable upload is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _take(self, _OF_OTHERS)
        length = {"Upload-Length": _OF_RESUMABLE["Upload-Length"]}
        _answer(self, 200, "To those that speak no protocol of uploads", _PROGRESS | length | _OUTCOME)
        _answer(self, 204, "To those that speak one", _PROGRESS | length | _OUTCOME)


@dataclass
class CancelOperation(ApiOperation):
    """The end of a resumable upload that nobody wants any more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _take(self, _OF_OTHERS)
        _answer(self, 204, "It is gone", {})


@dataclass
class AbilitiesOperation(PublicOperation):
    """What is spoken at an address of uploads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _answer(self, 204, "What is possible here", _ABILITIES)


def _take(operation: ApiOperation, headers: dict[str, str]) -> None:
    """Document request headers."""
    operation.parameters = [
        *(operation.parameters or []),
        *(
            Parameter(
                name=name,
                param_in="header",
                schema=_FORMS.get(name, TEXT),
                required=False,
                description=words,
            )
            for name, words in sorted(headers.items())
        ),
    ]


def _answer(
    operation: ApiOperation,
    status: int,
    description: str,
    headers: dict[str, str],
    content: dict[str, OpenAPIMediaType] | None = None,
) -> None:
    """Document an answer; without `content` its body is the one that the handler's signature tells, if any."""
    assert operation.responses is not None
    told = operation.responses.get(str(status))
    if content is None and status != 204 and isinstance(told, OpenAPIResponse):
        content = told.content
    operation.responses[str(status)] = OpenAPIResponse(
        description=description,
        headers={name: OpenAPIHeader(schema=TEXT, description=words) for name, words in headers.items()},
        content=content,
    )


def _bytes_of(*media_types: str, required: bool) -> RequestBody:
    return RequestBody(content=_all_of(media_types, BINARY), required=required)


def _asset() -> dict[str, OpenAPIMediaType]:
    return _all_of(["application/json"], Reference(ref="#/components/schemas/AssetJson"))


def _all_of(media_types: Iterable[str], schema: Schema | Reference) -> dict[str, OpenAPIMediaType]:
    return {media_type: OpenAPIMediaType(schema=schema) for media_type in media_types}
