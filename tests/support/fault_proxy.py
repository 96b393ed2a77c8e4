"""../shared/tools/faultproxy.py between a client and the service: a bad line, as bad as the test wants it."""

from __future__ import annotations

import ast
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.nginx import free_port, listens
from tests.support.processes import wait_until
from tests.support.shared import shared_file

START_SECONDS = 10.0
Faults = dict[str, int | float]  # names and units as the proxy's own docstring has them


class FaultProxy:
    """A running proxy. Made by `running_fault_proxy`."""

    def __init__(self, port: int, control_port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._control = f"http://127.0.0.1:{control_port}"

    def set(self, faults: Faults) -> None:
        """These faults from now on, and no others. What is stuck in a stalled connection stays stuck."""
        self._ask("/reset?" + "&".join(f"{name}={value}" for name, value in faults.items()))

    def stats(self) -> dict[str, int]:
        """What it has done so far: `conns`, `up` and `down` (bytes forwarded), `cuts`, `injected`."""
        found: dict[str, int] = self._ask("/get")["stats"]
        return found

    def _ask(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._control}{path}", timeout=10) as answer:
            said: dict[str, Any] = ast.literal_eval(answer.read().decode())
        assert "unknown" not in said, said
        return said


@contextmanager
def running_fault_proxy(target_port: int) -> Iterator[FaultProxy]:
    """A proxy in front of what listens on `target_port`, without a fault yet; skips where the tool is absent."""
    tool = shared_file("tools/faultproxy.py")
    port, control_port = free_port(), free_port()
    argv = [sys.executable, str(tool), str(port), f"127.0.0.1:{target_port}", str(control_port)]
    # It complains of connections that it cut itself: nobody reads that.
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(
                lambda: process.poll() is not None or (listens(port) and listens(control_port)),
                START_SECONDS,
                "the fault proxy listens",
            )
            assert process.poll() is None, "the fault proxy ended at its start"
            yield FaultProxy(port, control_port)
        finally:
            process.kill()
