"""The tests' own way to start a service: it tells a good end from a bad one, and leaves nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.nginx import Nginx
from tests.support.server import Server, ServerFailed, running_server


def test_a_service_starts_answers_and_stops(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client() as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/api/v1/assets").json()["items"] == []
        assert server.rss_bytes() > 1 << 20
        assert server.memfd_bytes() == 0
        assert server.open_descriptors() > 3
        assert server.port > 0
    assert not server.running


def test_the_same_directory_again_is_a_restart(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        with running_server(tmp_path, admin_token="") as server, server.client() as client:
            assert client.get("/api/v1/assets").status_code == 200
            tokens.append(server.token)
            server.kill()
    assert tokens[0] == tokens[1]


def test_a_service_that_does_not_start_is_shown_with_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(ServerFailed, match="MEDIA_SERVICE_MAX_STREAMS"),
        running_server(tmp_path, max_streams="many"),
    ):
        pytest.fail("it started")
    assert "MEDIA_SERVICE_MAX_STREAMS" in capsys.readouterr().out


def test_a_service_that_ends_badly_fails_the_test(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        os.kill(server.pid, signal.SIGSTOP)  # as one that hangs, but sooner
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ServerFailed, match="exit code -9"):
            server.stop()


def test_the_shared_ones_stand_behind_one_another(server: Server, nginx: Nginx) -> None:
    with server.client(url=nginx.url, authorized=False) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/api/v1/assets").status_code == 401
