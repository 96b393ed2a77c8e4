"""CSV as RFC 4180 says, made so that a spreadsheet does not take what somebody typed for a formula.

https://owasp.org/www-community/attacks/CSV_Injection: a title such as `=HYPERLINK(...)` runs on the desk of whoever opens the
file. An apostrophe in front makes it text, at the beginning and wherever a reader with another separator would begin a cell; it
stays there for programs, which do better with the NDJSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"  # RFC 4180 s3

Cell = str | int | float | bool | None

# What begins a formula in Excel, LibreOffice or Google Sheets; the full-width and small forms do where East Asian text is usual.
_SIGN = r"[=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]"
# What may stand before it: blanks, and what is not seen, which some programs cut off.
_BLANK = (
    r"\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
_FORMULA = re.compile(
    rf"[\t\r\n]|[{_BLANK}]*{_SIGN}"
)  # a tab or a line break alone may begin a cell of its own
# Where `;` divides lists, which is most of Europe, Excel divides a line there, and our quotes do not stop it: for it they stand
# within a cell. The same goes for other signs that a reader may be told, or guess, to divide cells or lines at.
_INNER = re.compile(rf"[;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029][{_BLANK};|\"']*({_SIGN})?")


def line(cells: Iterable[Cell]) -> str:
    """One record with its line break. Text is always in quotes, even when empty; None is an empty cell without."""
    # Many readers skip a line that is empty, such as that of a single cell without a value.
    return (",".join(map(_cell, cells)) or '""') + "\r\n"


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    safe = _INNER.sub(_with_apostrophe, value)
    if _FORMULA.match(value):
        safe = f"'{safe}"
    return '"' + safe.replace('"', '""') + '"'


def _with_apostrophe(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}'{found[1]}" if found[1] else found[0]
