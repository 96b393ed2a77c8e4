"""The short way to what players ask for again: in front of the framework, which needs a hundred times as long for it.

Litestar opens a representation once, with all that handlers, guards and dependencies say about it; `web.serving.serve` keeps
it under the address that was asked for. As long as it is known, requests for any range of it are answered here, by the same
`DeliveryResponse` and with the same headers. Whatever is not known, not fresh or not a plain GET or HEAD goes to Litestar.
"""

from __future__ import annotations

import asyncio

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Scope, Send

from media_service.errors import MediaServiceError
from media_service.playback.opened import Opened, OpenedRepresentations, Opening
from media_service.store.blobs import BlobReader
from media_service.web.accel import Accel
from media_service.web.cors import PUBLIC_PREFIX
from media_service.web.headers import completed_by, may_read
from media_service.web.repeats import Repeat
from media_service.web.send import DeliveryResponse
from media_service.wire.delivery import Answers
from media_service.wire.origins import Origins

OPENING = "opening"  # in scope["state"]: what Litestar's handlers keep a representation with
# RFC 9110 s13.1 has five. Of thousands of heads they are kept, and a few bytes on the line are a hundred in memory.
MOST_CONDITIONS = 5


class Shortcut:
    """An ASGI application in front of `app`, of whose state it uses `opened`, `cors_origins` and `accel`.

    `hits` counts the requests that were answered here.
    """

    # For server.protocol: what is known is mostly sent without waiting for anything, and then needs no task.
    begins_at_once = True

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self._opened: OpenedRepresentations | None = None
        self._origins: Origins = frozenset()
        self._accel: Accel | None = None
        self.hits = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have Litestar do it."""
        if (
            scope["type"] == ScopeType.HTTP
            and scope["path"].startswith(PUBLIC_PREFIX)
            and scope["method"] in {"GET", "HEAD"}
            and await self._is_answered(scope, receive, send)
        ):
            return
        if asyncio.current_task() is None:
            await asyncio.sleep(0)  # from the first wait on there is one, as everybody else wants it
        await self._app(scope, receive, send)

    async def _is_answered(self, scope: HTTPScope, receive: Receive, send: Send) -> bool:
        """Answer what is known; if not, prepare for it to be known, and nothing has been sent."""
        known = self._opened or self._started()
        address = scope["raw_path"], scope["query_string"]
        opened = known.get(address)
        if opened is not None and (answers := opened.answers()) is not None:
            response = self._response(known, opened, answers, scope)
            try:
                await response(scope, receive, send)
            except (MediaServiceError, OSError):
                if response.began:
                    raise
                known.drop(address)  # Litestar's way knows how to say what is wrong
            else:
                return True
        if (asset_id := asset_of(scope["path"])) is not None:
            scope.setdefault("state", {})[OPENING] = known.opening(address, asset_id)
        return False

    def _response(
        self, known: OpenedRepresentations, opened: Opened, answers: Answers, scope: HTTPScope
    ) -> DeliveryResponse:
        self.hits += 1
        delivery = answers.to(scope["method"], scope["headers"])
        completed = completed_by(opened, answers, scope["path"], may_read(scope["headers"], self._origins))

        async def open_blob(key: str) -> BlobReader:
            return await known.blobs.open(key, opened.asset_id, opened.stamp)

        return DeliveryResponse(
            delivery,
            open_blob,
            opened.headers,
            completion=completed.headers,
            # What is told with an error or a 304 is less.
            prepared=completed.prepared if delivery.common is answers.common else None,
            accel=self._accel,
        )

    def repeatable(self, scope: HTTPScope, wanted: bytes) -> Repeat | None:
        """For server.repeats: what is known of this GET, with any other Range in place of `wanted`."""
        headers, path = scope["headers"], scope["path"]
        known = self._opened or self._started()
        if (
            self._accel is not None
            or not path.startswith(PUBLIC_PREFIX)
            or [value for name, value in headers if name == b"range"] != [wanted]
        ):
            return None
        conditions = tuple(line for line in headers if line[0].startswith(b"if-"))
        if len(conditions) > MOST_CONDITIONS:
            return None
        address = scope["raw_path"], scope["query_string"]
        return Repeat(known, address, path, conditions, may_read(headers, self._origins))

    def _started(self) -> OpenedRepresentations:
        # The application's lifespan has filled its state before the first request.
        state = self._app.state
        known: OpenedRepresentations = state.opened
        self._opened, self._origins, self._accel = known, state.cors_origins, state.accel
        return known


def opening_of(scope: Scope, asset_id: str) -> Opening | None:
    """What a representation of that asset is kept with, if the request came by way of a Shortcut."""
    opening: Opening | None = scope.get("state", {}).get(OPENING)
    return opening if opening is not None and opening.asset_id == asset_id else None


def asset_of(path: str) -> str | None:
    """The id in `/media/{id}/...` or `/t/{token}/media/{id}/...`."""
    match path.split("/", 5):
        case ["", "media", asset_id, *_] | ["", "t", _, "media", asset_id, *_]:
            return asset_id
    return None
