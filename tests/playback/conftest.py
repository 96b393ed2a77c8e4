"""A workshop for each test, and what opens its films."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.playback.stage import Stage
from tests.support.workshop import Workshop, opened_workshop


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with opened_workshop(tmp_path) as opened:
        yield opened


@pytest.fixture
def stage(workshop: Workshop) -> Stage:
    return Stage(workshop)
