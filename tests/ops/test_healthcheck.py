"""What the image asks the service, wherever that was told to listen."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from media_service.server.sockets import bound

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "healthcheck.py"


def ask(**settings: str) -> subprocess.CompletedProcess[str]:
    """Ask by the script; `settings` are of the service, without their prefix."""
    environment = {f"MEDIA_SERVICE_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@contextmanager
def listening(*, host: str = "", unix_socket: str = "", answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A service that answers once with `answer`: its port, and what it was asked."""
    asked: list[bytes] = []
    with bound(host=host, port=0, unix_socket=unix_socket, send_buffer_bytes=0, unsent_bytes=0) as sockets:
        [one] = sockets
        one.setblocking(True)
        one.listen()

        def serve() -> None:
            connection, _ = one.accept()
            with connection:
                asked.append(connection.recv(1 << 16))
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield 0 if unix_socket else one.getsockname()[1], asked
        thread.join(10)


ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::"])
def test_who_answers_at_its_address_is_alive(host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with listening(host="127.0.0.1" if host == "localhost" else host, answer=ALIVE) as (port, asked):
        done = ask(HOST=host, PORT=str(port))
    assert (done.returncode, done.stderr) == (0, "")
    assert asked[0].startswith(b"GET /livez HTTP/1.1\r\n")


def test_a_unix_socket_is_asked_instead_where_there_is_one(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listening(unix_socket=path, answer=ALIVE) as (_, asked):
        done = ask(HOST="0.0.0.0", PORT="8000", UNIX_SOCKET=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert asked[0].startswith(b"GET /livez HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [(ALIVE.replace(b"200", b"503"), "answered with 503"), (b"SSH-2.0\r\n", "no answer"), (b"", "no answer")],
)
def test_anything_else_is_not_alive(answer: bytes, said: str) -> None:
    with listening(host="127.0.0.1", answer=answer) as (port, _):
        done = ask(HOST="127.0.0.1", PORT=str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(said)


def test_nobody_there_is_said_in_one_line(tmp_path: Path) -> None:
    done = ask(UNIX_SOCKET=str(tmp_path / "socket"))
    assert done.returncode == 1
    assert done.stderr.startswith("no answer: FileNotFoundError")
    assert done.stderr.count("\n") == 1
