"""What an application on Starlette does for films, with what Starlette has for it: FileResponse, and its form parser.

`FILES` in the environment is the directory. Run by uvicorn, in a process of its own (`bench.contenders`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

FILES = Path(os.environ["FILES"])


async def film(request: Request) -> Response:
    """The file, or ranges of it."""
    return FileResponse(FILES / request.path_params["name"], media_type="video/mp4")


async def take(request: Request) -> Response:
    """A form with one file, kept under its name: as Starlette's documentation shows it, and copied in a thread."""
    async with request.form() as form:
        upload = form["file"]
        assert not isinstance(upload, str)
        path = FILES / os.path.basename(upload.filename or "")  # noqa: PTH119 # a name, not a path
        await asyncio.to_thread(_keep, upload.file, path)
    return JSONResponse({"path": str(path)}, status_code=201)


def _keep(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as kept:
        shutil.copyfileobj(file, kept, 1 << 20)


app = Starlette(
    routes=[
        Route("/{name}", film, methods=["GET", "HEAD"]),
        Route("/", take, methods=["POST"]),
    ]
)
