"""The workplace's tus 1.0.0 runner, directly and through nginx: nothing fails, and nothing that is announced is skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.nginx import running_nginx
from tests.support.resumable import UPLOADS
from tests.support.server import Server
from tests.support.shared import shared_file

EXTENSIONS = {
    *("creation", "creation-with-upload", "creation-defer-length"),
    *("termination", "checksum", "expiration", "concatenation"),
}


@pytest.mark.parametrize("way", ["directly", "through nginx"])
def test_no_rule_of_tus_is_broken(service: Server, tmp_path: Path, way: str) -> None:
    if way == "directly":
        assert_conforms(service, service.url, tmp_path / "found.json")
        return
    with running_nginx(tmp_path / "nginx", service.port) as nginx:
        assert_conforms(service, nginx.url, tmp_path / "found.json")


def assert_conforms(service: Server, origin: str, report: Path) -> None:
    """Every check of the runner passes: those of the protocol and those of the house."""
    runner = shared_file("tools/tus_conformance.py")
    argv = [sys.executable, str(runner), "--url", f"{origin}{UPLOADS}", "--json", str(report)]
    argv += ["--header", f"Authorization: Bearer {service.token}", "--type", "video/mp4", "--name", "t.mp4"]
    ran = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    announced = ran.stdout.splitlines()[0].removeprefix("extensions: ")
    assert set(announced.split(",")) == EXTENSIONS
    found = json.loads(report.read_text())
    assert len(found) > 50
    assert [name for name, outcome, *_ in found if outcome != "pass"] == []
