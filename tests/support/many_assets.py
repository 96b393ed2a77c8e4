"""A catalog with as many assets as wanted: copies of one in their rows, all without a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

# What differs from row to row; `n` counts from 1. Each has facts of its own, as real ones do: nothing is remembered for it.
_OWN = {
    "id": "printf('%032x', n)",
    "title": "'Film about things, part ' || (n * 7919 % 1000003)",
    "search_text": "'film about things, part ' || (n * 7919 % 1000003)",
    "title_key": "printf('film about things, part %010d', n * 7919 % 1000003)",
    "size": "n * 104729 % 1000000007",
    "duration_seconds": "CASE WHEN n % 100 THEN n * 15485863 % 10000000 / 1000.0 END",
    "state": "CASE WHEN n % 1000 THEN 'ready' ELSE 'failed' END",
    "facts": "CAST(json_set(CAST(facts AS TEXT), '$.video.start_ticks', n) AS BLOB)",
    "created_at": "1700000000000 + n",
    "idempotency_key": "NULL",
    "clip_attempts": "99",
}
# There is no file to make anything of, and a service that tries has much to do beside what is looked at.
_NO_PREVIEWS = {
    "asset_id": _OWN["id"],
    "version": "''",
    "width": "0",
    "height": "0",
    "header_size": "0",
    "complete": "1",
    "film_us": "0",
    "count": "0",
    "tiles": "X''",
    "attempts": "99",
    "swept": "1",
}


def multiply(database: Path, template: str, count: int) -> None:
    """Add `count` copies of the asset `template` and of its renditions, in one transaction."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")  # a catalog for tests need not survive the power
        counted = (
            f"WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {count}) "
        )
        for table, key, own in (
            ("assets", "id", _OWN),
            ("renditions", "asset_id", {"asset_id": _OWN["id"]}),
        ):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(own.get(column, column) for column in columns)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) {counted} SELECT {values} FROM counted, {table} WHERE {table}.{key} = ?",
                (template,),
            )
        connection.execute(
            f"INSERT INTO previews ({', '.join(_NO_PREVIEWS)}) {counted} SELECT {', '.join(_NO_PREVIEWS.values())} FROM counted"
        )
