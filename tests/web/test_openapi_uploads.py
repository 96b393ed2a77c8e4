"""The schema on uploads: the headers of both protocols, of repetition and of digests, and what answers say."""

from __future__ import annotations

from typing import Any

import pytest

from media_service.wire import tus
from tests.support.schema import Schema, schema

__all__ = ["schema"]

ASSETS = "/api/v1/assets"
UPLOADS = "/api/v1/uploads"
ONE = f"{UPLOADS}/{{upload_id}}"
EITHER = {
    "Tus-Resumable",
    "Upload-Complete",
    "Upload-Length",
    "Content-Digest",
    "Repr-Digest",
    "Upload-Checksum",
}


def headers(operation: dict[str, Any]) -> set[str]:
    """The request's."""
    return {one["name"] for one in operation.get("parameters", []) if one["in"] == "header"}


def answered(operation: dict[str, Any], status: int) -> set[str]:
    """The headers of an answer."""
    return set(operation["responses"][str(status)]["headers"])


def test_uploads_have_their_own_chapter(schema: Schema) -> None:
    assert {"post", "options"} == schema["paths"][UPLOADS].keys()
    assert {"get", "head", "patch", "delete", "post", "options"} == schema["paths"][ONE].keys()
    for path in (UPLOADS, ONE):
        assert all(operation["tags"] == ["uploads"] for operation in schema["paths"][path].values())


@pytest.mark.parametrize("method", ["post", "put"])
def test_an_upload_in_one_piece_may_have_a_key_and_is_answered_with_a_digest(
    schema: Schema, method: str
) -> None:
    operation = schema["paths"][ASSETS][method]
    assert "Idempotency-Key" in headers(operation)
    assert answered(operation, 201) == {"Location", "Repr-Digest"}
    # A form's digest would be the form's, not the film's.
    assert ({"Content-Digest", "Repr-Digest"} <= headers(operation)) == (method == "put")


def test_a_creation_has_the_headers_of_both_protocols(schema: Schema) -> None:
    operation = schema["paths"][UPLOADS]["post"]
    own = {
        "Upload-Defer-Length",
        "Upload-Metadata",
        "Upload-Concat",
        "Content-Disposition",
        "Idempotency-Key",
    }
    assert headers(operation) >= EITHER | own
    assert not operation["requestBody"]["required"]
    assert answered(operation, 201) >= {
        "Location",
        "Upload-Offset",
        "Upload-Asset",
        "Upload-Error",
        "Repr-Digest",
    }


def test_an_append_has_the_headers_and_media_types_of_both_protocols(schema: Schema) -> None:
    operation = schema["paths"][ONE]["patch"]
    assert headers(operation) >= EITHER | {"Upload-Offset"}
    assert operation["requestBody"]["content"].keys() == {tus.CONTENT_TYPE, "application/partial-upload"}
    assert {"201", "204"} <= operation["responses"].keys()


@pytest.mark.parametrize("method", ["get", "head"])
def test_the_state_is_told_as_json_and_as_headers(schema: Schema, method: str) -> None:
    operation = schema["paths"][ONE][method]
    content = operation["responses"]["200"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/UploadJson"}
    for status in (200, 204):
        assert answered(operation, status) >= {
            "Upload-Offset",
            "Upload-Length",
            "Upload-Asset",
            "Repr-Digest",
        }


def test_every_header_is_explained(schema: Schema) -> None:
    for path in (ASSETS, UPLOADS, ONE):
        for operation in schema["paths"][path].values():
            for one in operation.get("parameters", []):
                assert one["in"] != "header" or one["description"], one["name"]
            for answer in operation["responses"].values():
                for name, header in answer.get("headers", {}).items():
                    assert header["description"], name
