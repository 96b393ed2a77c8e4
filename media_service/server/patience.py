"""How long a connection is waited for: one look a second at all of them, and no timer for any request."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Collection
from typing import NamedTuple, Protocol

from media_service.server.writable import Writable

LOOK_SECONDS = 1.0
AT_ONCE = 100  # in one turn of the loop, half a millisecond: of thousands of connections others must not notice the look
# As long as nginx waits for a request's head when it is told to hurry (client_header_timeout; its default is 60): no head
# is larger than a packet or two.
HEADER_SECONDS = 15.0


class Wait(NamedTuple):
    """What a connection waits for. As long as two looks see the same, nothing has happened in between."""

    seconds: float  # so long it may last
    what: tuple[object, ...]


class Connection(Protocol):
    """What is looked at."""

    def waits(self) -> Wait | None:
        """What it waits for now; None for nothing of the client's."""

    def give_up(self) -> None:
        """End it: it has waited for too long."""


class Looks:
    """Looks at the connections of one server once a second, from the first until there is none. Holds what they share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: Collection[Connection]) -> None:
        self.writable = Writable(loop)
        self.ended = False
        self._loop = loop
        self._connections = connections
        self._since: dict[Connection, tuple[Wait, float]] = {}
        self._next: asyncio.Handle = loop.call_later(LOOK_SECONDS, self._look)

    def close(self) -> None:
        """Look no more; nobody may wait for a socket."""
        if not self.ended:
            self.ended = True
            self._since.clear()  # whoever made this keeps it until there is a connection again
            self._next.cancel()
            self.writable.close()

    def _look(self) -> None:
        if not self._connections:
            self.close()
            return
        self._left = list(self._connections)
        self._seen: dict[Connection, tuple[Wait, float]] = {}
        self._look_on()

    def _look_on(self) -> None:
        now = self._loop.time()
        try:
            for _ in range(min(AT_ONCE, len(self._left))):
                self._look_at(self._left.pop(), now)
        finally:  # whatever is wrong with one of them, the loop tells, and the others are looked at
            if self._left:
                self._next = self._loop.call_soon(self._look_on)
            else:
                self._since = self._seen
                self._next = self._loop.call_later(LOOK_SECONDS, self._look)

    def _look_at(self, connection: Connection, now: float) -> None:
        # One that has been lost since the look began is not there any more.
        if connection not in self._connections or (wait := connection.waits()) is None:
            return
        before = self._since.get(connection)
        since = before[1] if before is not None and before[0] == wait else now
        self._seen[connection] = (wait, since)
        if now - since >= wait.seconds:
            connection.give_up()


def unacknowledged(descriptor: int) -> int:
    """Bytes that the kernel keeps of a socket until its peer has them (SIOCOUTQ, tcp(7), unix(7))."""
    return _queued(descriptor, termios.TIOCOUTQ)


def unread(descriptor: int) -> int:
    """Bytes that have come on a socket and that nobody has read (SIOCINQ, tcp(7), unix(7))."""
    return _queued(descriptor, termios.FIONREAD)


def _queued(descriptor: int, which: int) -> int:
    count: int
    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, which, b"\0\0\0\0"))
    return count
