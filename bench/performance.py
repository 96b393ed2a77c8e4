"""Fills docs/performance.md with the tables that `python -m bench delivery growth receiving startup` has kept as JSON.

Each table has its place there: what stands between `<!-- delivery: ranges-direct -->` and `<!-- end -->` is replaced by the
table `ranges-direct` of build/bench/delivery.json. `<!-- goals -->` takes the goals of all of them, `<!-- machine -->` says
when and where they were measured. A place whose table is not there is left as it is, and named.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.server import CHECKOUT

KEPT = CHECKOUT / "build" / "bench"
PAGE = CHECKOUT / "docs" / "performance.md"
PLACE = re.compile(r"(<!-- (?P<name>[a-z-]+(?:: [a-z0-9-]+)?) -->\n).*?(<!-- end -->)", re.DOTALL)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, its figures to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def filled(page: str, kept: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The page with its tables, and the places for which there is none. `kept`: by measure, what its JSON says."""
    missing = []

    def place(found: re.Match[str]) -> str:
        text = _text(found["name"], kept)
        if text is None:
            missing.append(found["name"])
            return found[0]
        return f"{found[1]}\n{text}\n{found[3]}"

    return PLACE.sub(place, page), missing


def _text(name: str, kept: Mapping[str, Any]) -> str | None:
    if name == "machine":
        lines = [f"- `{one}`: {of['date']}, {of['machine']}, {of['seconds']} s\n" for one, of in kept.items()]
        return "".join(lines) or None
    if name == "goals":
        goals = [one for of in kept.values() for one in of["tables"] if one["key"] == "goals"]
        return markdown(goals[0]["header"], [row for one in goals for row in one["rows"]]) if goals else None
    measure, _, key = name.partition(": ")
    tables = kept[measure]["tables"] if measure in kept else []
    return next((markdown(one["header"], one["rows"]) for one in tables if one["key"] == key), None)


def main() -> int:
    """The exit status: 1 when a table is missing."""
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json"))}
    page, missing = filled(PAGE.read_text(), kept)
    PAGE.write_text(page)
    for name in missing:
        print(f"There is no table for {name!r}: it is left as it was.", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
