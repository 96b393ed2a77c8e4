"""`python -m media_service keys`: makes, lists and revokes API keys, whether the service runs or not.

It changes the catalog beside the service (SQLite lets several processes do that), so it needs no key itself: who can write
the data directory can do anything anyway. The running service knows of a change within a few seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from media_service.errors import MediaServiceError
from media_service.settings import InvalidSettings, load
from media_service.store.api_keys import SCOPES, digest_of, new_key
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.files import make_directory
from media_service.store.instants import now_ms
from media_service.store.migrations import NewerCatalog
from media_service.store.records import ApiKey

T = TypeVar("T")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys (docs/security.md)."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    required=True,
    help="What it may do; repeat it for several. 'manage' includes the others.",
)
def add(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key and print what opens; it is never shown again."""

    async def change(catalog: Catalog) -> str:
        key, secret = new_key(name, scopes, now=now_ms())
        await catalog.add_key(key, digest_of(secret))
        return secret

    click.echo(_in_catalog(change))


@keys.command("list")
def list_keys() -> None:
    """The keys that are not revoked, oldest first."""

    async def look(catalog: Catalog) -> list[ApiKey]:
        return await catalog.keys()

    for key in _in_catalog(look):
        used = "never used" if key.last_used_at is None else f"last used {_instant(key.last_used_at)}"
        click.echo(
            "\t".join((key.name, key.id, ",".join(key.scopes), f"made {_instant(key.created_at)}", used))
        )


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Revoke the key of this name, or id: it opens nothing any more."""

    async def change(catalog: Catalog) -> None:
        living = await catalog.keys()
        ids = [key.id for key in living if key.name == name] or [key.id for key in living if key.id == name]
        if not ids:
            raise click.ClickException(f"There is no key {name!r}.")
        await catalog.revoke_key(ids[0], now=now_ms())

    _in_catalog(change)


def _in_catalog(story: Callable[[Catalog], Coroutine[Any, Any, T]]) -> T:
    async def run(path: Path) -> T:
        async with open_catalog(sqlite_url(path)) as catalog:
            return await story(catalog)

    with _told_in_words():
        directory = load(os.environ).data_dir
        make_directory(directory.absolute())
        return asyncio.run(run(directory / "catalog.sqlite3"))


@contextmanager
def _told_in_words() -> Iterator[None]:
    try:
        yield
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
    except NewerCatalog as error:
        raise click.ClickException(str(error)) from None
    except MediaServiceError as error:
        raise click.ClickException(error.detail or error.title) from None


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
