from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, LargeBinary, StaticPool, create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from media_service.store import migrations
from media_service.store.catalog import open_catalog
from media_service.store.engine import open_engine, sqlite_url, writing
from media_service.store.listing import Selection
from media_service.store.models import metadata
from media_service.store.records import HistoryEntry
from media_service.timeline.facts import Facts

POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types the module's alias loosely
INSTALLED = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import media_service
assert media_service.__file__.startswith(sys.argv[1]), media_service.__file__
from media_service.store.catalog import open_catalog
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
async def main():
    async with open_catalog(sqlite_url(Path(sys.argv[1]) / "c.sqlite3")) as catalog:
        await catalog.page(1)
asyncio.run(main())
"""
ROOT = Path(__file__).resolve().parents[2]


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def shape(path: Path) -> dict[str, object]:
    """All that SQLite knows of a catalog's tables, whatever the words and the order in which they were made."""
    found: dict[str, object] = {}
    with closing(sqlite3.connect(path)) as catalog:
        for kind, name, table, sql in catalog.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master"
        ).fetchall():
            condition = (sql or "").partition(" WHERE ")[2]
            found[f"{kind} {name} of {table}"] = (condition, "AUTOINCREMENT" in (sql or ""))
            # Without the place of a column, or the number of an index: they say only when it was added.
            for pragma, number in (
                ("table_info", 0),
                ("index_list", 0),
                ("index_xinfo", 1),
                ("foreign_key_list", 0),
            ):
                rows = catalog.execute(f"PRAGMA {pragma}('{name}')").fetchall()
                found[f"{pragma} of {name}"] = sorted(
                    (row[:number] + row[number + 1 :] for row in rows), key=repr
                )
    return found


