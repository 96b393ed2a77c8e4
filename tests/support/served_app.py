"""An ASGI application behind the service's own protocol, on either event loop, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from media_service.server.protocol import ZeroCopyProtocol, end_connections
from media_service.server.repeating import protocol_class
from tests.support.processes import wait_until

App = Callable[..., Awaitable[None]]
LOOPS = ("asyncio", "uvloop")
START_SECONDS = 10.0


class Served:
    """A running server that can be looked into."""

    def __init__(self, app: App, listening: socket.socket, **settings: Any) -> None:
        settings = {
            "http": protocol_class(),
            "timeout_graceful_shutdown": 1,
            "proxy_headers": False,
            **settings,
        }
        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False, **settings)
        self.server = uvicorn.Server(config)
        self.address = listening.getsockname()
        self.family = listening.family
        self._listening = listening
        self._app = app

    def run(self, loop: str) -> None:
        """Serve until `stop`."""
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self.server.serve(sockets=[self._listening])
        await end_connections(self.server.server_state)

    @property
    def port(self) -> int:
        """Where it listens, on the loopback address."""
        port: int = self.address[1]
        return port

    def connect(self, *, receive_buffer: int = 0) -> socket.socket:
        """A new connection of a client."""
        client = socket.socket(self.family, socket.SOCK_STREAM)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(20)
        client.connect(self.address)
        return client

    def connections(self) -> list[ZeroCopyProtocol]:
        """What the server holds of them."""
        return [
            one for one in list(self.server.server_state.connections) if isinstance(one, ZeroCopyProtocol)
        ]

    def tasks(self) -> int:
        """How many requests are being answered."""
        return len(self.server.server_state.tasks)

    def settled(self, descriptors: int) -> None:
        """Wait until it holds no connection, no task and no more descriptors than that."""
        wait_until(
            lambda: not self.connections() and not self.tasks() and open_descriptors() <= descriptors,
            START_SECONDS,
            "the server holds nothing of connections that have gone",
        )


def open_descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # names only


@contextmanager
def served(app: App, loop: str, *, unix: Path | None = None, **settings: Any) -> Iterator[Served]:
    """Serve the application while the block runs."""
    if unix is None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(unix))
        listening.listen()
    server = Served(app, listening, **settings)
    thread = threading.Thread(target=server.run, args=(loop,), name="served")
    thread.start()
    try:
        wait_until(lambda: server.server.started, START_SECONDS, "the server has started")
        yield server
    finally:
        server.server.should_exit = True
        thread.join(20)
        listening.close()
        assert not thread.is_alive()
