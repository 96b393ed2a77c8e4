"""`media-service doctor`: what is installed, what of it works, and what players meet at the public address."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from secrets import token_hex

import click

from media_service.commands.catalog import CATALOG_FILE, in_catalog, told_in_words
from media_service.commands.printing import as_json, plain, print_json, terminal
from media_service.doctor.address import try_address
from media_service.doctor.findings import Finding, all_well
from media_service.doctor.machine import examine
from media_service.errors import NotFound
from media_service.settings import Settings, load
from media_service.store.api_keys import digest_of, new_key
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms

# The names of the keys that it makes, and how long none of its visits takes.
_MADE = re.compile("doctor [0-9a-f]{8}")
_FORGOTTEN_MS = 3_600_000
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STYLES = {"ok": "green", "note": "yellow", "BAD": "bold red"}


@click.command()
@click.argument("url", required=False)
@click.option(
    "--key",
    help="A key for what only keys see: with the scope 'manage' the panel's sign-in is tried as well. '-' reads it from the"
    " standard input. Without it, on the service's own machine, one that may only read is made and revoked again.",
)
@as_json
def doctor(url: str | None, *, key: str | None, in_json: bool) -> None:
    """Say what is installed, what of it works, and how well converters are fenced in.

    With URL, the public address of the service or of a film's page: ask there what Safari, AVPlayer, Chrome, Firefox, Media3
    and pages ask, and say what each would meet, and what is to be changed. Exit code 1 when something is amiss.
    """
    if url is None:
        found = examine(os.environ)
    else:
        with _ended_in_good_order(), nullcontext(_given(key)) if key is not None else _made_key() as secret:
            try:
                found = try_address(url, secret)
            except ValueError as error:
                raise click.ClickException(str(error)) from None
    _tell(found, in_json=in_json)
    sys.exit(0 if all_well(found) else 1)


def _given(key: str) -> str:
    return sys.stdin.readline().strip() if key == "-" else key


@contextmanager
def _ended_in_good_order() -> Iterator[None]:
    """The signals that end a process leave the block as an exception does, once: what comes then takes its time."""

    def end(number: int, _: object) -> None:
        for each in _ENDING_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in _ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _made_key() -> Iterator[str]:
    """A key for the time being, where the catalog lies; else "". Not the admin token: the address may be mistyped, and who
    answers there must not get what opens everything for ever."""
    with told_in_words():
        there = os.access(load(os.environ).data_dir / CATALOG_FILE, os.R_OK | os.W_OK)
    if not there:
        yield ""
        return
    key, secret = new_key(f"doctor {token_hex(4)}", ["read"], now=now_ms())

    async def add(catalog: Catalog, _: Settings) -> None:
        for old in await catalog.keys():  # of a doctor who was killed
            if _MADE.fullmatch(old.name) and old.created_at < now_ms() - _FORGOTTEN_MS:
                await catalog.revoke_key(old.id, now=now_ms())
        await catalog.add_key(key, digest_of(secret))

    async def revoke(catalog: Catalog, _: Settings) -> None:
        with suppress(NotFound):  # it ended before there was one
            await catalog.revoke_key(key.id, now=now_ms())

    try:
        in_catalog(add)
        yield secret
    finally:
        in_catalog(revoke)


def _tell(found: list[Finding], *, in_json: bool) -> None:
    if in_json:
        print_json({"well": all_well(found), "findings": found})
        return
    console = terminal()
    for finding in found:
        about = f"{finding.about}: " if finding.about else ""
        console.print(f"{finding.level:<5}", style=_STYLES[finding.level], end=" ")
        console.print(about, style="bold", end="")
        console.print(plain(finding.text), markup=False)
