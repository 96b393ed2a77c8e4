"""Requests for another protocol than HTTP/1.1: answered as if they did not ask, and in no log; an address that is taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.raw_http import RawConnection
from tests.support.server import CHECKOUT, running_server

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


AT_ITS_START = """
import gc
from media_service.server.listener import Listener
from media_service.server.repeating import protocol_class
from media_service.server.sockets import bound

async def app(scope, receive, send):
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})

def listens():
    print(gc.get_freeze_count() > 10_000)
    listener.should_exit = True

with bound(host="127.0.0.1", port=0, unix_socket="", send_buffer_bytes=0, unsent_bytes=0) as sockets:
    listener = Listener(
        app, protocol=protocol_class(), shutdown_seconds=2, on_listening=listens, on_stopping=lambda: None
    )
    listener.run(sockets)
"""


def test_what_is_there_when_it_listens_is_never_looked_through_for_garbage() -> None:
    argv = [sys.executable, "-c", AT_ITS_START]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "True\n"


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with running_server(tmp_path, transcode_workers=0) as first:
        environment = {
            "MEDIA_SERVICE_PORT": str(first.port),
            "MEDIA_SERVICE_DATA_DIR": str(tmp_path / "other"),
        }
        argv = [sys.executable, "-m", "media_service", "serve"]
        done = subprocess.run(
            argv, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 1
        assert (
            done.stderr == f"Error: Cannot listen on 127.0.0.1 port {first.port}: Address already in use.\n"
        )
