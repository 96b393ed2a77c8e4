"""The composition root of a sender: what players fetch, from the catalog and the blobs, read and never written.

The same handlers as the whole service's, with the same gate; everything behind them that makes, accepts or decides something
is not here. What they cannot answer, and every error, is left to the main process: the application answers nothing then, and
the connection goes there (server.sending). So there is one place that refuses, and one that makes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp

from media_service.errors import MediaServiceError, NotReady
from media_service.playback.gate import Gate
from media_service.playback.opened import open_representations
from media_service.settings import Settings
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.local_blobs import LocalBlobs
from media_service.web import clips, media, previews
from media_service.web.accel import Accel
from media_service.web.dependencies import provided
from media_service.web.films import open_films
from media_service.web.headers import completing
from media_service.web.requests import OwnRequest, refuse_empty_segments
from media_service.web.send import nothing
from media_service.web.shortcut import Shortcut
from media_service.wire.forwarded import read_networks
from media_service.wire.origins import read_origins
from media_service.work.indexes import Indexes
from media_service.work.outlines import Outlines

log = logging.getLogger(__name__)

HANDLERS = [*clips.HANDLERS, *media.HANDLERS, *previews.HANDLERS]
PROVIDED = ("blobs", "classics", "clips", "gate", "library", "playlists", "previews", "segments")


def create_sender_app(settings: Settings, *, signing_keys: Mapping[str, bytes]) -> Shortcut:
    """A sender as an ASGI application; the catalog that it reads must be there, its schema up to date."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _open(settings, app.state, stack)
            app.state.gate = Gate(signing_keys, settings.playback)
            yield

    litestar = Litestar(
        route_handlers=HANDLERS,
        lifespan=[lifespan],
        dependencies=provided(PROVIDED),
        exception_handlers={MediaServiceError: _left, HTTPException: _left, Exception: _left_over},
        openapi_config=None,
        request_class=OwnRequest,
        before_request=refuse_empty_segments,
        before_send=[completing(read_origins(settings.cors_origins))],
        logging_config=None,
    )
    return Shortcut(litestar)


class Left(Response[None]):
    """No answer at all: that is the main process' business."""

    def to_asgi_response(self, *_: object, **__: object) -> ASGIApp:  # type: ignore[override] # all that is called of it
        """What Litestar calls."""
        return nothing


def _left(_: Request[Any, Any, Any], __: Exception) -> Left:
    return Left(None)


def _left_over(request: Request[Any, Any, Any], error: Exception) -> Left:
    # The path may hold a token, and the main process is about to say what is wrong, if it finds the same.
    log.error(
        "a sender could not answer %s of %s", request.method, request.scope["path_template"], exc_info=error
    )
    return Left(None)


class MadeElsewhere:
    """In place of work.demand.Demand: whoever waits for what must be made first waits in the main process."""

    async def segment(self, asset_id: str, name: str, number: int) -> None:
        """Raises NotReady."""
        _refuse()

    async def init(self, asset_id: str, name: str) -> bytes:
        """Raises NotReady."""
        _refuse()


def _refuse() -> NoReturn:
    raise NotReady("The main process makes it.")


async def _open(settings: Settings, state: State, stack: AsyncExitStack) -> None:
    data = settings.data_dir
    state.blobs = blobs = LocalBlobs(data / "blobs")
    catalog = await stack.enter_async_context(open_catalog(sqlite_url(data / "catalog.sqlite3")))
    state.opened = await stack.enter_async_context(open_representations(catalog.generations, blobs))
    state.cors_origins = read_origins(settings.cors_origins)
    trusted = read_networks(settings.trusted_proxies)
    state.accel = Accel(settings.accel_prefix, trusted) if settings.accel_prefix else None
    open_films(
        state,
        catalog=catalog,
        blobs=blobs,
        outlines=Outlines(blobs),
        indexes=Indexes(blobs),
        demand=MadeElsewhere(),
    )
