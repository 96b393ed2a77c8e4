"""Files behind the product's own range engine, sender and listener: what the range vectors are run against.

Assets are media only, so the vectors' files cannot be uploaded. `python -m tests.support.range_app DIRECTORY` serves each
file of DIRECTORY/vectors at /media/vectors/{name}, on a free port that it prints as the service does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from litestar import HttpMethod, Litestar, Request, route
from litestar.types import ASGIApp

from media_service.errors import MediaServiceError
from media_service.server.listener import Listener
from media_service.server.repeating import protocol_class
from media_service.server.sockets import address, bound
from media_service.store.local_blobs import LocalBlobs
from media_service.web.problems import on_own_error
from media_service.web.send import DeliveryResponse
from media_service.wire.delivery import plan
from media_service.wire.representation import BlobExtent, Representation


def create_app(blobs: LocalBlobs) -> Litestar:
    """An application with one route; a file's ETag is made of its time (ns) and its size."""

    @route("/media/vectors/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def file(request: Request[Any, Any, Any], name: str) -> ASGIApp:
        key = f"vectors/{name}"
        async with await blobs.open(key) as reader:
            found = os.fstat(reader.fd)
        representation = Representation(
            (BlobExtent(key, 0, found.st_size),),
            "application/octet-stream",
            f"{found.st_mtime_ns:x}-{found.st_size:x}",
            int(found.st_mtime),
        )
        return DeliveryResponse(plan(request.method, request.scope["headers"], representation), blobs.open)

    return Litestar(
        [file], exception_handlers={MediaServiceError: on_own_error}, openapi_config=None, logging_config=None
    )


def main() -> None:
    """Serve until a signal ends it."""
    app = create_app(LocalBlobs(Path(sys.argv[1])))
    with bound(host="127.0.0.1", port=0, unix_socket="", send_buffer_bytes=0, unsent_bytes=0) as sockets:
        Listener(
            app,
            protocol=protocol_class(),
            shutdown_seconds=2,
            on_listening=lambda: print(f"media_service listens on {address(sockets)}", flush=True),
            on_stopping=lambda: None,
        ).run(sockets)


if __name__ == "__main__":
    main()
