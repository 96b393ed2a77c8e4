"""axe-core in a page that is open: what would keep somebody out who uses a screen reader, a keyboard or poor eyes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = frozenset({"serious", "critical"})
# axe would fetch the style sheets again and put copies of them into the page, which its policy forbids; only a rule
# about screens that were turned needs them.
RUN = "axe.run(document, { resultTypes: ['violations'], preload: false })"


@cache
def _source() -> str:
    return AXE.read_text()


async def serious(page: Page) -> list[str]:
    """Findings of axe that are serious or critical: `rule: what it wants (selector of the element)`, one for each element.

    All of the page as it stands now, its frames and open shadow roots too; nothing is left behind that a page notices. The
    page's policy stays as it is: text that the debugger evaluates is beyond it. Skips without axe-core.
    """
    if not AXE.exists():
        pytest.skip(f"{AXE} is absent; `make install-dev` brings it")
    for frame in page.frames:
        if not await frame.evaluate("typeof axe === 'object'"):
            await frame.evaluate(f"{_source()}; undefined")
    report: dict[str, Any] = await page.evaluate(RUN)
    return [
        f"{rule['id']}: {rule['help']} ({_selector(element['target'])})"
        for rule in report["violations"]
        if rule["impact"] in GRAVE
        for element in rule["nodes"]
    ]


def _selector(target: list[str | list[str]]) -> str:
    """Through frames by `>>>`, into shadow roots by `>>`."""
    return " >>> ".join(step if isinstance(step, str) else " >> ".join(step) for step in target)
