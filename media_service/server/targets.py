"""Targets of requests, parsed once: a player asks for ranges of one again and again."""

from __future__ import annotations

from urllib.parse import unquote

import httptools

# Bounded, as anybody can make them up.
KEPT_TARGETS = 512
KEPT_TARGET_BYTES = 1024
Target = tuple[str, bytes, bytes]  # its path, that as it was written, and its query

known_targets: dict[bytes, Target] = {}  # those that were parsed before


def parsed(url: bytes) -> Target:
    """Parse a target that is not known. Raises UnicodeDecodeError, HttpParserInvalidURLError."""
    parts = httptools.parse_url(url)
    path = parts.path.decode("ascii")
    found = unquote(path) if "%" in path else path, parts.path, parts.query or b""
    if len(url) <= KEPT_TARGET_BYTES:
        if len(known_targets) >= KEPT_TARGETS:
            known_targets.clear()
        known_targets[url] = found
    return found
