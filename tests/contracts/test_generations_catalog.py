"""Whoever has read something of a film knows when it may be another: the story that every catalog must tell, change by change.

A change that a store gains must be added to FILMS or to NO_FILM: the last word is with whoever knows what viewers get.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from media_service.errors import BrokenMedia, MediaServiceError
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.database import OnDatabase
from media_service.store.engine import directory_of, sqlite_url
from media_service.store.event_log import News
from media_service.store.generations import GENERATIONS_FILE
from media_service.store.webhooks import new_webhook
from tests.contracts.test_catalog import asset, rendition, segment
from tests.contracts.test_keys_catalog import key, session
from tests.contracts.test_previews_catalog import PACK
from tests.contracts.test_uploads_catalog import upload

NOW = 1_000
LATER = 10**15
FAILED = BrokenMedia("The file is damaged.")

Story = Callable[[Catalog], Awaitable[object]]

# What each change of a store does to the film "one".
FILMS: dict[str, Story] = {
    "add_asset": lambda catalog: catalog.add_asset(asset("one")),
    "update_asset": lambda catalog: catalog.update_asset("one", visibility="signed"),
    "finish": lambda catalog: catalog.finish("one", {"720p": b"layout"}),
    "begin_attempt": lambda catalog: catalog.begin_attempt("one"),
    "end_attempt": lambda catalog: catalog.end_attempt("one"),
    "fail_asset": lambda catalog: catalog.fail_asset("one", FAILED),
    "delete_asset": lambda catalog: catalog.delete_asset("one"),
    "retry": lambda catalog: catalog.retry("one"),
    "put_renditions": lambda catalog: catalog.put_renditions("one", [rendition("480p")]),
    "update_rendition": lambda catalog: catalog.update_rendition("one", "720p", state="failed"),
    "set_init": lambda catalog: catalog.set_init("one", "720p", b"init", "avc1"),
    "add_segments": lambda catalog: catalog.add_segments([segment(3)]),
    "count_failure": lambda catalog: catalog.count_failure("one", ["720p"], 4, FAILED),
    "forget_failures": lambda catalog: catalog.forget_failures("one"),
    "keep_pack": lambda catalog: catalog.keep_pack("one", PACK),
    "set_swept": lambda catalog: catalog.set_swept("one", PACK.version),
    "begin_pack": lambda catalog: catalog.begin_pack("one"),
    "end_pack": lambda catalog: catalog.end_pack("one", 0),
    "begin_clips": lambda catalog: catalog.begin_clips("one"),
    "end_clips": lambda catalog: catalog.end_clips("one"),
}

# Nothing that a viewer gets depends on these.
NO_FILM: dict[str, Story] = {
    "add_upload": lambda catalog: catalog.add_upload(
        upload("three"), max_open=9, max_reserved_bytes=1 << 60, now=NOW
    ),
    "hold_upload": lambda catalog: catalog.hold_upload("two", None, "me", now=NOW, until=LATER),
    "renew_hold": lambda catalog: catalog.renew_hold("one", "me", until=LATER, offset=1, expires_at=LATER),
    "release_upload": lambda catalog: catalog.release_upload("one", "me", offset=2),
    "set_upload": lambda catalog: catalog.set_upload("one", "me", offset=3),
    "delete_upload": lambda catalog: catalog.delete_upload("one", "me"),
    "add_key": lambda catalog: catalog.add_key(key("other"), "other"),
    "use_key": lambda catalog: catalog.use_key("none", now=NOW),
    "revoke_key": lambda catalog: catalog.revoke_key("none", now=NOW),
    "add_session": lambda catalog: catalog.add_session(session(), "digest"),
    "delete_session": lambda catalog: catalog.delete_session("digest"),
    "add_webhook": lambda catalog: catalog.add_webhook(
        new_webhook("https://example.com/", ["asset.ready"], now=NOW)
    ),
    "delete_webhook": lambda catalog: catalog.delete_webhook("none"),
    "begin_delivery": lambda catalog: catalog.begin_delivery("none", now=NOW, waits=(1,)),
    "end_delivery": lambda catalog: catalog.end_delivery(
        "none", "delivered", now=NOW, next_at=None, status=200, error=None
    ),
    "forget_deliveries": lambda catalog: catalog.forget_deliveries(NOW),
    "append_events": lambda catalog: catalog.append_events([News("asset", "one")]),
}


@pytest.fixture(params=["sqlite"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Catalog, Catalog]]:
    """Two that share nothing but their directory, and two films."""
    assert request.param == "sqlite"
    url = sqlite_url(tmp_path / "catalog.sqlite3")
    async with open_catalog(url) as one, open_catalog(url) as other:
        for name in ("one", "two"):
            await one.add_asset(asset(name, state="playable"))
            await one.put_renditions(name, [rendition(asset_id=name)])
            await one.add_upload(upload(name), max_open=9, max_reserved_bytes=1 << 60, now=NOW)
        await one.hold_upload("one", None, "me", now=NOW, until=LATER)
        yield one, other


@pytest.fixture
def catalog(both: tuple[Catalog, Catalog]) -> Catalog:
    return both[0]


@pytest.fixture
def other(both: tuple[Catalog, Catalog]) -> Catalog:
    return both[1]


def writers() -> set[str]:
    """The public methods of the catalog that write, by themselves or by another."""
    calls: dict[str, set[str]] = {}
    for part in inspect.getmro(Catalog):
        if issubclass(part, OnDatabase) and part is not OnDatabase:
            [tree] = ast.parse(inspect.getsource(part)).body
            assert isinstance(tree, ast.ClassDef)
            for method in tree.body:
                if isinstance(method, ast.AsyncFunctionDef):
                    calls[method.name] = set(_of_self(method))
    writing = {"_write"}
    while more := {name for name, called in calls.items() if called & writing} - writing:
        writing |= more
    return {name for name in writing if not name.startswith("_")}


def _of_self(method: ast.AsyncFunctionDef) -> list[str]:
    return [
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    ]


def test_every_change_of_every_store_is_told_here() -> None:
    assert not FILMS.keys() & NO_FILM.keys()
    assert writers() == FILMS.keys() | NO_FILM.keys()


@pytest.mark.parametrize("name", sorted(FILMS))
async def test_a_change_of_a_film_is_seen_by_all_who_read_it_and_disturbs_no_other(
    name: str, catalog: Catalog, other: Catalog
) -> None:
    if name == "add_asset":
        await catalog.delete_asset("one")
    one, two = other.generations.stamp("one"), other.generations.stamp("two")
    await FILMS[name](catalog)
    assert catalog.generations.stamp("one") == other.generations.stamp("one") != one
    assert other.generations.stamp("two") == two


@pytest.mark.parametrize("name", sorted(NO_FILM))
async def test_what_concerns_no_film_disturbs_none(name: str, catalog: Catalog, other: Catalog) -> None:
    before = [other.generations.stamp(film) for film in ("one", "two", "three")]
    with suppress(MediaServiceError):  # also what comes to nothing
        await NO_FILM[name](catalog)
    assert [other.generations.stamp(film) for film in ("one", "two", "three")] == before


async def test_a_change_that_does_not_say_what_it_concerns_concerns_all(
    catalog: Catalog, other: Catalog
) -> None:
    before = [other.generations.stamp(film) for film in ("one", "two")]

    async def change(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE assets SET width = 1"))

    await catalog._write(change)
    assert not set(before) & {other.generations.stamp(film) for film in ("one", "two")}


async def test_while_a_change_is_under_way_nothing_holds_and_after_it_only_what_was_read_then(
    catalog: Catalog, other: Catalog
) -> None:
    before = other.generations.stamp("one")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def change(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE assets SET width = 7 WHERE id = 'one'"))
        begun.set()
        await go_on.wait()

    changing = asyncio.create_task(catalog._write(change, of="one"))
    await begun.wait()
    early = other.generations.stamp(
        "one"
    )  # the film is still as it was: what is read of it now must not be kept
    assert (await other.asset("one")).width is None
    assert early not in {before, other.generations.stamp("one")}
    go_on.set()
    while (await other.asset("one")).width is None:
        assert other.generations.stamp("one") not in {before, early}
    assert other.generations.stamp("one") not in {before, early}
    await changing
    assert other.generations.stamp("one") == catalog.generations.stamp("one")


async def test_nobody_ever_keeps_what_a_commit_has_changed(catalog: Catalog, other: Catalog) -> None:
    """Readers that keep what they read under the stamp before it, against a writer: in no order are they wrong."""
    kept: tuple[int, int] | None = None  # stamp, width
    last = 0
    hits = 0

    async def write() -> None:
        nonlocal last
        for width in range(1, 60):
            await catalog.update_asset("one", width=width)
            last = width
            await asyncio.sleep(width % 3 / 1000)

    writing = asyncio.create_task(write())
    while not writing.done():
        known = last  # returned: whoever asks from now on gets this or a later one
        stamp = other.generations.stamp("one")
        if kept is not None and kept[0] == stamp:
            hits += 1
            assert kept[1] >= known
            await asyncio.sleep(0)
        else:
            kept = stamp, (await other.asset("one")).width or 0
            assert kept[1] >= known
    await writing
    assert hits


@pytest.mark.parametrize("turns", range(12))
async def test_a_change_whose_caller_is_cancelled_is_seen_if_it_happened(
    catalog: Catalog, other: Catalog, turns: int
) -> None:
    before = other.generations.stamp("one")
    call = asyncio.create_task(catalog.update_asset("one", width=7))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    changed = (await other.asset("one")).width == 7
    assert changed == (turns > 0)
    assert (other.generations.stamp("one") != before) == changed
    assert other.generations.stamp("one") == other.generations.stamp("one")


async def test_after_a_change_that_failed_what_is_read_holds_again(catalog: Catalog) -> None:
    async def change(connection: AsyncConnection) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await catalog._write(change, of="one")
    assert catalog.generations.stamp("one") == catalog.generations.stamp("one")


IN_ANOTHER_PROCESS = """
import asyncio, os, signal, sys
from pathlib import Path
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url

