"""A sender's application: the whole service's answers to players, or none."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from media_service.settings import Settings
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url

FILM = "media/{asset_id:str}/"
KEYS = {"own": b"k" * 32}


@asynccontextmanager
async def started(app: Any) -> AsyncIterator[None]:
    """Within the block its lifespan lasts."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    assert (await from_app.get())["type"] == "lifespan.startup.complete"
    yield
    await to_app.put({"type": "lifespan.shutdown"})
    assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
    await running


async def asked(app: Any, path: str, method: str = "GET") -> list[Any]:
    """What it sends to that request."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [], "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 80), "state": {}, "extensions": {},
    }  # fmt: skip
    sent: list[Any] = []

    came = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if came.is_set():
            await asyncio.Event().wait()  # it does not leave
        came.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def app(settings: Settings) -> Any:
    """A sender's, not started."""
    with warnings.catch_warnings():
        # Litestar 2.23 began to announce what 3.0 will want of handlers; the service's own log does not show it either.
        warnings.simplefilter("ignore", DeprecationWarning)
        from media_service.sender import create_sender_app  # noqa: PLC0415 - see above

        return create_sender_app(settings, signing_keys=KEYS)


def test_it_has_the_handlers_of_what_players_fetch_but_of_stills_that_are_drawn(settings: Settings) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from media_service.app import create_app  # noqa: PLC0415 - as above
        from media_service.sender import HANDLERS  # noqa: PLC0415
        from media_service.web import stills  # noqa: PLC0415

        whole = create_app(settings, admin_token="t" * 20, signing_keys=KEYS)
    fetched = {path for route in whole.routes if f"/{FILM}" in (path := route.path)}
    own = {path for handler in HANDLERS for path in handler.paths}
    drawn = {path for handler in stills.HANDLERS for path in handler.paths}
    assert own | drawn == fetched
    assert not own & drawn


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_it_cannot_answer_it_does_not_answer(app: Any, method: str) -> None:
    async with started(app):
        for path in (
            "/media/nobody/original.mp4", "/media/nobody/hls/480p/0.m4s", "/media/nobody/hls/480p/init.mp4", "/media//x",
            "/t/nonsense/media/nobody/original.mp4", "/media/nobody/frame.jpg", "/elsewhere", "/api/v1/assets", "/livez",
        ):  # fmt: skip
            assert await asked(app, path, method) == []
        assert await asked(app, "/media/nobody/original.mp4", "POST") == []


async def test_a_mistake_of_its_own_is_logged_and_left_to_the_main_process(
    app: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise LookupError("a mistake")

    monkeypatch.setattr(Catalog, "asset", broken)
    async with started(app):
        assert await asked(app, "/media/nobody/original.mp4") == []
    assert "a sender could not answer GET" in caplog.text
    assert "nobody" not in caplog.messages[-1]


async def test_it_serves_beside_another_process_that_has_the_catalog(app: Any, settings: Settings) -> None:
    async with open_catalog(sqlite_url(settings.data_dir / "catalog.sqlite3")), started(app):
        assert await asked(app, "/media/nobody/original.mp4") == []
