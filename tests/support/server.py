"""A real service in a process of its own, as `make run` and the container start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import descendants, memfd_bytes, rss_bytes, still_running, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-tests-0123456789abcdef"
LISTENS = "media_service listens on "
START_SECONDS = 30.0
STOP_SECONDS = 30.0


class ServerFailed(AssertionError):
    """It did not start, or did not stop as it should; the text holds its log."""


class Server:
    """A running service. Made by `running_server`."""

    def __init__(self, process: subprocess.Popen[bytes], *, data_dir: Path, log: Path) -> None:
        self._process = process
        self.data_dir = data_dir
        self.log = log
        self.pid = process.pid
        self.url = ""
        self.token = ""

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self.url.rpartition(":")[2])

    @property
    def running(self) -> bool:
        """False once it has ended, by whatever way."""
        return self._process.poll() is None

    def client(self, *, url: str = "", authorized: bool = True, timeout: float = 30.0) -> httpx.Client:
        """An HTTP client for it (to be closed: use `with`); `url` when nginx stands in front."""
        headers = {"Authorization": f"Bearer {self.token}"} if authorized else {}
        return httpx.Client(base_url=url or self.url, headers=headers, timeout=timeout)

    def rss_bytes(self, *, with_children: bool = False) -> int:
        """RssAnon + RssShmem, of its children (ffmpeg) too if asked. A memfd counts only where mapped: see memfd_bytes."""
        return sum(rss_bytes(pid) for pid in self._pids(with_children=with_children))

    def memfd_bytes(self) -> int:
        """RAM in the memfds that it or a child of it holds open, each once."""
        return memfd_bytes(*self._pids(with_children=True))

    def open_descriptors(self) -> int:
        """How many file descriptors it holds."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def open_sockets(self) -> int:
        """How many of its descriptors are sockets: unlike files and pipes, of no concern to what it makes of films."""
        count = 0
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since the directory was read
                count += str(link.readlink()).startswith("socket:")
        return count

    def kill(self) -> None:
        """SIGKILL, as a power cut would; returns when it is gone. Its children must follow by themselves."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM; it must end in good order: exit code 0, no child left. Raises ServerFailed."""
        family = descendants(self.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"SIGTERM did not end it within {STOP_SECONDS} s\n{self.log_text()}") from None
        if code != 0:
            raise ServerFailed(f"SIGTERM ended it with exit code {code}\n{self.log_text()}")
        left = [child for child in family if still_running(child)]
        if left:
            raise ServerFailed(f"it left children behind: {left}\n{self.log_text()}")

    def log_text(self, characters: int = 8000) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-characters:]

    def wait_until_listening(self) -> None:
        """Until it has printed its address. Raises ServerFailed when that takes too long or it ends instead."""

        def announced() -> bool:
            if not self.running:
                return True
            lines = self.log.read_text(errors="replace").splitlines()
            self.url = next(
                (line.removeprefix(LISTENS).strip() for line in lines if line.startswith(LISTENS)), ""
            )
            return bool(self.url)

        wait_until(announced, START_SECONDS, "the service prints its address")
        if not self.url:
            raise ServerFailed(
                f"it ended at its start, exit code {self._process.returncode}\n{self.log_text()}"
            )

    def _pids(self, *, with_children: bool) -> list[int]:
        return [
            self.pid,
            *(child.pid for child in descendants(self.pid) if with_children and not child.ended),
        ]


@contextmanager
def running_server(
    directory: Path, *, module: Any = ("media_service", "serve"), **settings: object
) -> Iterator[Server]:
    """A service with its data in `directory`/media, ended on the way out: in good order, or killed if the test failed.

    `settings` are the fields of media_service.settings.Settings. The same directory again is a restart. With
    `admin_token=""` the service makes its own token. On failure its log is printed. `module`: what Python runs, with
    arguments (a sequence of str; so typed, callers could not give their settings as a dict).
    """
    data_dir = directory / "media"
    chosen: dict[str, object] = {"port": 0, "data_dir": data_dir, "admin_token": TOKEN, **settings}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MEDIA_SERVICE_")}
    environment |= {f"MEDIA_SERVICE_{name.upper()}": str(value) for name, value in chosen.items()}
    environment["PYTHONUNBUFFERED"] = "1"
    log = directory / f"server-{len(list(directory.glob('server-*.log'))) + 1}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, data_dir=data_dir, log=log)
    try:
        server.wait_until_listening()
        server.token = str(chosen["admin_token"]) or (data_dir / "admin-token").read_text().strip()
        yield server
        if server.running:
            server.stop()
    except BaseException:
        print(f"--- {log} ---\n{server.log_text()}")
        raise
    finally:
        if server.running:
            server.kill()
