"""OPTIONS names all methods of an address, whichever handlers they have."""

from __future__ import annotations

import re

import pytest

from tests.support.schema import Schema, schema
from tests.support.server import Server

__all__ = ["schema"]


def test_each_documented_method_is_allowed(server: Server, schema: Schema) -> None:
    with server.client(authorized=False) as client:
        for path, item in schema["paths"].items():
            answer = client.options(re.sub(r"\{\w+\}", "x", path))
            assert answer.status_code == 204, path
            allowed = set(answer.headers["allow"].split(", "))
            assert {method.upper() for method in item} | {"OPTIONS"} <= allowed, path


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/assets", "GET, HEAD, OPTIONS, POST, PUT"),
        ("/api/v1/assets/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/api/v1/keys", "GET, HEAD, OPTIONS, POST"),
        ("/admin/session", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/admin", "GET, HEAD, OPTIONS"),
    ],
)
def test_handlers_that_share_an_address_are_told_together(server: Server, path: str, methods: str) -> None:
    with server.client(authorized=False) as client:
        assert client.options(path).headers["allow"] == methods
        refused = client.request("TRACE", path)
        assert refused.status_code == 405
