"""Requests as the service reads them: a body that is cut, or no JSON, is the client's doing, in whichever way it is none."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.exceptions import InternalServerException

from media_service.errors import InvalidRequest, UploadCut


class OwnRequest(Request[Any, Any, Any]):
    """Litestar's request, which takes three things that clients do for mistakes of the service."""

    async def body(self) -> bytes:
        """The whole body. Raises UploadCut when the client leaves before its end."""
        try:
            return await super().body()
        except InternalServerException:
            raise UploadCut("The connection was closed before the whole body had arrived.") from None

    async def json(self) -> Any:
        """The body's JSON. Raises InvalidRequest, and litestar's SerializationException, which becomes that."""
        try:
            return await super().json()
        except UnicodeDecodeError:
            raise InvalidRequest("The body is not UTF-8, and so no JSON (RFC 8259 s8.1).") from None
        except RecursionError:
            raise InvalidRequest("The body's JSON is nested too deeply.") from None
