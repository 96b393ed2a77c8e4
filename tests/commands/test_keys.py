"""The command line's `keys`: with and without a service that runs on the same directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

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


def test_programs_get_json(tmp_path: Path) -> None:
    made = json.loads(command(tmp_path, "add", "camera", "--scope", "upload", "--json").stdout)
    assert made["key"].startswith(f"msk_{made['id']}_")
    assert made["scopes"] == ["upload"]
    (listed,) = json.loads(command(tmp_path, "list", "--json").stdout)
    assert listed == {name: made[name] for name in made if name != "key"}
    assert json.loads(command(tmp_path, "revoke", "camera", "--json").stdout) == {"revoked": listed}
    assert json.loads(command(tmp_path, "list", "--json").stdout) == []


def test_what_another_user_would_lock_the_service_out_of_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    assert command(tmp_path, "add", "camera", "--scope", "read").returncode == 0
    os.chown(tmp_path / "catalog.sqlite3", 12345, 12345)
    failed = command(tmp_path, "list")
    assert failed.returncode != 0
    assert "setpriv --reuid=12345 --regid=12345" in failed.stderr


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


def test_root_makes_no_catalog_in_a_directory_of_the_services_user(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(tmp_path, 10001, 10001)
    refused = command(tmp_path, "add", "camera", "--scope", "read")
    assert refused.returncode == 1
    assert f"{tmp_path} belongs to user 10001" in refused.stderr
    assert not list(tmp_path.iterdir())
