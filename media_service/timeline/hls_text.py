"""Values of HLS tags as text (RFC 8216 s4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NOT_QUOTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_NANOSECONDS = 1_000_000_000


def quoted(text: str) -> str:
    """A quoted-string. Names come from strangers' files: line ends and controls become spaces, quotation marks single ones."""
    return '"' + _NOT_QUOTABLE.sub(" ", text).replace('"', "'") + '"'


def attributes(values: Iterable[tuple[str, str]]) -> str:
    """An attribute-list of names and written values."""
    return ",".join(f"{name}={value}" for name, value in values)


def exact_seconds(ticks: int, timescale: int) -> str:
    """`ticks / timescale` as a decimal-floating-point: exact, or to the nanosecond where 1/3 recurs."""
    nanoseconds = (2 * ticks * _NANOSECONDS + timescale) // (2 * timescale)
    whole, rest = divmod(nanoseconds, _NANOSECONDS)
    return f"{whole}.{rest:09d}".rstrip("0") if rest else f"{whole}.0"
