"""The command line's `export`: the same lines as by HTTP, whole files only, and readers that have had enough."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.films import Film, Films
from tests.support.many_assets import multiply
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server


def command(data_dir: Path, *arguments: str, **settings: object) -> dict[str, Any]:
    """What starts `media-service export ...`."""
    chosen = {f"MEDIA_SERVICE_{name.upper()}": str(value) for name, value in settings.items()}
    return {
        "args": [sys.executable, "-m", "media_service", "export", *arguments],
        "cwd": CHECKOUT,
        "env": {**os.environ, "MEDIA_SERVICE_DATA_DIR": str(data_dir), **chosen},
    }


def export(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`media-service export ...`."""
    return subprocess.run(
        **command(data_dir, *arguments), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, films: Films) -> Iterator[Server]:
    """A service with two films, one of them signed."""
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as running:
        with running.client() as client:
            for title, visibility in (("=1+1", "public"), ("Signed", "signed")):
                content = films.film(Film(seconds=1, audio=visibility == "public")).read_bytes()
                wish = {"filename": "film.mp4", "title": title, "visibility": visibility}
                assert client.put("/api/v1/assets", params=wish, content=content).status_code == 201

            def settled() -> bool:
                items = client.get("/api/v1/assets").json()["items"]
                return {item["state"] for item in items} == {"playable"}

            wait_until(settled, 60, "the films play")
        yield running


@pytest.fixture(scope="module")
def crowded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with more films than any pipe holds."""
    directory = tmp_path_factory.mktemp("crowded")
    with server.client() as client:
        [asset] = client.get("/api/v1/assets", params={"q": "signed"}).json()["items"]
    with closing(sqlite3.connect(server.data_dir / "catalog.sqlite3")) as connection:
        connection.execute("VACUUM INTO ?", (str(directory / "catalog.sqlite3"),))
    multiply(directory / "catalog.sqlite3", asset["id"], 10_000)
    return directory


def test_it_writes_what_the_api_gives(server: Server, tmp_path: Path) -> None:
    columns = "id,title,state,sha256"
    with server.client() as client:
        by_http = client.get("/api/v1/assets.ndjson", params={"sort": "title", "columns": columns}).text
    done = export(server.data_dir, "--sort", "title", "--columns", columns)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted(by_http.splitlines())
    assert len(done.stdout.splitlines()) == 2
    place = tmp_path / "films.csv"
    done = export(server.data_dir, "--format", "csv", "-q", "signed", "-o", str(place))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert place.stat().st_mode & 0o777 == 0o600  # it holds tokens
    (row,) = csv.DictReader(place.read_text().splitlines())
    assert (row["title"], row["visibility"]) == ("Signed", "signed")
    with server.client(authorized=False) as client:
        assert client.get(row["hls"]).status_code == 200  # with a token that the service knows
    assert [path.name for path in tmp_path.iterdir()] == ["films.csv"]


def test_what_cannot_be_written_leaves_the_old_file(server: Server, tmp_path: Path) -> None:
    place = tmp_path / "films.csv"
    place.write_text("before")
    failed = export(server.data_dir, "--columns", "nonsense", "-o", str(place))
    assert failed.returncode == 1
    assert "there is no 'nonsense'" in failed.stderr
    assert place.read_text() == "before"
    failed = export(server.data_dir, "-o", str(tmp_path / "nowhere" / "films.csv"))
    assert (failed.returncode, "No such file or directory" in failed.stderr) == (1, True)


def test_a_reader_that_has_had_enough_is_no_mistake(server: Server) -> None:
    argv = f"{sys.executable} -m media_service export | true"
    environment = {**os.environ, "MEDIA_SERVICE_DATA_DIR": str(server.data_dir)}
    done = subprocess.run(
        argv,
        shell=True,
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_reader_that_does_not_read_holds_the_catalog_for_so_long_and_no_longer(crowded: Path) -> None:
    with subprocess.Popen(
        **command(crowded, export_seconds=2.5), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.wait(30) == 1
        finally:
            process.kill()
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read()
        assert b"This is not all: it took longer than EXPORT_SECONDS (2.5)" in process.stderr.read()


def test_an_export_that_is_ended_leaves_nothing(crowded: Path, tmp_path: Path) -> None:
    place = tmp_path / "films.ndjson"
    place.write_text("before")
    with subprocess.Popen(**command(crowded, "-o", str(place))) as process:
        try:
            wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 30, "it writes")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["films.ndjson"]
    assert place.read_text() == "before"


def test_a_pipe_stays_a_pipe_and_a_link_a_link(server: Server, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    with subprocess.Popen(**command(server.data_dir, "--columns", "id", "-o", str(pipe))) as process:
        assert len(pipe.read_text().splitlines()) == 2
        assert process.wait(30) == 0
    assert pipe.is_fifo()
    (tmp_path / "real").write_text("before")
    link.symlink_to("real")
    assert export(server.data_dir, "--columns", "id", "-o", str(link)).returncode == 0
    assert link.is_symlink()
    assert len((tmp_path / "real").read_text().splitlines()) == 2
