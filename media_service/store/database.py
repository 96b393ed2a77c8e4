"""Reads and changes on an engine, each whole.

Whatever was begun runs to its end, also when its caller is cancelled meanwhile: a viewer's leaving never tears a
connection out of the pool, and whether a change happened does not depend on the millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Executable, Row, RowMapping, text

from media_service import errors
from media_service.store.asynchronous import AsyncConnection, AsyncEngine
from media_service.store.changes import Changes
from media_service.store.disk import to_its_end
from media_service.store.engine import READ_VERSION, apart, in_our_words, look_afresh, writing
from media_service.store.generations import EVERYTHING, Generations

T = TypeVar("T")
Read = Callable[[Executable], Awaitable[Sequence[RowMapping]]]


class Database:
    """Calls on `engine`, which `finish` waits for. Every call may raise errors.StorageFull and CatalogUnavailable.

    `generations` tell all who keep what they have read of what is written here.
    """

    def __init__(self, engine: AsyncEngine, generations: Generations) -> None:
        self.generations = generations
        self._engine = engine
        self._writing_engine = writing(engine)
        self._apart = apart(engine)
        # One writer at a time, in the order of asking; SQLite's own waiting is by polling and unfair.
        self._one_writer = asyncio.Lock()
        self._changes = Changes(engine)
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

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Read]:
        """Reads that all see the catalog as it is at the first of them, for as long as the block runs.

        Nobody waits for them, but what is written meanwhile cannot be folded into SQLite's file: mind the time.
        """
        connection = self._apart.connect()

        async def read(query: Executable) -> Sequence[RowMapping]:
            return await self._run(fetch(query))

        async def fetch(query: Executable) -> Sequence[RowMapping]:
            if connection.sync_connection is None:
                await connection.start()
            return (await connection.execute(query)).mappings().all()

        try:
            yield read
        finally:
            if connection.sync_connection is not None:
                await to_its_end(connection.close())

    async def write(
        self, change: Callable[[AsyncConnection], Awaitable[T]], *, of: str | None = EVERYTHING
    ) -> T:
        """The result of `change` on a connection in a transaction of its own: all of it happens, or nothing.

        `of` is the id of the asset that it concerns; None where nothing that viewers get depends on it.
        """

        async def call() -> T:
            async with self._one_writer:
                try:
                    async with self._writing_engine.begin() as connection:
                        # Not before: until it has the lock nothing changes, and that may be another's for long.
                        self.generations.changing(of)
                        return await change(connection)
                finally:
                    self.generations.changed(of)  # whatever came of it: a commit that fails may have happened

        return await self._run(call())

    async def changed(self) -> bool:
        """Whether anything may have been committed since the last call, by whomever; for one caller at a time."""
        return await self._run(self._changes.any())

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
        self._changes.close()

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
        self.generations = database.generations
        self._check = database.check
        self._changed = database.changed
        self._read = database.read
        self._rows = database.rows
        self._snapshot = database.snapshot
        self._write = database.write


def only(rows: Sequence[RowMapping], what: str) -> dict[str, Any]:
    """The one row there is. Raises NotFound, in words, when there is none."""
    if not rows:
        raise errors.NotFound(f"There is no such {what}.")
    return dict(rows[0])
