"""`make run` after everything is installed: starts the service, gives it a sample film, says where to look.

Standard library only. Ctrl-C ends the service (its own orderly shutdown), then this; nothing is left behind, exit code 0.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import sample_film

CHECKOUT = Path(__file__).resolve().parents[1]
LISTENS = "media_service listens on "
START_SECONDS = 30  # a first start makes the catalog; more than this means that something is wrong
STOP_SECONDS = 30  # more than the service's own grace, after which it is killed


class Stopped(Exception):
    """Ctrl-C, SIGTERM, or the terminal was closed."""


def main() -> int:
    """Run until stopped; returns the exit code."""
    own_the_terminal()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    host = os.environ.get("MEDIA_SERVICE_HOST", "127.0.0.1")
    port = os.environ.get("MEDIA_SERVICE_PORT", "8000")
    if os.environ.get("MEDIA_SERVICE_UNIX_SOCKET"):
        print(
            "No browser opens a Unix socket: unset MEDIA_SERVICE_UNIX_SOCKET, or start the service behind nginx"
            " (python -m media_service serve; docs/settings.md).",
            file=sys.stderr,
        )
        return 1
    # What is no number is left to the service, which names the variable.
    if port.isdecimal() and (problem := port_problem(host, int(port))):
        print(problem, file=sys.stderr)
        return 1
    try:
        with service() as running:
            url = running.wait_until_ready()
            print_directions(url, *with_a_film(url, data_dir()))
            return running.wait_until_gone()
    except Stopped:
        print("\nStopped.", flush=True)
        return 0


def own_the_terminal() -> None:
    """Take the terminal's foreground, so that Ctrl-C reaches this process alone and not make.

    make would die of it ("Interrupt", exit code 130) though everything stopped as it should. Ctrl-Z is ignored, since make
    would not notice that its child sleeps and the terminal would hang.
    """
    if not sys.stdin.isatty() or os.getpgrp() != os.tcgetpgrp(0):
        return
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a background group may then set the foreground
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())


def port_problem(host: str, port: int) -> str:
    """A sentence that helps when the service could not listen there; empty when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the service does
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"Port {port} on {host} is taken. Choose another one: MEDIA_SERVICE_PORT={port + 1} make run"
            return f"Cannot listen on {host} port {port}: {error.strerror}. See MEDIA_SERVICE_HOST and MEDIA_SERVICE_PORT."
    return ""


class Service:
    """The running server: its process, and the address it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = ""
        self._announced = threading.Event()  # set when the address is known, or never will be
        self._relay = threading.Thread(target=self._relay_output, daemon=True)
        self._relay.start()

    def _relay_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            print(line, end="", flush=True)
            if line.startswith(LISTENS):
                self.url = line.removeprefix(LISTENS).strip()
                self._announced.set()
        self._announced.set()

    def wait_until_ready(self) -> str:
        """The address, once /readyz says yes. Exits with a sentence when that takes too long or the service ends."""
        deadline = time.monotonic() + START_SECONDS
        self._announced.wait(START_SECONDS)
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.url and is_ready(self.url):
                return self.url
            time.sleep(0.1)  # there is nothing to await: /readyz is polled
        if (code := self.process.poll()) is not None:
            sys.exit(f"The service ended by itself with exit code {code}; its own words are above.")
        sys.exit(f"The service was not ready within {START_SECONDS} seconds.")

    def wait_until_gone(self) -> int:
        """The service's exit code, should it end by itself."""
        code = self.process.wait()
        self._relay.join()
        print(f"The service ended by itself with exit code {code}.", file=sys.stderr)
        return code or 1


@contextmanager
def service() -> Iterator[Service]:
    """`python -m media_service serve`, ended in good order on the way out.

    In a process group of its own: it gets one SIGTERM from here and not Ctrl-C as well, which would cut its shutdown
    short. Should this process be killed, the kernel sends it the SIGTERM.
    """
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "media_service", "serve"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield Service(process)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it is stopping already; nobody has to ask twice
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_ready(url: str) -> bool:
    """Does /readyz answer 200?"""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:  # noqa: S310 - our own service
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def data_dir() -> Path:
    """Where the service keeps everything; its default lies in the checkout."""
    return CHECKOUT / os.environ.get("MEDIA_SERVICE_DATA_DIR", "media")


def with_a_film(url: str, data: Path) -> tuple[str, str]:
    """(id of an asset to watch, admin token); makes and uploads the sample film when the catalog is empty.

    The id is empty when there is none: the service is worth running without the film, so that is only said.
    """
    token = os.environ.get("MEDIA_SERVICE_ADMIN_TOKEN") or (data / "admin-token").read_text().strip()
    film = CHECKOUT / "build" / "sample-film.mp4"  # kept: the next empty catalog gets it at once
    try:
        asset = sample_film.newest_asset(url, token)
        if asset is None:
            if not film.exists():
                print("Making a sample film (a few seconds) ...", flush=True)
                sample_film.make(film)
            asset = sample_film.upload(url, token, film)
    except (urllib.error.URLError, subprocess.CalledProcessError) as error:
        print(f"No sample film this time: {error}", file=sys.stderr)
        return "", token
    return str(asset["id"]), token


def print_directions(url: str, asset_id: str, token: str) -> None:
    """What a person needs next, in one block."""
    places = {
        "watch and seek": f"{url}/watch/{asset_id}" if asset_id else "",
        "admin panel": f"{url}/admin",
        "admin token": token,
        "API": f"{url}/schema",
    }
    lines = [f"  {name:<16} {place}" for name, place in places.items() if place]
    print("", *lines, "", "  Ctrl-C stops it.", "", sep="\n", flush=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
