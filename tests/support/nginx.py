"""The real nginx with k8s/nginx.conf; only the address it listens on, the one it calls and where it has files are replaced."""

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
UPSTREAM = "include service_address.conf;"
BLOBS = "alias /data/blobs/;"
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


def configuration(*, port: int, upstream: int | Path, conf: Path = CONF, blobs: Path | None = None) -> str:
    """The text of `conf` that listens on `port` of the loopback address and calls the port or Unix socket `upstream`.

    `blobs`: where the service's stored files are (DATA_DIR/blobs), for those that nginx is told to send itself.
    """
    called = f"unix:{upstream}" if isinstance(upstream, Path) else f"127.0.0.1:{upstream}"
    text = conf.read_text()
    for old, new in (
        (f" {LISTEN} ", f" listen 127.0.0.1:{port} "),
        (f" {UPSTREAM}\n", f" server {called};\n"),
        (f" {BLOBS}\n", f" {BLOBS}\n" if blobs is None else f" alias {blobs}/;\n"),
    ):
        assert old in text, f"{conf} has no `{old.strip()}` to replace"
        text = text.replace(old, new)
    return text


@contextmanager
def running_nginx(
    directory: Path,
    upstream: int | Path,
    conf: Path = CONF,
    *,
    blobs: Path | None = None,
    user: str = "root",
) -> Iterator[Nginx]:
    """nginx in front of a service on the port or Unix socket `upstream`; its logs and pid file go to `directory`.

    `blobs` as for `configuration`; what reads them, or opens the socket, is `user` if root runs the tests, and else whoever does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    own_conf = directory / "nginx.conf"
    own_conf.write_text(configuration(port=port, upstream=upstream, conf=conf, blobs=blobs))
    reaches = blobs is not None or isinstance(upstream, Path)
    reader = f" user {user};" if reaches and os.geteuid() == 0 else ""  # else nginx makes it `nobody`
    argv = [
        program(),
        "-p",
        str(directory),
        "-e",
        "stderr",
        "-c",
        str(own_conf),
        "-g",
        f"daemon off;{reader}",
    ]
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
