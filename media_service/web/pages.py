"""The pages and what they load: static files of our own origin, under a policy that allows nothing else."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from litestar import HttpMethod, MediaType, Request, Response, route
from litestar.types import ASGIApp

from media_service.errors import NotFound
from media_service.playback.access import Access
from media_service.store.catalog import Catalog
from media_service.web.dependencies import Blobs
from media_service.web.doors import both, way_in
from media_service.web.guards import public
from media_service.web.headers import CONTENT_POLICY, RESOURCE_POLICY, page_policy
from media_service.web.openapi import PublicOperation
from media_service.web.send import DeliveryResponse
from media_service.web.shapes import PublicAssetJson, public_asset_json
from media_service.wire.delivery import plan
from media_service.wire.origins import frame_ancestors
from media_service.wire.representation import MemoryExtent, Representation

UI = Path(__file__).resolve().parent.parent / "ui"

# Pages are small and change with the version: ask each time. What they may do, `headers` says to every page.
PAGE_HEADERS = {"cache-control": "no-cache"}
# What /ui serves; anything else that lies in the package (this service's own Python, say) is not there.
STATIC_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


READ = [HttpMethod.GET, HttpMethod.HEAD]


def _page(name: str) -> Response[bytes]:
    return Response((UI / name).read_bytes(), media_type=MediaType.HTML, headers=PAGE_HEADERS)


@route("/", http_method=READ, guards=[public], include_in_schema=False, status_code=307, sync_to_thread=False)
def home() -> Response[None]:
    """There is one front door."""
    return Response(None, headers={"location": "/admin"})


@route("/admin", http_method=READ, guards=[public], include_in_schema=False, sync_to_thread=False)
def admin() -> Response[bytes]:
    """The admin panel."""
    return _page("admin.html")


@route(
    "/admin/assets/{asset_id:str}",
    http_method=READ,
    guards=[public],
    include_in_schema=False,
    sync_to_thread=False,
)
def asset_page(asset_id: str) -> Response[bytes]:
    """One asset in the admin panel, with our own player in a frame."""
    page = _page("asset.html")
    page.headers[CONTENT_POLICY] = page_policy(frames="'self'")
    return page


@route(
    both("/watch/{asset_id:str}"),
    http_method=READ,
    guards=[public],
    include_in_schema=False,
    sync_to_thread=False,
)
def watch(asset_id: str) -> Response[bytes]:
    """The player."""
    return _page("watch.html")


@route(
    both("/watch/{asset_id:str}/asset.json"),
    http_method=READ,
    guards=[public],
    tags=["playback"],
    operation_class=PublicOperation,
)
async def watch_asset(
    request: Request[Any, Any, Any], catalog: Catalog, access: Access, asset_id: str
) -> Response[PublicAssetJson]:
    """What the player needs to know; needs no key, of a signed asset a playback token."""
    asset = await catalog.asset(asset_id)
    access.admit(asset.visibility)
    body = public_asset_json(asset, await catalog.renditions(asset_id), way_in(request), access)
    return Response(body, headers={"cache-control": "no-store"})


@route(
    both("/embed/{asset_id:str}"),
    http_method=READ,
    guards=[public],
    include_in_schema=False,
    sync_to_thread=False,
)
def embed(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The player alone, for frames in the pages of those who may play films. It asks like the watch page for what it shows."""
    page = _page("embed.html")
    page.headers[CONTENT_POLICY] = page_policy(frame_ancestors(request.app.state.cors_origins))
    page.headers[RESOURCE_POLICY] = "cross-origin"  # for framing pages that are isolated themselves (COEP)
    return page


@route("/ui/{path:path}", http_method=READ, guards=[public], include_in_schema=False)
async def static_file(request: Request[Any, Any, Any], blobs: Blobs, path: str) -> ASGIApp:
    """Scripts, styles and the libraries they use: revalidated each time, sent only when they have changed."""
    # Looked up among the files that there are, never made into a file's name.
    file = static_files().get(path.lstrip("/"))
    if file is None:
        raise NotFound("There is no such file.")
    delivery = plan(request.method, request.scope["headers"], _static(file))
    return DeliveryResponse(delivery, blobs.open)


@cache
def static_files() -> dict[str, Path]:
    """What /ui serves: path below /ui -> file. The package does not change while the service runs."""
    files = (file for file in UI.rglob("*") if file.suffix in STATIC_TYPES and file.is_file())
    return {file.relative_to(UI).as_posix(): file for file in files}


@cache
def _static(file: Path) -> Representation:
    data = file.read_bytes()
    etag = hashlib.sha256(data).hexdigest()[:32]
    return Representation(
        (MemoryExtent(data),), STATIC_TYPES[file.suffix], etag, None, (("Cache-Control", "no-cache"),)
    )


HANDLERS = [home, admin, asset_page, embed, watch, watch_asset, static_file]