async def main():
    async with open_catalog(sqlite_url(Path(sys.argv[1]))) as catalog:
        print("open", flush=True)
        sys.stdin.readline()
        if sys.argv[2] == "delete":
            await catalog.delete_asset("one")
        else:
            async def die(connection):
                os.kill(os.getpid(), signal.SIGKILL)
            await catalog._write(die, of="one")
asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["delete", "die"])
async def test_what_another_process_does_is_seen_also_when_it_is_killed_in_the_middle(
    what: str, catalog: Catalog, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.sqlite3"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        IN_ANOTHER_PROCESS,
        str(path),
        what,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    one, two = catalog.generations.stamp("one"), catalog.generations.stamp("two")
    await process.communicate(b"\n")
    assert process.returncode == (0 if what == "delete" else -signal.SIGKILL)
    assert catalog.generations.stamp("one") != one
    assert catalog.generations.stamp("two") == two
    if what == "die":
        assert catalog.generations.stamp("one") != catalog.generations.stamp("one")  # who knows what it did
        async with open_catalog(sqlite_url(path)):
            pass
    assert catalog.generations.stamp("one") == catalog.generations.stamp("one")


def test_commands_beside_a_service_share_its_stamps(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "media_service", "keys", "add", "camera", "--scope=read"]
    environment = {**os.environ, "MEDIA_SERVICE_DATA_DIR": str(tmp_path)}

    async def story() -> None:
        async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as catalog:
            before = catalog.generations.stamp("one")
            await asyncio.to_thread(subprocess.run, arguments, env=environment, check=True, timeout=60)
            assert catalog.generations.stamp("one") == catalog.generations.stamp("one") != before

    asyncio.run(story())


def test_stamps_lie_beside_the_catalog_and_those_of_a_catalog_in_memory_nowhere(tmp_path: Path) -> None:
    assert directory_of(sqlite_url(tmp_path / "catalog.sqlite3")) == tmp_path
    elsewhere: list[Any] = ["sqlite://", "sqlite+aiosqlite:///:memory:", "postgresql://host/catalog"]
    assert [directory_of(url) for url in elsewhere] == [None] * 3

    async def story() -> None:
        async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")):
            assert (tmp_path / GENERATIONS_FILE).exists()

    asyncio.run(story())
