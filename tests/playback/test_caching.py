"""What caches are told of things whose address names their version."""

from __future__ import annotations

import pytest

from media_service.playback.caching import IMMUTABLE, REVALIDATE, Headers, replaceable


@pytest.mark.parametrize(
    ("there", "version", "headers"),
    [
        ("b", "b", IMMUTABLE),
        ("b", "a", REVALIDATE),
        ("b", None, REVALIDATE),
        (None, "a", REVALIDATE),
        (None, None, REVALIDATE),
    ],
)
def test_only_what_is_named_by_its_own_version_is_kept_without_asking(
    there: str | None, version: str | None, headers: Headers
) -> None:
    assert replaceable(there, version) == headers
