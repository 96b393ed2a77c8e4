"""The published range vectors over HTTP: on the product's listener, engine and sender, directly and through nginx."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nginx import running_nginx
from tests.support.processes import wait_until
from tests.support.shared import shared_file

CHECKOUT = Path(__file__).resolve().parents[2]
LISTENS = "media_service listens on "


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runner puts the vectors' files (one of them is 5 GiB of hole)."""
    directory = tmp_path_factory.mktemp("range-app") / "vectors"
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
def range_app(files: Path) -> Iterator[str]:
    """The URL of tests/support/range_app.py."""
    log = files.parent / "log"
    argv = [sys.executable, "-m", "tests.support.range_app", str(files.parent)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: process.poll() is not None or LISTENS in log.read_text(), 20, "it listens")
        assert process.poll() is None, log.read_text()
        yield log.read_text().partition(LISTENS)[2].split()[0]
    finally:
        process.terminate()
        process.wait()


def run_vectors(base: str, files: Path, results: Path) -> None:
    """Run them all; fails with the runner's own words and the counts."""
    vectors = shared_file("http/range_vectors.json")
    argv = [sys.executable, str(shared_file("tools/run_range_vectors.py")), "--base", base]
    argv += ["--path", "/media/vectors/f{size}.bin", "--dir", str(files)]
    argv += ["--vectors", str(vectors), "--json", str(results)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120)
    found = json.loads(results.read_text()) if results.exists() else {}
    verdicts = [verdict for verdict, *_ in found.values()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(verdicts) == len(json.loads(vectors.read_text())["vectors"]), done.stdout
    assert set(verdicts) <= {"ok", "also"}, done.stdout  # nothing failed, nothing skipped
    print(done.stdout)


def test_every_range_vector_holds_over_http(range_app: str, files: Path, tmp_path: Path) -> None:
    run_vectors(range_app, files, tmp_path / "direct.json")


def test_every_range_vector_holds_through_nginx(range_app: str, files: Path, tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", int(range_app.rpartition(":")[2])) as nginx:
        run_vectors(nginx.url, files, tmp_path / "nginx.json")
