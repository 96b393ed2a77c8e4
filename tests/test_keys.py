"""The command line's `keys`: with and without a service that runs on the same directory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.server import CHECKOUT, running_server


def command(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m media_service keys ...`."""
    return subprocess.run(
        [sys.executable, "-m", "media_service", "keys", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "MEDIA_SERVICE_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_keys_are_made_listed_and_revoked_where_no_service_runs(tmp_path: Path) -> None:
    data_dir = tmp_path / "not there yet"
    made = command(data_dir, "add", "camera 1", "--scope", "upload", "--scope", "read")
    assert (made.returncode, made.stderr) == (0, "")
    secret = made.stdout.strip()
    assert secret.startswith("msk_")
    assert secret.encode() not in b"".join(file.read_bytes() for file in data_dir.iterdir())
    assert command(data_dir, "add", "reader", "--scope", "read").returncode == 0
    listed = command(data_dir, "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["camera 1", "reader"]
    assert listed[0].split("\t")[1:3] == [secret.split("_")[1], "read,upload"]
    assert secret not in listed[0]
    assert command(data_dir, "revoke", "camera 1").returncode == 0
    assert command(data_dir, "revoke", listed[1].split("\t")[1]).returncode == 0
    assert command(data_dir, "list").stdout == ""


def test_what_cannot_be_is_said_in_a_sentence(tmp_path: Path) -> None:
    assert command(tmp_path, "add", "camera", "--scope", "read").returncode == 0
    for arguments, words in (
        (["add", "camera", "--scope", "read"], "There is a key 'camera' already."),
        (["add", " ", "--scope", "read"], "visible characters"),
        (["add", "other", "--scope", "write"], "'write' is not one of"),
        (["add", "other"], "--scope"),
        (["revoke", "nobody"], "There is no key 'nobody'."),
    ):
        failed = command(tmp_path, *arguments)
        assert failed.returncode != 0
        assert words in failed.stderr
        assert "Traceback" not in failed.stderr
    occupied = tmp_path / "a file"
    occupied.write_text("")
    assert "Traceback" not in command(occupied, "list").stderr


def test_a_service_that_runs_takes_the_key_and_soon_takes_it_no_more(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client(authorized=False) as client:
        secret = command(server.data_dir, "add", "camera", "--scope", "read").stdout.strip()
        key = {"Authorization": f"Bearer {secret}"}
        assert client.get("/api/v1/assets", headers=key).status_code == 200
        assert command(server.data_dir, "revoke", "camera").returncode == 0
        # The command took longer than the service remembers, or nearly: it is asked until it says no.
        answers = [client.get("/api/v1/assets", headers=key).status_code for _ in range(2)]
        deadline = time.monotonic() + 5
        while answers[-1] == 200 and time.monotonic() < deadline:
            answers.append(client.get("/api/v1/assets", headers=key).status_code)
        assert answers[-1] == 401
