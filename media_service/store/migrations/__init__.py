"""The catalog's schema, step by step. `upgrade` brings any older catalog to HEAD, inside the caller's transaction.

A new step: add `versions/000N_what_it_does.py`, set HEAD to its revision; the tests compare the result with `models`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

HEAD = "0006"


def upgrade(connection: Connection) -> None:
    """Bring the schema to HEAD; does nothing if it is there. Raises NewerCatalog for one that HEAD does not know."""
    current = _current(connection)
    if current == HEAD:
        return
    # Imported only when there is something to do: Alembic takes a third of a second, which every start would pay.
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


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
