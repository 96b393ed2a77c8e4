"""A service that is killed and started again at the same address, for those who are in the middle of something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.nginx import free_port
from tests.support.server import Server, running_server


class Restartable:
    """A service on one data directory and one port. Made by `restartable_server`."""

    def __init__(self, directory: Path, settings: dict[str, object]) -> None:
        self.port = free_port()
        self._directory = directory
        self._settings = settings
        self._life = ExitStack()
        self.server = self.start()

    def start(self) -> Server:
        """Also `server` from now on."""
        running = running_server(self._directory, **{**self._settings, "port": self.port})
        self.server = self._life.enter_context(running)
        return self.server

    def kill(self) -> None:
        """SIGKILL."""
        self.server.kill()
        self._life.close()

    def close(self) -> None:
        """Ended in good order."""
        self._life.close()


@contextmanager
def restartable_server(directory: Path, **settings: object) -> Iterator[Restartable]:
    """Settings as `running_server` takes them."""
    service = Restartable(directory, settings)
    try:
        yield service
    finally:
        service.close()
