"""What doctors find, as values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Level = Literal["ok", "note", "BAD"]


class Finding(msgspec.Struct, frozen=True):
    """One thing found. "note" is worth knowing; "BAD" must be put right, and `text` says how. `about`: whom it concerns."""

    level: Level
    text: str
    about: str = ""


def all_well(found: Iterable[Finding]) -> bool:
    """Nothing has to be put right."""
    return all(finding.level != "BAD" for finding in found)
