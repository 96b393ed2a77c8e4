"""`/livez` and `/readyz`: is the process alive, should it get requests (Kubernetes' words)."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, Response, route

from media_service.errors import MediaServiceError
from media_service.ffmpeg.walls import Walls
from media_service.store.blobs import DISK_MARGIN_BYTES
from media_service.store.catalog import Catalog
from media_service.web.dependencies import Blobs
from media_service.web.guards import public
from media_service.web.openapi import PublicOperation

NO_STORE = {"cache-control": "no-store"}


@route(
    "/livez",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[public],
    tags=["operations"],
    operation_class=PublicOperation,
)
async def livez() -> Response[dict[str, str]]:
    """200 as long as the event loop turns."""
    return Response({"status": "alive"}, headers=NO_STORE)


@route(
    "/readyz",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    guards=[public],
    tags=["operations"],
    operation_class=PublicOperation,
)
async def readyz(catalog: Catalog, blobs: Blobs, walls: Walls) -> Response[dict[str, Any]]:
    """200 when the catalog answers; 503 otherwise. Says also whether there is room for uploads, and what the fence around
    converters is made of, with what it does not keep out (docs/security.md)."""
    try:
        await catalog.check()
    except MediaServiceError as error:
        return Response({"status": "not ready", "catalog": error.detail}, status_code=503, headers=NO_STORE)
    free = blobs.free_bytes()
    # A full disk is no reason to take the server out: everything that is there can still be watched.
    storage = "ok" if free >= DISK_MARGIN_BYTES else "full"
    state = {"status": "ready", "catalog": "ok", "storage": storage, "free_bytes": free}
    fence = {"made_of": walls.name, "gaps": walls.gaps}
    return Response({**state, "fence": fence}, headers=NO_STORE)


HANDLERS = [livez, readyz]
