"""What commands share that open the catalog beside a service: SQLite lets several processes do that."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from media_service.errors import MediaServiceError
from media_service.server.token import TokenUnusable
from media_service.settings import InvalidSettings, Settings, load
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.files import make_directory
from media_service.store.migrations import NewerCatalog

CATALOG_FILE = "catalog.sqlite3"
_ENDING_SIGNALS = {signal.SIGTERM, signal.SIGHUP}  # SIGINT is asyncio's

T = TypeVar("T")


def in_catalog(story: Callable[[Catalog, Settings], Coroutine[Any, Any, T]]) -> T:
    """The result of `story` on the catalog of the data directory that the settings name. Raises click's errors, in words."""
    with told_in_words():
        settings = load(os.environ)
        make_directory(settings.data_dir.absolute())
        path = settings.data_dir / CATALOG_FILE
        _refuse_strangers(path)

        async def run() -> T:
            async with open_catalog(sqlite_url(path)) as catalog:
                return await story(catalog, settings)

        return asyncio.run(run())


def end_in_good_order() -> None:
    """The signals that end a process end what this task is at, as Ctrl-C does, with all that it has to tidy up."""
    task = asyncio.current_task()
    assert task is not None
    for number in _ENDING_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


@contextmanager
def told_in_words() -> Iterator[None]:
    """Errors within that are no mistake of ours end the command with a sentence."""
    try:
        yield
    except (InvalidSettings, NewerCatalog, TokenUnusable) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
    except MediaServiceError as error:
        raise click.ClickException(error.detail or error.title) from None


def _refuse_strangers(path: Path) -> None:
    """What another user makes in the data directory, the service could not read: root would lock it out of its own films."""
    try:
        found = path.stat()
    except FileNotFoundError:
        found = path.parent.stat()
        if os.geteuid() != 0:
            return  # it may be a volume of root's that a group shares: this user made nothing unreadable to itself
        path = path.parent
    if found.st_uid != os.geteuid():
        raise click.ClickException(
            f"{path} belongs to user {found.st_uid}, and this is user {os.geteuid()}: run this command as the user that the"
            f" service runs as, for example with `setpriv --reuid={found.st_uid} --regid={found.st_gid} --clear-groups`."
        )
