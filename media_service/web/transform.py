"""`POST /api/v1/transform`: a file comes in, what ffmpeg makes of it goes out while it is made; nothing is kept.

The story of a request is that of its response, since that alone lives as long as the result is on its way: a place among the
transforms, the file into memory, ffmpeg between it and the client. A client who leaves takes ffmpeg along.
"""

from __future__ import annotations

import logging
from asyncio import sleep
from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp, Receive, Scope, Send

from media_service.errors import MediaServiceError, UnsupportedBody
from media_service.ingest.in_memory import InMemory, MemoryIntake
from media_service.web.body import announced_length, body_chunks, told_of_shutdown
from media_service.web.forms import OVERHEAD_BYTES, FileForm
from media_service.web.guards import needs, owner_of
from media_service.web.openapi_transform import TransformOperation
from media_service.web.send import body, head, while_there
from media_service.wire.disposition import content_disposition, ending_in
from media_service.wire.transforms import Operations, read_operations
from media_service.work.transforms import Made, Transforms

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]


@post(
    "/api/v1/transform",
    guards=[needs("transform")],
    request_max_body_size=None,
    tags=["transforms"],
    operation_class=TransformOperation,
    status_code=200,
    sync_to_thread=False,
)
def transform(
    request: AnyRequest, transforms: Transforms, memory_intake: MemoryIntake, idle_seconds: float
) -> ASGIApp:
    """Change a picture, a film or its sound, and send the result back while it is made; nothing is stored.

    The file is the field `file` of a form or the bare body; operations are fields of the form or of the query.
    """
    content_type = request.headers.get("content-type", "").lower()
    form = content_type.startswith("multipart/form-data")
    if content_type.startswith("multipart/") and not form:
        raise UnsupportedBody("Send a form (multipart/form-data) or the bare file.")
    in_query = list(request.query_params.multi_items())
    read_operations(in_query)  # before the body: a mistake shall cost no upload
    return _Transforming(
        request, transforms, memory_intake, in_query=in_query, form=form, idle_seconds=idle_seconds
    )


class _Transforming:
    """The ASGI application that answers one request."""

    def __init__(
        self,
        request: AnyRequest,
        transforms: Transforms,
        intake: MemoryIntake,
        *,
        in_query: list[tuple[str, str]],
        form: bool,
        idle_seconds: float,
    ) -> None:
        self._request = request
        self._transforms = transforms
        self._intake = intake
        self._fields = in_query
        self._form = FileForm() if form else None
        self._idle_seconds = idle_seconds
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises what is wrong before the first byte; after that, the connection ends without the last one."""
        announced = announced_length(self._request)
        overhead = 0 if self._form is None else OVERHEAD_BYTES
        try:
            async with told_of_shutdown():
                with (
                    self._transforms.one_of(owner_of(self._request)),
                    self._intake.begin(announced, overhead=overhead) as file,
                ):
                    async with self._transforms.coming():
                        wanted = await self._received(file)
                    await while_there(receive, self._answer(file, wanted, send))
        except MediaServiceError as error:
            if not self._begun:
                raise
            # uvicorn closes the connection of an answer that was not brought to its end.
            log.warning("a transform broke off: %s", error.detail or error.title)

    async def _received(self, file: InMemory) -> Operations:
        """What is asked, once the whole file is there."""
        chunks = body_chunks(self._request, idle_seconds=self._idle_seconds)
        if self._form is None:
            async for chunk in chunks:
                await file.write(chunk)
        else:
            await self._form.read(self._request.headers["content-type"], chunks, file)
            self._fields += self._form.texts
        file.finish()
        return read_operations(self._fields)

    async def _answer(self, file: InMemory, wanted: Operations, send: Send) -> None:
        async with self._transforms.run(file.fd, wanted) as made:
            self._begun = True
            await send(head(200, self._headers(made)))
            await send(body(made.first))
            async for chunk in made.rest():
                await send(body(chunk))
                # uvicorn's send() returns at once when the client has gone: whoever notices that needs a turn.
                await sleep(0)
        await send(body(b"", more=False))

    def _headers(self, made: Made) -> list[tuple[bytes, bytes]]:
        name = "" if self._form is None else self._form.filename
        shown = content_disposition("inline", ending_in(name, made.result.extension) if name else "")
        headers = [
            (b"content-type", made.result.media_type.encode("ascii")),
            (b"content-disposition", shown.encode("ascii")),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx passes it on as it comes, however it is set up
        ]
        if made.whole:
            headers.append((b"content-length", str(len(made.first)).encode("ascii")))
        return headers


HANDLERS = [transform]
