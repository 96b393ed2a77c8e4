"""Whether anybody has written to the database, without a query: what looks for news a few times a second costs next to nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from media_service import errors
from media_service.store.asynchronous import AsyncEngine


class Changes:
    """Watches the database of `engine`. To be asked by one caller at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._database = engine.url.database if engine.dialect.name == "sqlite" else None
        # Its own: the counter tells one connection of the commits of all others, in whichever process.
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None

    async def any(self) -> bool:
        """Whether something may have been committed since the last call. Raises CatalogUnavailable."""
        if self._database is None:
            return True  # elsewhere there is no such counter
        try:
            version = await asyncio.to_thread(self._read, self._database)
        except sqlite3.Error as error:
            raise errors.CatalogUnavailable(f"The database says: {error}.") from error
        changed, self._version = version != self._version, version
        return changed

    def close(self) -> None:
        """When nobody asks any more."""
        if self._connection is not None:
            self._connection.close()

    def _read(self, database: str) -> int:
        if self._connection is None:
            # "rw" makes no file where there is none; "ro" could not take part in the log (WAL).
            address = f"{Path(database).absolute().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        with closing(self._connection.execute("PRAGMA data_version")) as cursor:
            version: int = cursor.fetchone()[0]
        return version
