"""What the workplace lends to the tests: real media, range vectors, runners. Never copied into the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def shared_file(name: str) -> Path:
    """The file `name` below ../shared; skips the test with that reason when it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is absent")
    return path


def corpus(expected: str | None = None) -> list[dict[str, Any]]:
    """The entries of the media corpus (those marked `expected`, if given); empty when the corpus is absent."""
    index = SHARED / "corpus" / "index.json"
    if not index.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(index.read_text())
    return [entry for entry in entries if expected is None or entry["expected"] == expected]
