"""A supervisor of processes that do nothing but what a test wants: `python -m tests.support.supervised DIRECTORY WORKERS`.

Each worker makes a file ROLE-PID in the directory when it begins, and serves once it may; a file `fails` there makes those end that
begin, a file `none` keeps them from being started at all. Where a file `short` was from the beginning, one has lived for long
after SHORT_SECONDS. What they hear goes into their files.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from media_service.server import supervisor
from media_service.server.leash import READY
from media_service.server.supervisor import Role, Supervisor

LISTENS = "all serve"
SHORT_SECONDS = 0.5


def supervise(directory: Path, workers: int) -> int:
    """The exit status."""
    if (directory / "short").exists():
        supervisor.LONG_SECONDS = SHORT_SECONDS

    def command(role: Role, leash: int, way: int) -> list[str]:
        return [
            str(directory / "nothing") if (directory / "none").exists() else sys.executable,
            "-m",
            "tests.support.supervised",
            str(directory),
            role,
            str(leash),
            str(way),
        ]

    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as lock:
        return Supervisor(
            command,
            workers=workers,
            sockets=[listening],
            lock=lock.fileno(),
            environment=lambda role: {**os.environ, "SAID": f"to a {role}"},
            on_listening=lambda: print(LISTENS, flush=True),
        ).run()


def work(directory: Path, role: str, leash: int, way: int) -> None:
    """One of them."""
    note = directory / f"{role}-{os.getpid()}"
    heard = [f"environment {os.environ['SAID']}", f"way {socket.socket(fileno=way).type.name}"]

    def hear(word: str) -> None:
        heard.append(word)
        note.write_text("\n".join(heard))

    def on_signal(number: int, _: object) -> None:
        hear(signal.Signals(number).name)
        # Ctrl-C again is what ends a worker that does not end by itself.
        if not (directory / "stays").exists() or number == signal.SIGINT:
            os._exit(0)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    hear("begins")
    if (directory / "fails").exists():
        sys.exit(7)
    end = socket.socket(fileno=leash)
    if role == "sender":
        hear(f"word {end.recv(1).decode()}")
    end.send(READY)
    while word := end.recv(1):
        hear(f"word {word.decode()}")
    while True:
        signal.pause()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if len(sys.argv) == 3:
        sys.exit(supervise(place, int(sys.argv[2])))
    work(place, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
