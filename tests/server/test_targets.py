"""Targets of requests are parsed once, and those that are made up do not fill the memory."""

from __future__ import annotations

import httptools
import pytest

from media_service.server.targets import KEPT_TARGET_BYTES, KEPT_TARGETS, known_targets, parsed


def test_a_target_is_its_path_as_meant_and_as_written_and_its_query() -> None:
    assert parsed(b"/a%20b/%C3%A4?x=%20&y") == ("/a b/ä", b"/a%20b/%C3%A4", b"x=%20&y")
    assert known_targets[b"/a%20b/%C3%A4?x=%20&y"] == ("/a b/ä", b"/a%20b/%C3%A4", b"x=%20&y")
    assert parsed(b"http://else.where/path") == ("/path", b"/path", b"")
    with pytest.raises(httptools.HttpParserInvalidURLError):
        parsed(b"what?")


def test_made_up_ones_do_not_fill_the_memory() -> None:
    for number in range(KEPT_TARGETS + 10):
        parsed(b"/%d" % number)
    parsed(long := b"/" + b"x" * KEPT_TARGET_BYTES)
    assert len(known_targets) <= KEPT_TARGETS
    assert long not in known_targets
