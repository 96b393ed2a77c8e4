"""The catalog's schema, step by step. `upgrade` brings any older catalog to HEAD, inside the caller's transaction.

A new one is made as it is today, without the steps: they need Alembic, which takes a third of a second and 10 MB.

A new step: add `versions/000N_what_it_does.py`, set HEAD to its revision; the tests compare the result with `models`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from media_service.store.models import metadata

HEAD = "0012"


def is_current(connection: Connection) -> bool:
    """Whether the schema is at HEAD: there is nothing to upgrade."""
    return inspect(connection).has_table("alembic_version") and _current(connection) == HEAD


def upgrade(connection: Connection) -> None:
    """Bring the schema to HEAD; does nothing if it is there. Raises NewerCatalog for one that HEAD does not know."""
    tables = inspect(connection).get_table_names()
    if not tables and connection.dialect.name == "sqlite":
        _make(connection)
        return
    current = _current(connection) if "alembic_version" in tables else None
    if current != HEAD:
        migrate(connection, current)


def migrate(connection: Connection, current: str | None = None) -> None:
    """Take all steps from `current` (None: from nothing) to HEAD. Raises NewerCatalog."""
    # Imported only when there is something to do: see above.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.util.exc import CommandError  # noqa: PLC0415 - see above

    config = Config()
    # ConfigParser takes "%" for interpolation; a path may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise NewerCatalog(
            f"The catalog has the schema {current!r}; this version of the service knows up to {HEAD!r}."
        ) from error


class NewerCatalog(Exception):
    """The catalog was written by a newer version of the service."""


def _make(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    # As Alembic makes it, which finds its way from here.
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _current(connection: Connection) -> str | None:
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
