"""uvicorn as this service runs it: time-outs that suit media and proxies, one line that says where, a clean end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# nginx keeps upstream connections for 30 s (k8s/nginx.conf); whoever closes an idle connection first must be nginx, or a request that is
# just on its way gets a reset instead of an answer.
KEEP_ALIVE_SECONDS = 75
# Connections that the kernel has accepted and we have not: a burst of players after a restart.
BACKLOG = 2048


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, but for requests to change to another protocol (WebSocket, h2c): there is none, and so they are
    answered as if they did not ask (RFC 9110 s7.8).
    """

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing, where uvicorn logs two lines for each: anybody could write as many as he likes.

        What comes behind such a request is not parsed, so the answer says that it is the connection's last.
        """
        if self.cycle is not None:
            self.cycle.keep_alive = False


class Listener(uvicorn.Server):
    """A server that announces its address and tells `on_stopping` before it waits for running responses."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        host: str,
        port: int,
        shutdown_seconds: int,
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http=Protocol,
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
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say where: port 0 is known only now."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print(f"media_service listens on http://{shown}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let endless responses end before the others are waited for."""
        self._on_stopping()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on the first signal, at once on a second Ctrl-C.

        uvicorn raises the signal again after a clean stop, and the process would end with an error status.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
