"""What SQLite adds to the contract: locks, cancellation, full disks, kills, leftovers."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import uvloop
from msgspec import structs
from sqlalchemy import text

from media_service import errors
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.database import Database
from media_service.store.engine import open_engine, sqlite_url
from media_service.store.generations import Generations
from tests.contracts.test_catalog import asset, rendition, segment


def test_nothing_is_left_open(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
            await asyncio.gather(*(catalog.add_asset(asset(f"a{number}")) for number in range(20)))
            await asyncio.gather(*(catalog.asset(f"a{number}") for number in range(20)))

    threads = set(threading.enumerate())
    asyncio.run(story())
    assert set(threading.enumerate()) <= threads  # those of other tests may end meanwhile
    descriptors = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    assert not any("c.sqlite3" in str(target) for target in descriptors)
    assert {path.name for path in tmp_path.iterdir()} == {
        "c.sqlite3",
        "generations",
    }  # the log was folded into the file


async def test_each_connection_is_durable_and_holds_foreign_keys(tmp_path: Path) -> None:
    async with (
        open_engine(sqlite_url(tmp_path / "c.sqlite3")) as engine,
        engine.connect() as one,
        engine.connect() as two,
    ):
        for connection in (one, two):
            answers = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                for name in (
                    "journal_mode",
                    "synchronous",
                    "foreign_keys",
                    "busy_timeout",
                    "journal_size_limit",
                )
            ]
            assert answers == ["wal", 2, 1, 30_000, 64 << 20]


async def test_a_path_with_odd_characters_is_a_path(tmp_path: Path) -> None:
    directory = tmp_path / "50% of?a#b&c=d ü"
    directory.mkdir()
    async with open_catalog(sqlite_url(directory / "c.sqlite3")) as catalog:
        await catalog.add_asset(asset())
    assert (directory / "c.sqlite3").exists()


async def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    async with open_catalog(sqlite_url(path)) as catalog:
        await catalog.add_asset(asset())
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(catalog.update_asset("one", width=1))
            assert (await catalog.asset("one")).width is None  # readers do not wait
            other.execute("UPDATE assets SET height = 2")
            await asyncio.to_thread(other.execute, "COMMIT")
            changed = await writing
    assert (changed.width, changed.height) == (1, 2)


async def test_readers_and_writers_at_once_are_never_locked_out(tmp_path: Path) -> None:
    async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
        await catalog.add_asset(asset())
        await catalog.put_renditions("one", [rendition()])

        async def write(number: int) -> None:
            await catalog.add_segments([segment(number)])
            await catalog.update_asset("one", height=number)

        async def read() -> None:
            for _ in range(5):
                await catalog.segments("one", "720p")
                await catalog.page(5)

        await asyncio.gather(*(write(number) for number in range(60)), *(read() for _ in range(20)))
        assert len(await catalog.segments("one", "720p")) == 60
        assert (await catalog.asset("one")).version == 61


async def test_cancelling_calls_at_any_moment_harms_nothing(tmp_path: Path) -> None:
    async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
        await catalog.add_asset(asset())
        for round_number in range(40):
            calls = [
                asyncio.create_task(catalog.update_asset("one", width=round_number)),
                asyncio.create_task(catalog.asset("one")),
                asyncio.create_task(catalog.page(5)),
            ]
            for _ in range(round_number):
                await asyncio.sleep(0)  # each round is cancelled one turn of the loop later
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert await catalog.update_asset("one", width=99) == await catalog.asset("one")
        await asyncio.gather(*(catalog.check() for _ in range(20)))


async def test_a_change_whose_caller_is_cancelled_happens_whole(tmp_path: Path) -> None:
    async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
        await catalog.add_asset(asset())
        call = asyncio.create_task(catalog.update_asset("one", width=7))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await catalog.asset("one")).width == 7


async def test_closing_waits_for_what_runs(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "c.sqlite3")
    async with open_catalog(url) as catalog:
        calls = [asyncio.create_task(catalog.add_asset(asset(f"a{number}"))) for number in range(10)]
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    async with open_catalog(url) as catalog:
        assert len(await catalog.asset_ids()) == 10


async def test_a_full_disk_is_storage_full_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    async with open_engine(sqlite_url(path)) as engine:
        catalog = Catalog(Database(engine, Generations()))
        await catalog.add_asset(asset())
        await catalog.put_renditions("one", [rendition()])
        await engine.dispose()
        async with engine.connect() as connection:  # the one connection in the pool: writes get it again
            await connection.execute(text("PRAGMA max_page_count=30"))
        large = [structs.replace(segment(number), samples=bytes(4096)) for number in range(50)]
        with pytest.raises(errors.StorageFull):
            await catalog.add_segments(large)
        assert await catalog.segments("one", "720p") == []
        assert (await catalog.renditions("one"))[0].made_segments == 0
        await catalog.add_segments([segment(0)])


def test_what_was_committed_survives_a_kill_and_what_was_not_is_gone(tmp_path: Path) -> None:
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.local_blobs import LocalBlobs
from sqlalchemy import text
from tests.contracts.test_catalog import asset

async def main():
    root = Path(sys.argv[1])
    blobs = LocalBlobs(root / "blobs")
    async with open_catalog(sqlite_url(root / "c.sqlite3")) as catalog:
        for name in ("one", "two"):
            async with await blobs.create(f"{name}/original.mp4") as writer:
                await writer.write(name.encode())
                await writer.seal()
            if name == "one":
                await catalog.add_asset(asset(name))
        async def die(connection):
            await connection.execute(text("UPDATE assets SET title = 'half'"))
            os.kill(os.getpid(), signal.SIGKILL)
        await catalog._write(die)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL

    async def after() -> None:
        async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
            assert await catalog.asset("one") == asset("one")
            assert await catalog.asset_ids() == {"one"}

    asyncio.run(after())
    assert sorted(path.name for path in (tmp_path / "blobs").iterdir()) == [
        "one",
        "two",
    ]  # "two" is the sweeper's


def test_it_works_on_uvloop(tmp_path: Path) -> None:
    async def story() -> int:
        async with open_catalog(sqlite_url(tmp_path / "c.sqlite3")) as catalog:
            await asyncio.gather(*(catalog.add_asset(asset(f"a{number}")) for number in range(10)))
            return len(await catalog.asset_ids())

    assert uvloop.run(story()) == 10


@pytest.mark.parametrize("harm", ["garbage", "emptied", "deleted", "replaced", "of another program"])
async def test_a_database_that_breaks_under_a_running_catalog_is_noticed(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "c.sqlite3"
    async with open_catalog(sqlite_url(path)) as catalog:
        await catalog.add_asset(asset())
    async with open_catalog(sqlite_url(path)) as catalog:  # its pages are in the file now, not in the log
        await catalog.check()
        if harm == "garbage":
            path.write_bytes(b"no database " * 4096)
        elif harm == "emptied":
            os.truncate(path, 0)
        else:
            path.unlink()
        if harm == "replaced":
            path.write_bytes(b"")
        elif harm == "of another program":
            with closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE notes (text)")
        for _ in range(2):
            with pytest.raises(errors.CatalogUnavailable):
                await catalog.check()
        assert path.exists() == (harm != "deleted")  # looking makes nothing


async def test_calls_on_a_broken_database_are_errors_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    async with open_engine(sqlite_url(path)) as engine:
        catalog = Catalog(Database(engine, Generations()))
        await catalog.add_asset(asset())
        await engine.dispose()
        path.write_bytes(b"no database " * 4096)
        for call in (catalog.asset("one"), catalog.update_asset("one", width=1), catalog.check()):
            with pytest.raises(errors.CatalogUnavailable):
                await call


async def test_a_catalog_that_is_no_database_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    path.write_bytes(b"no database " * 4096)
    with pytest.raises(errors.CatalogUnavailable, match="not a database"):
        async with open_catalog(sqlite_url(path)):
            pass


async def test_a_check_leaves_the_log_and_the_locks_alone(tmp_path: Path) -> None:
    """A process that closes a file gives up its locks on it (fcntl(2)); SQLite knows, and looking must not undo it."""
    path = tmp_path / "c.sqlite3"
    async with open_catalog(sqlite_url(path)) as catalog:
        for number in range(20):
            await asyncio.gather(catalog.check(), catalog.add_asset(asset(f"a{number}")), catalog.check())
        assert path.with_name("c.sqlite3-wal").stat().st_size > 0
        script = (
            "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM assets').fetchall()"
        )
        argv = [sys.executable, "-c", script, str(path)]
        await asyncio.to_thread(subprocess.run, argv, check=True, timeout=60)
        assert path.with_name("c.sqlite3-wal").stat().st_size > 0  # the other one did not think itself alone
        assert len(await catalog.asset_ids()) == 20
