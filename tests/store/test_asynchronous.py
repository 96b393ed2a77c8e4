"""The engine comes without the mapper, and whoever wants that gets it all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.server import CHECKOUT

LEAN = """
import sys
from media_service.store.asynchronous import AsyncConnection, AsyncEngine, create_async_engine
engine = create_async_engine("sqlite+aiosqlite://")
assert isinstance(engine, AsyncEngine)
assert "sqlalchemy.orm" not in sys.modules
"""
FIRST = """
import sqlalchemy.ext.asyncio
from media_service.store.asynchronous import AsyncConnection, AsyncEngine, create_async_engine
"""
ALL = """
from sqlalchemy.ext import asyncio as package
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
import sqlalchemy.ext.asyncio, sqlalchemy.ext.asyncio.session
assert sqlalchemy.ext.asyncio is package is sys.modules["sqlalchemy.ext.asyncio"]
assert package.AsyncEngine is AsyncEngine
assert package.AsyncConnection is AsyncConnection
assert package.create_async_engine is create_async_engine
assert AsyncSession is sqlalchemy.ext.asyncio.session.AsyncSession
assert not hasattr(package, "Nonsense")
"""


@pytest.mark.parametrize(
    "script", [LEAN, LEAN + ALL, "import sys\n" + FIRST + ALL], ids=["lean", "all", "first"]
)
def test_the_mapper_is_loaded_only_for_those_who_ask_for_it(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
