"""The OpenAPI schema, as clients get it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import Server

Schema = dict[str, Any]
METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options"})


@pytest.fixture(scope="session")
def schema(server: Server) -> Schema:
    with server.client(authorized=False) as client:
        answered: Schema = client.get("/schema/openapi.json").raise_for_status().json()
    return answered


def operations(schema: Schema) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each."""
    for path, item in schema["paths"].items():
        for method in item.keys() & METHODS:
            yield path, method, item[method]
