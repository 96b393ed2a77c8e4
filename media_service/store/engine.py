"""The database connection: what SQLite needs to be safe and never "locked", and the schema brought up to date."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, NullPool, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from media_service import errors
from media_service.store.asynchronous import AsyncEngine, create_async_engine
from media_service.store.files import sync_directory
from media_service.store.migrations import is_current, upgrade

log = logging.getLogger(__name__)

BUSY_MILLISECONDS = 30_000  # how long to wait for another process (a backup, the command line) that writes
_CONNECTIONS = (
    5  # each is a thread; catalog reads take well under a millisecond, so more would only wait for the GIL
)
CHECK_SECONDS = 2.0  # what a probe may wait for a lock; Kubernetes gives up on it soon after
READ_VERSION = "SELECT version_num FROM alembic_version"
_OURS = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
_NO_ROOM = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"})  # the latter: no room for WAL's shared memory

# WAL: readers do not wait for the writer. FULL: a commit is on the disk when it returns (the default NORMAL of many builds
# may lose the last commits with the power). Foreign keys are off in SQLite unless asked for, on each connection.
_EACH_CONNECTION = (
    f"PRAGMA busy_timeout={BUSY_MILLISECONDS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA journal_size_limit={64 << 20}",  # the log is as long as the longest export had it, else, for good
)


def sqlite_url(path: Path) -> URL:
    """The URL of an SQLite file; its directory must exist."""
    return URL.create("sqlite+aiosqlite", database=str(path))


def directory_of(url: str | URL) -> Path | None:
    """Where a database lies with what belongs to it; None unless it is an SQLite file."""
    url = make_url(url)
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database)).absolute().parent


@asynccontextmanager
async def open_engine(url: str | URL) -> AsyncIterator[AsyncEngine]:
    """An engine whose schema is up to date; its connections are closed on exit.

    Raises migrations.NewerCatalog, errors.StorageFull, errors.CatalogUnavailable.
    """
    url = make_url(url)
    engine = create_async_engine(url, pool_size=_CONNECTIONS, max_overflow=0)
    try:
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        with in_our_words():
            async with engine.connect() as connection:
                current = await connection.run_sync(is_current)
            if not current:  # or whoever only reads would wait for all who write
                async with writing(engine).begin() as connection:
                    await connection.run_sync(upgrade)
        if engine.dialect.name == "sqlite" and url.database:
            # SQLite syncs its file and its log; the name of a new file is ours to sync.
            await asyncio.to_thread(_sync_name, url.database)
        yield engine
    finally:
        await engine.dispose()


def writing(engine: AsyncEngine) -> AsyncEngine:
    """A view of `engine` whose transactions may write."""
    return engine.execution_options(writes=True)


def apart(engine: AsyncEngine) -> AsyncEngine:
    """An engine on the same database for reads that take their time, each transaction of which is one view of it.

    Its connections are made for one use: none is missing among the few that everything else shares.
    """
    made = create_async_engine(engine.url, poolclass=NullPool, execution_options={"long": True})
    if made.dialect.name == "sqlite":
        _prepare_sqlite(made)
    return made


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn the database's "disk full" into errors.StorageFull, and what else is its own fault into CatalogUnavailable.

    What is ours (a row that is there already, a statement that is wrong) is raised as it is.
    """
    try:
        yield
    except _OURS:
        raise
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorname", None) in _NO_ROOM:
            raise errors.StorageFull("There is no room left on the disk of the catalog.") from error
        log.warning("the database fails: %s", error.orig)
        raise errors.CatalogUnavailable(f"The database says: {error.orig}.") from error
    except PoolTimeout as error:
        raise errors.CatalogUnavailable("The database does not answer in time.") from error


async def look_afresh(engine: AsyncEngine) -> None:
    """Read from the database as it lies on the disk now. Raises CatalogUnavailable.

    A connection that is open answers from its cache, and from a file that was deleted long ago; a new one cannot.
    """
    if engine.dialect.name == "sqlite" and engine.url.database:
        try:
            await asyncio.to_thread(_read_version, engine.url.database)
        except sqlite3.Error as error:
            raise errors.CatalogUnavailable(f"The database says: {error}.") from error


def _read_version(database: str) -> None:
    # "rw" makes no file where there is none; "ro" could not take part in the log (WAL).
    address = f"{Path(database).absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=CHECK_SECONDS)) as connection:
        if connection.execute(READ_VERSION).fetchone() is None:
            raise sqlite3.DatabaseError("the catalog has no version")


def _sync_name(database: str) -> None:
    sync_directory(Path(database).absolute().parent)


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `begin` below does
        cursor = connection.cursor()
        for pragma in _EACH_CONNECTION:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once: a transaction that reads first and then finds the lock taken fails
        # with "database is locked" without waiting. Reads are single statements and need no transaction.
        options = connection.get_execution_options()
        if options.get("writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif options.get("long"):
            connection.exec_driver_sql("BEGIN")
