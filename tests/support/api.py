"""The service as its clients use it: offer files, listen to what becomes of them, list, fetch."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from media_service.web.events import HEARTBEAT_SECONDS
from tests.support.server import Server

Asset = dict[str, Any]
FINAL = frozenset({"ready", "failed"})
PLAYABLE = FINAL | {"playable"}


def offer(client: httpx.Client, path: Path) -> httpx.Response:
    """Upload the file as a raw body, streamed; whatever the answer is."""
    with path.open("rb") as file:
        headers = {"Content-Length": str(path.stat().st_size)}
        return client.put("/api/v1/assets", params={"filename": path.name}, content=file, headers=headers)


def put_in(client: httpx.Client, path: Path) -> Asset:
    """Upload the file; fails the test unless it is taken."""
    answer = offer(client, path)
    assert answer.status_code == 201, answer.text
    asset: Asset = answer.json()
    return asset


def listed(client: httpx.Client) -> list[Asset]:
    """All assets of the service, newest first."""
    found: list[Asset] = []
    cursor = None
    while True:
        query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = client.get("/api/v1/assets", params=query).raise_for_status().json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def settled(server: Server, asset_id: str, seconds: float, states: frozenset[str] = FINAL) -> Asset:
    """The asset once it is in one of `states`, heard from its event stream. Raises TimeoutError after `seconds`."""
    with server.client(timeout=HEARTBEAT_SECONDS + 15) as client:
        for news in _news(client, f"/api/v1/assets/{asset_id}/events", time.monotonic() + seconds):
            if news["state"] in states:
                return news
    raise AssertionError(f"the events of {asset_id} ended before it was {' or '.join(sorted(states))}")


def _news(client: httpx.Client, address: str, deadline: float) -> Iterator[Asset]:
    with client.stream("GET", address) as stream:
        assert stream.status_code == 200, stream.read()
        event = ""
        for line in stream.iter_lines():
            if time.monotonic() > deadline:  # there is a line at every heartbeat
                raise TimeoutError(f"{address} did not tell what was waited for")
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "asset":
                yield json.loads(value)


def download(client: httpx.Client, address: str, path: Path) -> Path:
    """Fetch the whole of `address` into `path`; its length must be the announced one."""
    with client.stream("GET", address) as answer, path.open("wb") as file:
        assert answer.status_code == 200, answer.read()
        for piece in answer.iter_bytes():
            file.write(piece)
    assert path.stat().st_size == int(answer.headers["content-length"])
    return path
