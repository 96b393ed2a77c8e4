"""The schema: whole in itself, with a word on every route and no name twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from media_service.web.openapi import openapi_config
from tests.support.schema import Schema, operations, schema

__all__ = ["schema"]


def values(tree: Any, name: str) -> Iterator[Any]:
    """What is called `name`, anywhere in the schema."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(tree, list):
        for item in tree:
            yield from values(item, name)


def test_every_reference_leads_somewhere(schema: Schema) -> None:
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    referred = set(values(schema, "$ref"))
    assert referred
    assert referred <= known
    assert "#/components/schemas/AssetJson" in referred


def test_every_operation_has_its_own_name_a_sentence_and_a_tag_that_is_explained(schema: Schema) -> None:
    explained = {tag.name for tag in openapi_config().tags or []}
    for _, _, operation in operations(schema):
        assert operation["description"]
        assert operation["tags"]
        assert set(operation["tags"]) <= explained
    names = Counter(operation["operationId"] for _, _, operation in operations(schema))
    assert names.most_common(1)[0][1] == 1


def test_every_operation_tells_of_errors_and_none_is_described_in_empty_words(schema: Schema) -> None:
    for _, _, operation in operations(schema):
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        for answer in operation["responses"].values():
            assert answer["description"]


def test_no_header_is_documented_twice(schema: Schema) -> None:
    for _, _, operation in operations(schema):
        names = Counter((one["in"], one["name"].lower()) for one in operation.get("parameters", []))
        assert not names or names.most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("path", "public"), [("/api/", False), ("/media/", True), ("/livez", True), ("/readyz", True)]
)
def test_it_says_what_needs_a_key(schema: Schema, path: str, public: bool) -> None:
    found = [(method, each) for at, method, each in operations(schema) if at.startswith(path)]
    assert found
    for method, operation in found:
        # OPTIONS tells nothing of anybody; browsers ask it without credentials.
        assert (operation.get("security") == [{}]) == (public or method == "options")
