"""Requests about resumable uploads that still wait when the service's patience at its stop is over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from time import time

import pytest

from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.resumable import TUS, begin_tus
from tests.support.server import Server, running_server
from tests.support.uploads import key

ELSEWHERE_MS = 60_000


def is_wanted(server: Server) -> bool:
    """Whether somebody waits for the holder of the only upload to leave."""
    with closing(sqlite3.connect(server.data_dir / "catalog.sqlite3")) as catalog:
        return bool(catalog.execute("SELECT wanted FROM uploads").fetchone()[0])


def hold_elsewhere(server: Server) -> None:
    """As another server would, which does not leave when it is asked."""
    with closing(sqlite3.connect(server.data_dir / "catalog.sqlite3")) as catalog, catalog:
        until = int(time() * 1000) + ELSEWHERE_MS
        catalog.execute("UPDATE uploads SET holder = 'elsewhere', held_until = ?", (until,))


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_who_waits_for_a_holder_when_the_service_stops_is_told_to_come_again(
    tmp_path: Path, method: str
) -> None:
    with running_server(tmp_path, shutdown_seconds=1) as server:
        with server.client() as client:
            path = begin_tus(client, 10)
        hold_elsewhere(server)
        with RawConnection(server.port) as connection:
            connection.request(method, path, {**key(server), **TUS})
            wait_until(lambda: is_wanted(server), 10, "the request asks for the upload")
            server.stop()
            head = connection.head()
            assert (head.status, head.headers["retry-after"], head.headers["tus-resumable"]) == (
                503,
                "10",
                "1.0.0",
            )
        assert "Traceback" not in server.log_text()
