"""Listening in one of several processes that share their sockets: each accepts what comes while it has nothing else to do."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from media_service.server.arriving import Arriving
from media_service.server.leash import Leash
from media_service.server.listener import BACKLOG, Listener
from media_service.server.moving import Way, take
from media_service.server.plain import Protocol
from media_service.server.sending import Sending

# No connection can be accepted or taken, since too many files are open: others end meanwhile.
PAUSE_SECONDS = 0.5
# Connections from senders in one turn of the event loop.
AT_ONCE = 16

Application = Callable[..., Awaitable[None]]

log = logging.getLogger(__name__)


class Worker(Listener):
    """A listener on `sockets` that others listen on as well; the supervisor hears through `leash` when it does.

    One connection is accepted in each turn of the event loop, not all that wait: else whoever wakes first gets all of them, and
    the others none.
    """

    def __init__(
        self,
        app: Application,
        sockets: list[socket.socket],
        leash: Leash,
        *,
        protocol: type[asyncio.Protocol],
        shutdown_seconds: int,
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(
            app,
            protocol=protocol,
            shutdown_seconds=shutdown_seconds,
            on_listening=self._begin,
            on_stopping=on_stopping,
        )
        self.leash = leash
        self._shared = sockets
        self._loop: asyncio.AbstractEventLoop
        self._beginnings: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application, then accept what comes."""
        self._loop = asyncio.get_running_loop()
        await super().startup([])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end what there is."""
        for each in self._shared:
            self._loop.remove_reader(each)
            each.close()
        if self._beginnings:  # else they would not hear that all is to end
            await asyncio.wait(self._beginnings)
        await super().shutdown([])

    def begin(self, connection: socket.socket, protocol: asyncio.Protocol) -> None:
        """Talk with whoever is at the other end."""
        begun = self._loop.connect_accepted_socket(lambda: protocol, connection)
        task: asyncio.Task[object] = self._loop.create_task(begun, name="a connection's beginning")
        self._beginnings.add(task)
        task.add_done_callback(self._begun)

    def accepted(self) -> asyncio.Protocol:
        """What talks with a client that has just come."""
        return self.inner()

    def inner(self) -> Protocol:
        """uvicorn's part of a connection, as uvicorn makes it."""
        make: Any = self.config.http_protocol_class
        made: Protocol = make(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=self._loop,
        )
        return made

    def listening(self) -> None:
        """Connections may come from here on."""

    def _begin(self) -> None:
        for each in self._shared:
            each.setblocking(False)  # noqa: FBT003 # the socket's own
            each.listen(BACKLOG)
            self._loop.add_reader(each, self._accept, each)
        self.listening()
        self.leash.ready()

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, ConnectionError):
            return  # another process was quicker, or the client has gone
        except OSError as error:
            log.error("no connection can be accepted: %s", error.strerror)  # noqa: TRY400 # of no use: the traceback
            self._loop.remove_reader(listening)
            self._loop.call_later(PAUSE_SECONDS, self._accept_again, listening)
            return
        self.begin(connection, self.accepted())

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening, self._accept, listening)

    def _begun(self, task: asyncio.Task[object]) -> None:
        self._beginnings.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection could not begin", exc_info=error)


class MainWorker(Worker):
    """The process that is the whole service; senders hand connections over through `taking`."""

    def __init__(
        self,
        app: Application,
        sockets: list[socket.socket],
        leash: Leash,
        taking: socket.socket,
        *,
        protocol: type[asyncio.Protocol],
        shutdown_seconds: int,
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(
            app,
            sockets,
            leash,
            protocol=protocol,
            shutdown_seconds=shutdown_seconds,
            on_stopping=on_stopping,
        )
        self._taking = taking

    def listening(self) -> None:
        """Connections may come from here on."""
        self._loop.add_reader(self._taking, self._take)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What the senders have handed over is answered like all others; from then on they know that nobody is here."""
        while self._take_next():
            pass
        self._end_taking()
        await super().shutdown(sockets)

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            if not self._take_next():
                return

    def _take_next(self) -> bool:
        """Whether there may be more."""
        if self._taking.fileno() < 0:
            return False
        try:
            taken = take(self._taking)
        except BlockingIOError:
            return False
        except OSError as error:
            log.error("a connection from a sender is lost: %s", error.strerror)  # noqa: TRY400 # of no use: the traceback
            # The others wait in the way, and the senders find it crowded.
            self._loop.remove_reader(self._taking)
            self._loop.call_later(PAUSE_SECONDS, self._take_again)
            return False
        if taken is None:
            self._end_taking()
            return False
        connection, read = taken
        self.begin(connection, Arriving(self.inner(), read))
        return True

    def _take_again(self) -> None:
        if self._taking.fileno() >= 0:
            self._loop.add_reader(self._taking, self._take)

    def _end_taking(self) -> None:
        if self._taking.fileno() >= 0:
            self._loop.remove_reader(self._taking)
            self._taking.close()


class SendingWorker(Worker):
    """A process that answers what players fetch, and hands over the connections of all others."""

    def __init__(
        self,
        app: Application,
        sockets: list[socket.socket],
        leash: Leash,
        way: Way,
        *,
        protocol: type[asyncio.Protocol],
        shutdown_seconds: int,
    ) -> None:
        super().__init__(
            app,
            sockets,
            leash,
            protocol=protocol,
            shutdown_seconds=shutdown_seconds,
            on_stopping=_nothing,
        )
        self._way = way

    def accepted(self) -> asyncio.Protocol:
        """What talks with a client that has just come."""
        return Sending(self.inner(), self._way)

    def listening(self) -> None:
        """Connections may come from here on."""
        self._loop.add_reader(self.leash.end, self._hear)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has been begun."""
        self._loop.remove_reader(self.leash.end)
        await super().shutdown(sockets)

    def _hear(self) -> None:
        try:
            self.leash.hear(self._way)
        except EOFError:  # the supervisor has gone, and the kernel ends us in this moment
            self._loop.remove_reader(self.leash.end)


def _nothing() -> None:
    """A sender has no responses without end."""
