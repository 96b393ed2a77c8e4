"""Requests as the service reads them: a body that is cut, or no JSON, is the client's doing, in whichever way it is none."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request
from litestar.exceptions import InternalServerException

from media_service.errors import InvalidRequest, NotFound, UploadCut


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


async def refuse_empty_segments(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound for a path with `//` in it, written as it may be: it is another address (RFC 3986 s3.3).

    litestar reads over empty segments. Whatever stands in front of us (a proxy's rules, a cache's keys) need not.
    """
    if b"//" in unquote_to_bytes(request.scope["raw_path"]):
        raise NotFound("There is nothing at this address: a part of its path is empty.")
