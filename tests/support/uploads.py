"""Uploads piece by piece, and what the service holds meanwhile."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.support.raw_http import Head, RawConnection
from tests.support.server import Server

UPLOADS = "/api/v1/assets"
PERIOD = 1_000_003


def padded(film: bytes, size: int) -> bytes:
    """The film with a box at its end (ISO 14496-12 s8.1.2) that nobody looks into, `size` bytes together."""
    rest = size - len(film)
    return film + rest.to_bytes(4) + b"free" + filling(rest - 8)


def filling(size: int) -> bytes:
    """Bytes that look random. They repeat, but never in step with pieces, pages or buffers: the period is a prime."""
    return (random.Random(PERIOD).randbytes(PERIOD) * (size // PERIOD + 1))[:size]


def key(server: Server, **headers: str) -> dict[str, str]:
    """Request headers with the token; `Content_Length` becomes Content-Length."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"Authorization": f"Bearer {server.token}", **given}


def answer_of(connection: RawConnection) -> tuple[Head, bytes]:
    """The next answer, whole."""
    head = connection.head()
    return head, connection.body(int(head.headers["content-length"]))


class RawUpload:
    """A PUT that goes as far as the test wants it to; without `size` it is chunked."""

    def __init__(self, server: Server, connection: RawConnection, size: int | None) -> None:
        self._connection = connection
        self._chunked = size is None
        headers = {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        connection.request("PUT", f"{UPLOADS}?filename=film.mp4", key(server) | headers)

    def send(self, data: bytes) -> None:
        """The next bytes."""
        if self._chunked:
            self._connection.send_chunk(data)
        else:
            self._connection.send(data)

    def answer(self) -> tuple[Head, bytes]:
        """End the body; what the service says to it."""
        if self._chunked:
            self._connection.send_chunk(b"")
        return answer_of(self._connection)

    def finish(self) -> dict[str, Any]:
        """End the body; the asset's JSON."""
        head, body = self.answer()
        assert head.status == 201, body
        asset: dict[str, Any] = json.loads(body)
        return asset


def blob_trees(server: Server) -> set[str]:
    """The directories of its blobs, one for each asset; not what is on its way in or out (`.unseen-`, `.deleted-`)."""
    return {entry.name for entry in (server.data_dir / "blobs").iterdir() if entry.name[0] != "."}


def blob_files(server: Server, before: set[str]) -> list[Path]:
    """The blobs in trees that were not there `before`."""
    trees = [server.data_dir / "blobs" / tree for tree in blob_trees(server) - before]
    return [path for tree in trees for path in tree.rglob("*") if path.is_file()]


def held_bytes(server: Server, before: set[str]) -> int:
    """What it has of uploads, in memory and on disk, apart from the trees that were there `before`."""
    return server.memfd_bytes() + sum(path.stat().st_size for path in blob_files(server, before))
