"""The real nginx with k8s/nginx.conf; only the address it listens on and the one it calls are replaced."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import wait_until

CONF = Path(__file__).resolve().parents[2] / "k8s" / "nginx.conf"
LISTEN = "listen 8080"
UPSTREAM = "server 127.0.0.1:8000"
START_SECONDS = 10.0


@dataclass(frozen=True)
class Nginx:
    """A running nginx. Made by `running_nginx`."""

    url: str
    pid: int
    directory: Path

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self.url.rpartition(":")[2])

    def access_log(self) -> list[dict[str, Any]]:
        """One dictionary per request that it has finished."""
        return [json.loads(line) for line in (self.directory / "access.log").read_text().splitlines()]

    def error_log(self) -> str:
        """What went wrong, in its own words."""
        return (self.directory / "error.log").read_text(errors="replace")


def program() -> str:
    """Where nginx is (Debian keeps it off ordinary users' PATH); skips the test where there is none."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed; `make test` installs it")
    return found


def configuration(*, port: int, upstream_port: int, conf: Path = CONF) -> str:
    """The text of `conf` that listens on `port` of the loopback address and calls `upstream_port`."""
    text = conf.read_text()
    assert f" {LISTEN} " in text, f"{conf} has no `{LISTEN}` to replace"
    assert f" {UPSTREAM};" in text, f"{conf} has no `{UPSTREAM}` to replace"
    return text.replace(LISTEN, f"listen 127.0.0.1:{port}").replace(
        UPSTREAM, f"server 127.0.0.1:{upstream_port}"
    )


@contextmanager
def running_nginx(directory: Path, upstream_port: int, conf: Path = CONF) -> Iterator[Nginx]:
    """nginx in front of a service on `upstream_port`; its logs and pid file go to `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    own_conf = directory / "nginx.conf"
    own_conf.write_text(configuration(port=port, upstream_port=upstream_port, conf=conf))
    argv = [program(), "-p", str(directory), "-e", "stderr", "-c", str(own_conf), "-g", "daemon off;"]
    with (directory / "access.log").open("ab") as access, (directory / "error.log").open("ab") as errors:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=access, stderr=errors)
    nginx = Nginx(url=f"http://127.0.0.1:{port}", pid=process.pid, directory=directory)
    try:
        wait_until(lambda: process.poll() is not None or listens(port), START_SECONDS, "nginx listens")
        assert process.poll() is None, f"nginx ended at its start:\n{nginx.error_log()}"
        yield nginx
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Does somebody listen on that port of the loopback address?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
