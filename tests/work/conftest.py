"""A workshop for each test, and what is seen of the runs in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.work.runner import Runner
from media_service.work.runs import Run
from tests.support.workshop import Workshop, opened_workshop


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with opened_workshop(tmp_path) as opened:
        yield opened


class Started:
    """The runs that were begun, in order. While `held`, those that begin wait before they do anything."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.ended: list[Run] = []
        self.some = asyncio.Condition()
        self.go = asyncio.Event()
        self.go.set()

    async def until(self, count: int) -> None:
        """Until so many have begun."""
        async with asyncio.timeout(30), self.some:
            await self.some.wait_for(lambda: len(self.runs) >= count)

    @property
    def firsts(self) -> list[tuple[str, int]]:
        return [(run.names[0], run.first) for run in self.runs]


@pytest.fixture
async def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    noted = Started()
    make = Runner.make

    async def noting(runner: Runner) -> None:
        async with noted.some:
            noted.runs.append(runner.run)
            noted.some.notify_all()
        try:
            await noted.go.wait()
            await make(runner)
        finally:
            noted.ended.append(runner.run)

    monkeypatch.setattr(Runner, "make", noting)
    return noted
