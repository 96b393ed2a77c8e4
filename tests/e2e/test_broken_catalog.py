"""A database that breaks under the running service: the probes say so."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import running_server


def test_a_broken_database_takes_the_service_out_of_the_rotation_and_does_not_kill_it(tmp_path: Path) -> None:
    with running_server(tmp_path):
        pass  # an orderly end leaves all in the file, nothing in the log
    with running_server(tmp_path) as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        catalog = server.data_dir / "catalog.sqlite3"
        catalog.write_bytes(b"no database " * catalog.stat().st_size)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        # Which of the two SQLite says depends on what it has read already, and on the new length.
        said = ready.json()["catalog"]
        assert "not a database" in said or "malformed" in said
        assert client.get("/livez").status_code == 200
