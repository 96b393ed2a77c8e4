"""uvicorn as this service runs it: time-outs that suit media and proxies, word when it listens, a clean end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from media_service.server.known_uvicorn import zero_copy_support
from media_service.server.protocol import end_connections

# nginx keeps upstream connections for 30 s (k8s/nginx.conf); whoever closes an idle connection first must be nginx, or a request that is
# just on its way gets a reset instead of an answer.
KEEP_ALIVE_SECONDS = 75
# Connections that the kernel has accepted and we have not: a burst of players after a restart.
BACKLOG = 2048

log = logging.getLogger(__name__)


class Listener(uvicorn.Server):
    """A server that tells `on_listening` when it listens, and `on_stopping` before it waits for running responses.

    `protocol` is what uvicorn makes for each connection (server.protocol). `run(sockets)` takes the bound sockets (server.sockets) and closes them when it stops.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        protocol: type[asyncio.Protocol],
        shutdown_seconds: int,
        on_listening: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                # One line per request costs more than the request (facts.md); nginx writes the access log.
                access_log=False,
                server_header=False,
                # Without a list of trusted proxies, X-Forwarded-* is what any client writes into it.
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=shutdown_seconds,
            )
        )
        self._on_listening = on_listening
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, listen, then say so."""
        if (reason := zero_copy_support()) is not None:
            log.warning("files are not sent with sendfile(2): %s", reason)
        try:
            await super().startup(sockets)
        except OSError as error:
            # Two may be bound to one address (SO_REUSEADDR) and only one of them listens: both were started at the same time.
            log.error("cannot listen: %s", error.strerror)  # noqa: TRY400 # the traceback is of no use
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        if self.started:
            # What is there now stays. To look through these 100,000 objects whenever garbage is collected would keep all
            # clients waiting for tens of milliseconds each time.
            gc.freeze()
            self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let endless responses end before the others are waited for."""
        self._on_stopping()
        await super().shutdown(sockets)
        await end_connections(self.server_state)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on the first signal, at once on a second Ctrl-C.

        uvicorn raises the signal again after a clean stop, and the process would end with an error status.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
