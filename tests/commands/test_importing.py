"""The command line's `import`: beside a service, without one, and interrupted."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.films import Film, Films
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server


def started(data_dir: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    """`media-service import ...`, to be waited for."""
    return subprocess.Popen(
        # What is begun in the background by a shell ignores Ctrl-C, and all that these tests begin would inherit it.
        [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            "media_service",
            "import",
            *map(str, arguments),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "MEDIA_SERVICE_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported(data_dir: Path, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and what became of each file."""
    with started(data_dir, "--json", *arguments) as process:
        output, errors = process.communicate(timeout=120)
    assert not errors
    return process.returncode, [json.loads(line) for line in output.splitlines()]


def open_files(pid: int) -> set[str]:
    """What a process has open; what it closes meanwhile is left out."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        yield running


@pytest.fixture
def folder(films: Films, tmp_path: Path) -> Path:
    """Two films, one of them twice, and what is none."""
    place = tmp_path / "films"
    (place / "more").mkdir(parents=True)
    one = films.film(Film(seconds=1)).read_bytes()
    (place / "one.mp4").write_bytes(one)
    (place / "more" / "one again").write_bytes(one)
    (place / "more" / "two \x1b[2J.bin").write_bytes(films.film(Film(seconds=1, audio=False)).read_bytes())
    (place / "note.txt").write_text("bring popcorn")
    return place


def wait_until_playable(server: Server, *asset_ids: str) -> None:
    with server.client() as client:

        def states() -> set[str]:
            return {client.get(f"/api/v1/assets/{asset_id}").json()["state"] for asset_id in asset_ids}

        wait_until(lambda: "probing" not in states(), 60, "the films are taken up")
        assert states() == {"playable"}


def test_a_running_service_begins_with_what_is_imported_at_once(service: Server, folder: Path) -> None:
    code, files = imported(service.data_dir, folder)
    assert code == 0
    assert sorted(file["outcome"] for file in files) == ["imported", "imported", "known", "passed over"]
    ids = {file["asset"] for file in files if file["asset"]}
    assert len(ids) == 2
    wait_until_playable(service, *ids)
    code, files = imported(service.data_dir, "--link", folder, folder / "note.txt")
    assert (code, {file["outcome"] for file in files}) == (1, {"known", "failed"})


def test_names_that_are_no_unicode_keep_no_other_file_from_being_told_of(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.mp4")
    Path(odd).write_text("none")
    code, files = imported(tmp_path / "media", odd, f"{odd}.gone")
    assert (code, len(files)) == (1, 2)
    assert {file["path"] for file in files} == {None, f"{tmp_path}/odd\N{REPLACEMENT CHARACTER}.mp4"}
    assert any("odd\N{REPLACEMENT CHARACTER}.mp4.gone: No such" in file["detail"] for file in files)


def test_a_service_that_starts_later_begins_with_it_then(folder: Path, tmp_path: Path) -> None:
    with started(tmp_path / "media", "--link", folder) as process:
        output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    *lines, last = output.splitlines()
    assert len(lines) == 4
    assert "\x1b" not in output
    assert {"2 imported", "1 known", "1 passed over"} == set(last.split(", "))
    assert (folder / "one.mp4").stat().st_nlink + (folder / "more" / "one again").stat().st_nlink == 3
    with running_server(tmp_path, transcode_workers=0) as server, server.client() as client:
        items = client.get("/api/v1/assets").json()["items"]
        assert len(items) == 2
        wait_until_playable(server, *(item["id"] for item in items))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_finds_nothing_half_made(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    large = folder / "large.mkv"
    with large.open("wb") as file:  # a film, and much behind it: reading it takes longer than ending it
        file.write((folder / "one.mp4").read_bytes())
        file.truncate(40 << 30)
    with started(tmp_path / "media", "--jobs", "1", large, folder / "one.mp4") as process:
        wait_until(lambda: str(large) in open_files(process.pid), 60, "it reads the film")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert not list((tmp_path / "media" / "blobs").iterdir())
    os.truncate(large, 0)
    assert imported(tmp_path / "media", folder / "one.mp4")[0] == 0


@pytest.mark.torture
def test_what_a_killed_import_leaves_is_an_unfinished_upload_that_the_service_removes(
    service: Server, folder: Path
) -> None:
    film = folder / "large.mp4"
    with film.open("wb") as file:  # large enough to be in the middle of its copy for a second
        file.write((folder / "one.mp4").read_bytes() + b"\0\0\0\1mdat" + (2 << 30).to_bytes(8))
        file.truncate(file.tell() + (2 << 30) - 16)
    blobs = service.data_dir / "blobs"
    before = set(blobs.iterdir())
    with started(service.data_dir, film) as process:
        wait_until(lambda: set(blobs.iterdir()) != before, 60, "it copies the film")
        process.kill()
    (left,) = set(blobs.iterdir()) - before
    with closing(sqlite3.connect(service.data_dir / "catalog.sqlite3")) as catalog, catalog:
        found = catalog.execute("SELECT owner, state FROM uploads WHERE id = ?", [left.name]).fetchall()
        assert found == [("import", "open")]
        assert not catalog.execute("SELECT id FROM assets WHERE id = ?", [left.name]).fetchall()
        catalog.execute(
            "UPDATE uploads SET expires_at = 1 WHERE id = ?", [left.name]
        )  # as if minutes had passed
    wait_until(lambda: not left.exists(), 30, "the service removes it")
    assert film.exists()
