"""Origins as `Origin` and the setting CORS_ORIGINS write them (RFC 6454 s6.2), and which of them may read films."""

from __future__ import annotations

import re
from collections.abc import Iterable

# The origins whose scripts may read; None: all of them.
Origins = frozenset[str] | None

ANY = "*"
# As browsers send them: lower case, an international name as xn--, no path behind it.
_ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def read_origins(text: str) -> Origins:
    """`*`, or exact origins (`https://player.example`) separated by commas; empty: none but our own.

    Raises ValueError that names the one that no browser would send.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if parts == [ANY]:
        return None
    for part in parts:
        read = _ORIGIN.fullmatch(part)
        if read is None:
            raise ValueError(
                f"{part!r} is no origin like https://player.example or https://player.example:8443."
            )
        if read[3] == _DEFAULT_PORTS[read[1]]:
            raise ValueError(f"{part!r}: browsers leave the port out when it is that of {read[1]}.")
    return frozenset(parts)


def allow_origin(origins: Origins, asking: Iterable[str]) -> str | None:
    """The value of Access-Control-Allow-Origin for a request with these `Origin` lines; None: it gets none.

    Never what is not in the list, and never "null": every sandboxed frame has that origin.
    """
    if origins is None:
        return ANY
    lines = list(asking)
    return lines[0] if len(lines) == 1 and lines[0] in origins else None


def frame_ancestors(origins: Origins) -> str:
    """The source list of CSP's frame-ancestors for pages that the same origins may show (CSP 3 s6.4.2)."""
    return ANY if origins is None else " ".join(["'self'", *sorted(origins)])
