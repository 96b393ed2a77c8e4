"""How many unsent bytes a connection may hold: few for a viewer who may jump elsewhere, more for who takes them fast.

The kernel wakes the writer each time half of TCP_NOTSENT_LOWAT has left. Little of it is little lost when a seek is abandoned;
but a client that takes 50 MB/s would wake us 800 times a second, and a gigabyte cost twice the processor time. So a
connection begins with what the listening socket says (UNSENT_BYTES) and gets the double whenever it has shown, by the
bytes that it has taken and by the pace at which it does, that it is no seek. A seek by a browser is a connection of its own.
"""

from __future__ import annotations

import socket

from media_service.server.sockets import TCP_NOTSENT_LOWAT

# The kernel tells of room when less than half of this is unsent: at twice what it gives a connection by itself (tcp_wmem, 4 MiB)
# its own limit is the only one. With less, server and client waited for each other in turns (16 MiB over loopback: 0.85 of nginx
# in place of 1.0).
MOST_BYTES = 8 << 20
# Of what a client has taken so much may be lost when it goes: a half, and a quarter until then.
TAKEN_TIMES = 4
# A connection that wakes us no more often than this is no burden.
OFTEN_SECONDS = 0.02


class Unsent:
    """What one connection may hold; `due` bytes must have left before `consider` is worth a call."""

    __slots__ = ("_socket", "_unsent", "due")

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._unsent = MOST_BYTES
        if connection.family != socket.AF_UNIX:  # which has a buffer of one size
            self._unsent = connection.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)
        self._plan()

    def consider(self, waited_seconds: float) -> None:
        """The connection takes bytes again, that long after it was full."""
        if waited_seconds < OFTEN_SECONDS:
            self._unsent = min(2 * self._unsent, MOST_BYTES)
            self._socket.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, self._unsent)
            self._plan()

    def _plan(self) -> None:
        # No limit is the kernel's largest number, and read as an int it is -1.
        limited = 0 < self._unsent < MOST_BYTES
        self.due = TAKEN_TIMES * self._unsent if limited else float("inf")