async def test_the_migrations_and_the_models_make_the_same(tmp_path: Path) -> None:
    stepwise, at_once = tmp_path / "stepwise.sqlite3", tmp_path / "at_once.sqlite3"
    make(stepwise, migrations.HEAD, "")
    async with open_engine(sqlite_url(at_once)) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert shape(stepwise) == shape(at_once)
    async with open_engine(sqlite_url(stepwise)) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_head_is_the_newest_step() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_opening_again_changes_nothing_and_neither_loads_alembic_nor_another_database(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from media_service.store.catalog import open_catalog
from media_service.store.engine import open_engine, sqlite_url
async def main():
    async with open_engine(sqlite_url(Path(sys.argv[1]))):
        print("alembic" in sys.modules, "sqlalchemy.dialects.postgresql" in sys.modules)
asyncio.run(main())
"""
    path = tmp_path / "c.sqlite3"
    argv = [sys.executable, "-c", script, str(path)]
    first = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    before = path.read_bytes()
    second = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    assert first.stdout == second.stdout == b"False False\n"
    assert path.read_bytes() == before


async def test_a_migration_that_breaks_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(tmp_path / "c.sqlite3")

    def half_way(connection: Connection) -> None:
        migrations.upgrade(connection)
        raise RuntimeError("the power went")

    monkeypatch.setattr("media_service.store.engine.upgrade", half_way)
    with pytest.raises(RuntimeError):
        async with open_engine(url):
            pass
    monkeypatch.undo()
    async with open_engine(url) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def make(path: Path, version: str, rows: str) -> None:
    """A catalog as an older version of the service left it."""
    with sqlite3.connect(path) as old, pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "HEAD", version)
        engine = create_engine("sqlite://", creator=lambda: old, poolclass=StaticPool)
        with engine.begin() as connection:
            migrations.migrate(connection)
        old.executescript(rows)
    old.close()


FIRST_VERSION = """
INSERT INTO assets (id, title, filename, search_text, extension, media_type, size, sha256, state, created_at, updated_at,
                    version, seekability, original_layout, has_poster, attempts, facts)
VALUES ('ready', '', '', '', 'mp4', '', 1, '', 'ready', 0, 0, 5, x'00', x'01', 1, 0,
        CAST('{"container": "mov", "subtitles": ["subrip"], "start_seconds": 0.5}' AS BLOB)),
       ('failed', '', '', '', 'mp4', '', 1, '', 'failed', 0, 0, 5, NULL, NULL, 0, 1, NULL);
INSERT INTO renditions (asset_id, name, kind, state, encoded_seconds) VALUES ('ready', '720p', 'video', 'ready', 3.0);
INSERT INTO segments (asset_id, rendition, number, blob, start, stop, payload_start, begin_ticks, duration_ticks, samples)
VALUES ('ready', '720p', 0, 'ready/runs/x', 0, 9, 3, 0, 9, x'00');
"""


async def test_films_of_the_first_version_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    make(path, "0001", FIRST_VERSION)
    async with open_catalog(sqlite_url(path)) as catalog:
        [unfinished] = await catalog.unfinished()
        assert (unfinished.id, unfinished.state, unfinished.version) == ("ready", "probing", 6)
        assert (unfinished.seekability, unfinished.original_layout) == (None, b"\x01")
        assert msgspec.json.decode(unfinished.facts or b"", type=Facts) == Facts(
            container="mov", start_seconds=0.5
        )
        assert await catalog.renditions("ready") == []
        assert await catalog.made("ready") == {}
        assert (await catalog.asset("failed")).state == "failed"


SECOND_VERSION = """
INSERT INTO assets (id, title, filename, search_text, extension, media_type, size, sha256, state, created_at, updated_at,
                    version, has_poster, attempts)
VALUES ('one', 'A film', 'a.mp4', '', 'mp4', 'video/mp4', 5, 'ab', 'ready', 1, 2, 5, 1, 0),
       ('twin', 'A film', 'a.mp4', '', 'mp4', 'video/mp4', 5, 'ab', 'ready', 2, 2, 5, 1, 0);
INSERT INTO renditions (asset_id, name, position, kind, state, packaged, codecs, bandwidth, average_bandwidth, segments,
                        made_segments)
VALUES ('one', '720p', 0, 'video', 'ready', 0, '', 1, 1, 3, 3);
"""


async def test_films_of_the_second_version_stay_as_they_are_and_are_found_by_their_bytes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.sqlite3"
    make(path, "0002", SECOND_VERSION)
    async with open_catalog(sqlite_url(path)) as catalog:
        one = await catalog.asset("one")
        assert (one.state, one.version, one.title, one.updated_at) == ("ready", 5, "A film", 2)
        assert [rendition.name for rendition in await catalog.renditions("one")] == ["720p"]
        assert await catalog.asset_of_digest("ab", 5) == one
        assert await catalog.asset_of_key("", "") is None
        assert await catalog.upload_ids() == set()
        # What happened to it since nobody has written down.
        assert await catalog.history("one") == [HistoryEntry(at=1, event="uploaded", detail="a.mp4")]


TITLES = """
INSERT INTO assets (id, title, filename, search_text, extension, media_type, size, sha256, state, created_at, updated_at,
                    version, has_poster, attempts)
SELECT value, 'Episode ' || value, '', '', 'mp4', '', 5, '', 'ready', 1, 2, 5, 1, 0
FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]');
"""


async def test_films_of_older_versions_are_sorted_by_their_titles(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite3"
    make(path, "0009", TITLES)
    async with open_catalog(sqlite_url(path)) as catalog:
        found, _ = await catalog.page(20, None, Selection(sort="title", order="asc"))
        assert [asset.title for asset in found] == [f"Episode {number}" for number in range(1, 12)]


async def test_a_catalog_of_a_newer_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "c.sqlite3")
    async with open_engine(url) as engine, writing(engine).begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrations.NewerCatalog, match="'9999'"):
        async with open_engine(url):
            pass


def test_two_processes_that_open_a_new_catalog_at_once_both_succeed(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from media_service.store.catalog import open_catalog
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
async def main():
    sys.stdin.readline()
    async with open_catalog(sqlite_url(Path(sys.argv[1]))) as catalog:
        await catalog.check()
asyncio.run(main())
"""
    argv = [sys.executable, "-c", script, str(tmp_path / "c.sqlite3")]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE) as one,
        subprocess.Popen(argv, stdin=subprocess.PIPE) as two,
    ):
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert [one.wait(60), two.wait(60)] == [0, 0]


def test_the_tables_can_be_written_for_postgresql() -> None:
    for table in metadata.sorted_tables:
        sql = str(CreateTable(table).compile(dialect=POSTGRESQL))
        opaque = [column for column in table.columns if isinstance(column.type, LargeBinary)]
        assert sql.count("BYTEA") == len(opaque)
        assert "CHECK" not in sql


def test_the_migrations_run_from_wherever_the_package_lies(tmp_path: Path) -> None:
    site = tmp_path / "50% site"
    shutil.copytree(
        ROOT / "media_service", site / "media_service", ignore=shutil.ignore_patterns("__pycache__")
    )
    subprocess.run([sys.executable, "-c", INSTALLED, str(site)], check=True, cwd=tmp_path, timeout=60)


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    subprocess.run(
        [sys.executable, "-c", INSTALLED, str(tmp_path / "site")], check=True, cwd=tmp_path, timeout=60
    )


async def test_who_opens_a_catalog_of_today_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "catalog.sqlite3")
    async with (
        open_engine(url) as engine,
        writing(engine).begin(),
        asyncio.timeout(10),
        open_engine(url) as other,
        other.connect() as connection,
    ):
        assert await connection.run_sync(migrations.is_current)
