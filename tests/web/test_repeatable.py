"""Which heads are worth keeping, by what they say alone."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar

from media_service.web.shortcut import MOST_CONDITIONS, Shortcut


@pytest.fixture
def short() -> Shortcut:
    made = Shortcut(Litestar([], openapi_config=None, logging_config=None))
    opened: Any = object()
    made._opened = opened
    return made


def is_kept(short: Shortcut, *headers: tuple[bytes, bytes], path: str = "/media/a") -> bool:
    scope: Any = {
        "headers": [(b"host", b"h"), *headers],
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
    }
    return short.repeatable(scope, b"bytes=0-1") is not None


RANGE = b"range", b"bytes=0-1"


def test_a_head_with_that_one_range_is_kept(short: Shortcut) -> None:
    assert is_kept(short, RANGE)
    assert not is_kept(short)
    assert not is_kept(short, (b"range", b"bytes=0-2"))
    assert not is_kept(short, RANGE, RANGE)
    assert not is_kept(short, RANGE, (b"range", b"bytes=5-6"))
    assert not is_kept(short, RANGE, path="/api/v1/assets")


@pytest.mark.parametrize("name", [b"if-range", b"if-none-match", b"if-"])
def test_a_head_of_more_conditions_than_there_are_is_not(short: Shortcut, name: bytes) -> None:
    for number in range(MOST_CONDITIONS + 3):
        assert is_kept(short, *[(name, b"x")] * number, RANGE) is (number <= MOST_CONDITIONS)
