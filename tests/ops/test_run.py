"""`make run` as a person types it: on a terminal, watched, ended with Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.nginx import free_port
from tests.support.processes import Process, descendants, still_running, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
CTRL_C = b"\x03"
CTRL_Z = b"\x1a"
START_SECONDS = 120.0  # makes the sample film at the first time


class Terminal:
    """`make run` on a pseudo-terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, screen: Path) -> None:
        self.process = process
        self._master = master
        self._screen = screen
        os.set_blocking(master, False)

    def text(self) -> str:
        """All that was printed so far."""
        with self._screen.open("ab") as screen:
            while piece := self._read():
                screen.write(piece)
        return self._screen.read_text(errors="replace").replace("\r\n", "\n")

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, words: str) -> None:
        """Until `words` are on the screen, or nothing more can come."""
        wait_until(lambda: words in self.text() or self.process.poll() is not None, START_SECONDS, words)
        assert words in self.text(), self.text()

    def wait_for_end(self) -> int:
        """The exit code of make. The screen is read meanwhile: a full one would block who writes to it."""
        wait_until(lambda: bool(self.text()) and self.process.poll() is not None, 60, "make ends")
        return self.process.returncode

    def _read(self) -> bytes:
        try:
            return os.read(self._master, 65536)
        except (BlockingIOError, OSError):  # OSError (EIO): the last process on it has ended
            return b""


@contextmanager
def make_run(tmp_path: Path, port: int) -> Iterator[Terminal]:
    """`make run` with its data below `tmp_path`."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MEDIA_SERVICE_", "MAKE", "MFLAGS"))
    }
    environment |= {"MEDIA_SERVICE_PORT": str(port), "MEDIA_SERVICE_DATA_DIR": str(tmp_path / "media")}
    screen = tmp_path / "screen"
    screen.write_bytes(b"")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", "make", "run"],
        cwd=CHECKOUT, env=environment, stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master, screen)
    finally:
        for left in descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        os.close(master)


def family(terminal: Terminal) -> list[Process]:
    return descendants(terminal.process.pid)


def address(terminal: Terminal, name: str) -> str:
    [found] = re.findall(rf"^  {name} +(\S+)$", terminal.text(), re.MULTILINE)
    return str(found)


def items(listing: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(listing, headers=headers).json()["items"]
    return found


def looked_at(listing: str, headers: dict[str, str]) -> dict[str, Any]:
    """The newest film, once it is indexed."""
    wait_until(lambda: items(listing, headers)[0]["state"] != "probing", 30, "the film is looked at")
    return items(listing, headers)[0]


def test_it_starts_shows_a_film_and_stops_twice(tmp_path: Path) -> None:
    watched = []
    for _ in range(2):
        with make_run(tmp_path, free_port()) as terminal:
            terminal.wait_for("Ctrl-C stops it.")
            members = family(terminal)
            headers = {"Authorization": f"Bearer {address(terminal, 'admin token')}"}
            watch = address(terminal, "watch and seek")
            assert httpx.get(watch).status_code == 200
            assert httpx.get(address(terminal, "admin panel")).status_code == 200
            listing = watch.partition("/watch/")[0] + "/api/v1/assets"
            titles = [asset["title"] for asset in items(listing, headers)]
            assert titles == ["Sample film: a running clock"]
            assert looked_at(listing, headers)["duration"] == pytest.approx(60, abs=0.1)
            watched.append(watch.partition("/watch/")[2])
            terminal.type(CTRL_Z)  # would hang the terminal, so it does nothing
            terminal.type(CTRL_C)
            assert terminal.wait_for_end() == 0, terminal.text()
            assert "Stopped." in terminal.text()
            assert "Error" not in terminal.text()
            assert "Traceback" not in terminal.text()
            assert not [member for member in members if still_running(member)]
    assert watched[0] == watched[1]  # the second time the catalog is not empty, and nothing is uploaded


def test_a_service_whose_launcher_is_killed_ends_too(tmp_path: Path) -> None:
    with make_run(tmp_path, free_port()) as terminal:
        terminal.wait_for("Ctrl-C stops it.")
        members = family(terminal)
        [launcher] = [
            one for one in members if b"scripts/run.py" in Path(f"/proc/{one.pid}/cmdline").read_bytes()
        ]
        os.kill(launcher.pid, signal.SIGKILL)
        wait_until(lambda: not any(still_running(member) for member in members), 30, "all have ended")


def test_a_taken_port_is_said_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with make_run(tmp_path, port) as terminal:
            terminal.wait_for(
                f"Port {port} on 127.0.0.1 is taken. Choose another one: MEDIA_SERVICE_PORT={port + 1} make run"
            )
            assert terminal.wait_for_end() == 2  # make's code for a recipe that failed
            assert "Traceback" not in terminal.text()


@pytest.mark.parametrize(("name", "value"), [("PORT", "http"), ("UNIX_SOCKET", "/run/media-service/socket")])
def test_a_setting_that_does_not_fit_is_said(name: str, value: str) -> None:
    environment = {"PATH": os.environ["PATH"], f"MEDIA_SERVICE_{name}": value}
    argv = [str(CHECKOUT / ".venv/bin/python"), "scripts/run.py"]
    done = subprocess.run(
        argv, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode != 0
    assert f"MEDIA_SERVICE_{name}" in done.stderr
    assert "Traceback" not in done.stderr
