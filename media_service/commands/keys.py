"""`python -m media_service keys`: makes, lists and revokes API keys, whether the service runs or not.

It changes the catalog beside the service (SQLite lets several processes do that), so it needs no key itself: who can write
the data directory can do anything anyway. The running service knows of a change within a few seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime

import click
from rich.table import Table

from media_service.commands.catalog import in_catalog
from media_service.commands.printing import as_json, print_json, terminal
from media_service.settings import Settings
from media_service.store.api_keys import SCOPES, digest_of, new_key
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import ApiKey


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
@as_json
def add(name: str, scopes: tuple[str, ...], *, in_json: bool) -> None:
    """Make a key and print what opens; it is never shown again."""

    async def change(catalog: Catalog, _: Settings) -> tuple[ApiKey, str]:
        key, secret = new_key(name, scopes, now=now_ms())
        await catalog.add_key(key, digest_of(secret))
        return key, secret

    key, secret = in_catalog(change)
    if in_json:
        print_json({**_shown(key), "key": secret})
    else:
        click.echo(secret)


@keys.command("list")
@as_json
def list_keys(*, in_json: bool) -> None:
    """The keys that are not revoked, oldest first."""

    async def look(catalog: Catalog, _: Settings) -> list[ApiKey]:
        return await catalog.keys()

    found = in_catalog(look)
    console = terminal()
    if in_json:
        print_json([_shown(key) for key in found])
    elif console.is_terminal:
        table = Table("name", "id", "may", "made", "last used", box=None, header_style="bold")
        for key in found:
            used = "never" if key.last_used_at is None else _instant(key.last_used_at)
            table.add_row(key.name, key.id, ", ".join(key.scopes), _instant(key.created_at), used)
        console.print(table)
    else:
        for key in found:
            used = "never used" if key.last_used_at is None else f"last used {_instant(key.last_used_at)}"
            click.echo(
                "\t".join((key.name, key.id, ",".join(key.scopes), f"made {_instant(key.created_at)}", used))
            )


@keys.command()
@click.argument("name")
@as_json
def revoke(name: str, *, in_json: bool) -> None:
    """Revoke the key of this name, or id: it opens nothing any more."""

    async def change(catalog: Catalog, _: Settings) -> ApiKey:
        living = await catalog.keys()
        found = [key for key in living if key.name == name] or [key for key in living if key.id == name]
        if not found:
            raise click.ClickException(f"There is no key {name!r}.")
        await catalog.revoke_key(found[0].id, now=now_ms())
        return found[0]

    revoked = in_catalog(change)
    if in_json:
        print_json({"revoked": _shown(revoked)})


def _shown(key: ApiKey) -> dict[str, object]:
    """A key as the API shows it."""
    used = None if key.last_used_at is None else _rfc3339(key.last_used_at)
    return {
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "created_at": _rfc3339(key.created_at),
        "last_used_at": used,
    }


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _rfc3339(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
