"""A workshop, or servers of uploads, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.store.records import Upload
from tests.support.upload_servers import Clock, UploadServer, opened_server, stopped_clock
from tests.support.workshop import Workshop, opened_workshop


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with opened_workshop(tmp_path) as opened:
        yield opened


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[UploadServer]:
    async with opened_server(tmp_path) as opened:
        yield opened


@pytest.fixture
async def other(tmp_path: Path, server: UploadServer) -> AsyncIterator[UploadServer]:
    async with opened_server(tmp_path) as opened:
        yield opened


@pytest.fixture
async def upload(server: UploadServer) -> Upload:
    return await server.begin(100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return stopped_clock(monkeypatch)
