"""A service in several processes, seen from outside: which process is which, and which one holds a connection."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import children, still_running, wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server

START_SECONDS = 30.0


class Workers:
    """The processes of a running service."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def main(self) -> int:
        """The main process' id. Raises ValueError when there is none at the moment."""
        (pid,) = self._of("main_process")
        return pid

    @property
    def senders(self) -> list[int]:
        """The senders' ids."""
        return self._of("sender_process")

    def kill(self, pid: int) -> None:
        """SIGKILL one of them; returns when it is gone."""
        (known,) = (child for child in children(self._server.pid) if child.pid == pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not still_running(known), START_SECONDS, "a killed process is gone")

    @contextmanager
    def connected(self, *pids: int) -> Iterator[RawConnection]:
        """A connection that one of these has accepted: the others are stopped meanwhile."""
        others = [pid for pid in (self.main, *self.senders) if pid not in pids]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            connection = RawConnection(self._server.port)
            try:
                wait_until(lambda: self.holder(connection) in pids, START_SECONDS, "somebody has accepted it")
            except BaseException:
                connection.__exit__(None, None, None)
                raise
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
        with connection:
            yield connection

    def holder(self, connection: RawConnection) -> int | None:
        """The process that has the other end of the connection; None while that waits, or is nobody's."""
        inode = _peer_inode(*connection.ports)
        if inode is None:
            return None
        found = [pid for pid in (*self._of("main_process"), *self.senders) if inode in _sockets(pid)]
        return found[0] if len(found) == 1 else None

    def _of(self, module: str) -> list[int]:
        return [child.pid for child in children(self._server.pid) if module in _command(child.pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _sockets(pid: int) -> set[str]:
    found = set()
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
            except FileNotFoundError:
                continue  # closed since the directory was read
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return found


def _peer_inode(own_port: int, server_port: int) -> str | None:
    """Of the server's end of a connection by the loopback address (proc(5), /proc/net/tcp)."""
    local = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), 'little'):08X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == f"{local}:{server_port:04X}" and fields[2] == f"{local}:{own_port:04X}":
            return fields[9] if fields[9] != "0" else None
    return None
