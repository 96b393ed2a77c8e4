"""Request fields in the form that `wire` reads them in."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection


def fields_of(connection: ASGIConnection[Any, Any, Any, Any]) -> dict[str, str]:
    """Lower-case name -> value; the lines of a repeated field joined by commas (RFC 9110 s5.3)."""
    headers = connection.headers
    return {name: ", ".join(headers.getall(name)) for name in headers}
