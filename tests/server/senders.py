"""Connections of sender processes without these: who hands them over, and the main process' end of the way."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from media_service.server.moving import Way, channel, take
from media_service.server.repeating import protocol_class
from media_service.server.sending import Sending
from tests.support.processes import wait_until


class Senders:
    """Makes the protocol of a sender's connections; `end` is where those arrive that it hands over by its `way`."""

    soon_seconds = 10.0

    def __init__(self) -> None:
        self.end, sending = channel()
        self.way = Way(sending)
        self.way.leads = True
        self._make = protocol_class()

    def protocol(self, **config: Any) -> Sending:
        """One connection."""
        return Sending(self._make(**config), self.way)

    def taken(self) -> tuple[socket.socket, bytes]:
        """The next connection that is handed over."""
        found: list[tuple[socket.socket, bytes]] = []

        def there() -> bool:
            with suppress(BlockingIOError):
                one = take(self.end)
                assert one is not None
                found.append(one)
            return bool(found)

        wait_until(there, self.soon_seconds, "a connection is handed over")
        return found[0]

    def nothing_comes(self) -> bool:
        """Whether no connection is handed over."""
        try:
            take(self.end)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """All ends."""
        self.way.close()
        self.end.close()
