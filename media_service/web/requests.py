"""Requests as the service reads them: a body that is no JSON is the client's mistake, in whichever way it is none."""

from __future__ import annotations

from typing import Any

from litestar import Request

from media_service.errors import InvalidRequest


class OwnRequest(Request[Any, Any, Any]):
    """Litestar's request, which takes two kinds of broken JSON for mistakes of the service."""

    async def json(self) -> Any:
        """The body's JSON. Raises InvalidRequest, and litestar's SerializationException, which becomes that."""
        try:
            return await super().json()
        except UnicodeDecodeError:
            raise InvalidRequest("The body is not UTF-8, and so no JSON (RFC 8259 s8.1).") from None
        except RecursionError:
            raise InvalidRequest("The body's JSON is nested too deeply.") from None
