"""`/api/v1/assets.ndjson` and `/api/v1/assets.csv`: the whole list as one file, sent while it is read.

Nothing is read ahead of the client: a slow reader keeps one connection to the database and its view of the catalog, for so
long as an export may take, and no lock. An error after the first byte ends the connection without the last chunk, so that
nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from litestar import HttpMethod, Request, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter
from litestar.types import ASGIApp, Receive, Scope, Send

from media_service.errors import (
    CatalogUnavailable,
    MediaServiceError,
    ShuttingDown,
    TooManyExports,
    Unauthorized,
)
from media_service.store.catalog import Catalog
from media_service.store.listing import Order, Selection, Sort
from media_service.store.records import AssetState
from media_service.web.doors import prefix_for
from media_service.web.exporting import MEDIA_TYPES, Format, columns_of, head_of, lines_of, written
from media_service.web.guards import may_still, needs
from media_service.web.openapi_exports import OPERATIONS
from media_service.web.send import body, head, while_there
from media_service.wire.disposition import content_disposition

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

AT_ONCE = 4  # each has a thread, a connection to the database and most of a core while its client keeps up
ASK_SECONDS = 1.0  # between two looks at whether the key still opens this
STALLED_SECONDS = 60.0  # a client that takes nothing for so long has gone without saying so


class Exports:
    """The exports that are under way; none takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._under_way: set[asyncio.Timeout] = set()
        self._stopping = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Another one, for as long as the block runs. Raises TooManyExports at once: nobody waits in line.

        Raises ShuttingDown once `stop` was called, TimeoutError when it goes on for too long, or until then.
        """
        if self._stopping:
            raise ShuttingDown("The service is stopping; ask again in a moment.")
        if len(self._under_way) >= AT_ONCE:
            raise TooManyExports(f"{AT_ONCE} exports are under way already.")
        async with asyncio.timeout(self._seconds) as end:
            self._under_way.add(end)
            try:
                yield
            finally:
                self._under_way.discard(end)

    def stop(self) -> None:
        """Have those that are under way end now."""
        self._stopping = True
        for end in self._under_way:
            if not end.expired():  # its time is up, and it waits for the catalog to let go of it
                end.reschedule(asyncio.get_running_loop().time())


class ExportStream:
    """An ASGI application that sends `headers`, and what `text` gives; None: to a HEAD, nothing."""

    def __init__(
        self, exports: Exports, headers: list[tuple[bytes, bytes]], text: AsyncGenerator[bytes] | None
    ) -> None:
        self._exports = exports
        self._headers = headers
        self._text = text
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises what is wrong before the first byte; after that, the connection ends without the last one."""
        if self._text is None:
            await send(head(200, self._headers))
            await send(body(b"", more=False))
            return
        try:
            async with self._exports.one():
                await while_there(receive, self._all(self._text, send))
        except MediaServiceError as error:
            if not self._begun:
                raise
            # uvicorn closes the connection of an answer that was not brought to its end.
            log.warning("an export broke off: %s", error.detail or error.title)
        except TimeoutError:
            if not self._begun:
                raise CatalogUnavailable("The catalog was not read in time.") from None
            log.warning(
                "an export broke off: it took too long, its client took nothing of it, or the service stops"
            )

    async def _all(self, text: AsyncGenerator[bytes], send: Send) -> None:
        async with aclosing(text):
            async for piece in text:
                if not self._begun:
                    # Not before there is something to send: until then an error is still an answer of its own.
                    self._begun = True
                    await send(head(200, self._headers))
                async with asyncio.timeout(STALLED_SECONDS):
                    await send(body(piece))
                # uvicorn's send() returns at once when the client has gone: whoever notices that needs a turn.
                await asyncio.sleep(0)
        await send(body(b"", more=False))


async def _text(
    catalog: Catalog, selection: Selection, request: AnyRequest, kind: Format, columns: tuple[str, ...]
) -> AsyncGenerator[bytes]:
    """The file: its head goes out with the first lines, or alone when there are none.

    Raises Unauthorized when the request would not be let in any more.
    """
    lines = lines_of(kind, columns, partial(prefix_for, request))
    before = head_of(kind, columns)
    now = asyncio.get_running_loop().time
    asked = now()
    async with catalog.exported(selection) as parts, aclosing(written(parts, lines)) as pieces:
        async for piece in pieces:
            if now() > asked + ASK_SECONDS:
                asked = now()
                if not await may_still(request, "read"):
                    raise Unauthorized("Its key opens nothing any more.")
            yield before + piece
            before = b""
    if before or kind == "ndjson":
        yield before


def _headers(kind: Format) -> list[tuple[bytes, bytes]]:
    shown = content_disposition("attachment", f"assets-{datetime.now(UTC):%Y-%m-%d}.{kind}")
    return [
        (b"content-type", MEDIA_TYPES[kind].encode("ascii")),
        (b"content-disposition", shown.encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would read ahead of the client, into files
    ]


def _export(kind: Format) -> HTTPRouteHandler:
    @route(
        f"/api/v1/assets.{kind}",
        http_method=[HttpMethod.GET, HttpMethod.HEAD],
        guards=[needs("read")],
        tags=["assets"],
        operation_class=OPERATIONS[kind],
        sync_to_thread=False,
    )
    def export(
        request: AnyRequest,
        catalog: Catalog,
        exports: Exports,
        columns: Annotated[str | None, Parameter(max_length=1000)] = None,
        asset_state: Annotated[AssetState | None, Parameter(query="state")] = None,
        search: Annotated[str | None, Parameter(query="q", max_length=200)] = None,
        sort: Sort = "created",
        order: Order = "desc",
    ) -> ASGIApp:
        """The whole list as one file, as it is at one moment; with the filters and in the orders of the list."""
        selection = Selection(state=asset_state, search=search, sort=sort, order=order)
        text = _text(catalog, selection, request, kind, columns_of(kind, columns))
        return ExportStream(exports, _headers(kind), None if request.method == "HEAD" else text)

    return export


HANDLERS = [_export("ndjson"), _export("csv")]
