"""Code blocks of a Markdown page, as tests run them."""

from __future__ import annotations

import re


def code_blocks(page: str, heading: str, language: str) -> list[str]:
    """The code in that language below a heading, up to the next heading of any depth. Fails the test if there is none."""
    section = re.split(r"^#+ ", page.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, f"no {language} below {heading!r}"
    return found
