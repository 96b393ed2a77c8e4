"""Reads and changes on an engine, each whole.

Whatever was begun runs to its end, also when its caller is cancelled meanwhile: a viewer's leaving never tears a
connection out of the pool, and whether a change happened does not depend on the millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, Row, RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from media_service import errors
from media_service.store.disk import to_its_end
from media_service.store.engine import READ_VERSION, in_our_words, look_afresh, writing

T = TypeVar("T")


class Database:
    """Calls on `engine`, which `finish` waits for. Every call may raise errors.StorageFull and CatalogUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writing_engine = writing(engine)
        # One writer at a time, in the order of asking; SQLite's own waiting is by polling and unfair.
        self._one_writer = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def read(self, query: Executable) -> Sequence[RowMapping]:
        """The rows that a single statement finds, as mappings."""
        return [row._mapping for row in await self.rows(query)]  # noqa: SLF001 - public; the name keeps columns free

    async def rows(self, query: Executable) -> Sequence[Row[*tuple[Any, ...]]]:
        """The rows that a single statement finds, as tuples: a third of the cost where there are thousands."""

        async def call() -> Sequence[Row[*tuple[Any, ...]]]:
            async with self._engine.connect() as connection:
                return (await connection.execute(query)).all()

        try:
            return await self._run(call())
        except (UnicodeEncodeError, OverflowError):
            return []  # lone surrogates, numbers over 64 bits: what cannot be stored is not there

    async def write(self, change: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """The result of `change` on a connection in a transaction of its own: all of it happens, or nothing."""

        async def call() -> T:
            async with self._one_writer, self._writing_engine.begin() as connection:
                return await change(connection)

        return await self._run(call())

    async def check(self) -> None:
        """Raise CatalogUnavailable unless the database answers, and lies whole where it belongs."""
        if not await self.rows(text(READ_VERSION)):
            raise errors.CatalogUnavailable("The database has no version.")
        await self._run(look_afresh(self._engine))

    async def finish(self) -> None:
        """Refuse new calls (RuntimeError) and wait for those that run."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running)

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._closed:
            work.close()
            raise RuntimeError("the catalog is closed")
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        with in_our_words():
            return await to_its_end(task)


class OnDatabase:
    """What all parts of the catalog have: the calls of one database."""

    def __init__(self, database: Database) -> None:
        self._check = database.check
        self._read = database.read
        self._rows = database.rows
        self._write = database.write


def only(rows: Sequence[RowMapping], what: str) -> dict[str, Any]:
    """The one row there is. Raises NotFound, in words, when there is none."""
    if not rows:
        raise errors.NotFound(f"There is no such {what}.")
    return dict(rows[0])
