"""Who may call what. Guards run before a request's body is read, so that a refusal costs no upload."""

from __future__ import annotations

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from media_service.errors import Unauthorized


def require_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let the request pass if it carries the admin token as `Authorization: Bearer` (RFC 6750 s2.1)."""
    scheme, _space, credentials = connection.headers.get("authorization", "").partition(" ")
    given = credentials.strip(" \t")
    if scheme.lower() != "bearer" or not given:
        raise Unauthorized("Send the admin token as 'Authorization: Bearer <token>'.")
    expected: str = connection.app.state.admin_token
    # Comparing digest-wise in constant time: the time must not tell how many characters were right.
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Unauthorized("This token is not known here.")


def owner_of(_: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The name of the key that the request came with, for what belongs to a key: unfinished uploads, and quotas."""
    return "admin"  # the only key there is
