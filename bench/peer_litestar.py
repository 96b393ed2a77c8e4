"""What an application on Litestar does for films for want of ranges there: a `Stream` that a thread reads for.

`FILES` in the environment is the directory. Run by uvicorn, in a process of its own (`bench.contenders`).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from litestar import Litestar, get
from litestar.params import Parameter
from litestar.response import Stream

FILES = Path(os.environ["FILES"])
PIECE_BYTES = 256 << 10
ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


async def pieces(path: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    """The file's bytes [start, stop), each piece read by a thread."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, start)
        while start < stop:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, stop - start))
            start += len(piece)
            yield piece
    finally:
        file.close()


@get("/{name:str}")
async def film(name: str, wanted: str | None = Parameter(header="Range", default=None)) -> Stream:
    """The file, or one range of it."""
    path = FILES / name
    size = path.stat().st_size
    start, stop, status = 0, size, 200
    if wanted is not None and (found := ONE_RANGE.fullmatch(wanted)):
        start, stop, status = int(found[1]), int(found[2] or size - 1) + 1, 206
    headers = {"Content-Length": str(stop - start), "Accept-Ranges": "bytes"}
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Stream(pieces(path, start, stop), status_code=status, headers=headers, media_type="video/mp4")


app = Litestar([film], openapi_config=None)
