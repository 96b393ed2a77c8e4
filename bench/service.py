"""The service under measurement: a real one in a process of its own, asked over one kept connection."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.server import Server

READY_SECONDS = 1800.0


def upload(server: Server, film: Path) -> tuple[str, float]:
    """Upload `film`; the asset's id and when it was acknowledged (time.perf_counter)."""
    with server.client(timeout=120) as client, film.open("rb") as body:
        answer = client.put("/api/v1/assets", params={"filename": film.name}, content=body)
        acknowledged = time.perf_counter()
        answer.raise_for_status()
        return str(answer.json()["id"]), acknowledged


def await_state(server: Server, asset_id: str, *states: str) -> dict[str, Any]:
    """The asset as soon as it is in one of `states`: told by its events, not asked for."""
    with (
        server.client(timeout=READY_SECONDS) as client,
        client.stream("GET", f"/api/v1/assets/{asset_id}/events") as events,
    ):
        for line in events.iter_lines():
            if not line.startswith("data:"):
                continue
            asset: dict[str, Any] = json.loads(line.removeprefix("data:"))
            if asset.get("state") in states:
                return asset
            if asset.get("state") == "failed":
                raise RuntimeError(f"the film failed: {asset['error']}")
    raise RuntimeError("the events ended")


def segment_uris(server: Server, asset_id: str, rendition: str) -> list[str]:
    """The addresses of a rendition's segments, in order."""
    base = f"/media/{asset_id}/hls/{rendition}"
    text = httpx.get(f"{server.url}{base}/index.m3u8").raise_for_status().text
    return [f"{base}/{line}" for line in text.splitlines() if line and not line.startswith("#")]


class Connection:
    """One kept HTTP/1.1 connection, whose answers are timed, with `headers` in each request. Use it in `with`."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._headers = headers or {}
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def __enter__(self) -> Connection:
        self._connection.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def fetch(self, path: str) -> tuple[float, float, bytes]:
        """Seconds until the first byte of the body, until its last, and the body. Raises RuntimeError unless 200."""
        started = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        first = answer.read(1)
        first_byte = time.perf_counter() - started
        body = first + answer.read()
        last_byte = time.perf_counter() - started
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
        return first_byte, last_byte, body
