"""The pages stay small: what each of them can load of our own code, whatever somebody does in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.node import MODULES

UI = MODULES.parent
OWN_BYTES = 100_000
# `import ... from "./x.js"`, `export ... from "./x.js"` and `import("./x.js")`: ours are all relative.
IMPORTS = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*"(\./[^"]+)\"""")
LOADED = re.compile(r"""(?:href|src)="/ui/((?:css|js)/[^"]+)\"""")


def reachable(page: Path) -> set[Path]:
    """The page, its style sheets, its scripts and all that those can load."""
    found = {page}
    left = [UI / name for name in LOADED.findall(page.read_text())]
    while left:
        file = left.pop()
        if file in found:
            continue
        found.add(file)
        left += [(file.parent / name).resolve() for name in IMPORTS.findall(file.read_text())]
    return found


@pytest.mark.parametrize("name", ["watch.html", "embed.html", "asset.html"])
def test_a_page_stays_below_a_hundred_kilobytes(name: str) -> None:
    sizes = {file.name: file.stat().st_size for file in reachable(UI / name)}
    assert {"app.css", "dom.js", "format.js"} < set(sizes)
    assert sum(sizes.values()) < OWN_BYTES, sizes
