"""Requests for another protocol than HTTP/1.1: answered as if they did not ask, and in no log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.raw_http import RawConnection
from tests.support.server import running_server

HANDSHAKE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}


@pytest.fixture(scope="module")
def log_and_answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, tuple[int, str, str]]]:
    """What such requests add to the log of a service; and of each its status, its `Connection` and its content type."""
    answers = {}
    with running_server(tmp_path_factory.mktemp("service"), transcode_workers=0) as server:
        before = server.log_text()
        for name, wish in (("websocket", HANDSHAKE), ("h2c", H2C)):
            for path in ("/livez", "/api/v1/events", "/nowhere"):
                with RawConnection(server.port) as connection:
                    connection.request("GET", path, wish)
                    connection.send(b"\x81\x85\x00\x00\x00\x00hello")  # a frame of somebody who does not wait
                    head = connection.head()
                    connection.rest()  # comes to an end
                answers[f"{name} {path}"] = (
                    head.status,
                    head.headers["connection"],
                    head.headers["content-type"],
                )
        added = server.log_text().removeprefix(before)
    return added, answers


def test_a_handshake_is_answered_as_a_request_and_ends_its_connection(
    log_and_answers: tuple[str, dict[str, tuple[int, str, str]]],
) -> None:
    _, answers = log_and_answers
    problem = "application/problem+json"
    for name in ("websocket", "h2c"):
        assert answers[f"{name} /livez"][:2] == (200, "close")
        assert answers[f"{name} /api/v1/events"] == (401, "close", problem)
        assert answers[f"{name} /nowhere"] == (404, "close", problem)


def test_a_handshake_makes_no_noise_in_the_log(
    log_and_answers: tuple[str, dict[str, tuple[int, str, str]]], tmp_path: Path
) -> None:
    assert log_and_answers[0] == ""
