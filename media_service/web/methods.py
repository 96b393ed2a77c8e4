"""OPTIONS: which methods an address takes (RFC 9110 s9.3.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from media_service.web.guards import public


def methods_of(handlers: Iterable[HTTPRouteHandler]) -> HTTPRouteHandler:
    """A handler of OPTIONS for the paths that several of `handlers` share, to be registered before them.

    Litestar's own would tell the methods of that handler alone which is registered first.
    """
    paths, answered = Counter[str](), set[str]()
    for handler in handlers:
        paths.update(handler.paths)
        if "OPTIONS" in handler.http_methods:
            answered |= handler.paths

    @route(
        sorted(path for path, count in paths.items() if count > 1 and path not in answered),
        http_method=HttpMethod.OPTIONS,
        guards=[public],
        include_in_schema=False,
        sync_to_thread=False,
        status_code=204,
    )
    def methods(request: Request[Any, Any, Any]) -> Response[None]:
        found = next(one for one in request.app.routes if one.path_format == request.scope["path_template"])
        return Response(None, headers={"allow": ", ".join(sorted(found.methods))})

    return methods
