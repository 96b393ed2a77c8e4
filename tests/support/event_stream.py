"""Server-Sent Events read from a bare socket, one event at a time (HTML Living Standard s9.2.6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.raw_http import Head, RawConnection
from tests.support.server import Server


class SentEvent(NamedTuple):
    """One event: its name, its decoded data, and its id, if it has one."""

    name: str
    data: dict[str, Any]
    id: str | None


class EventStream:
    """An open stream; a context manager. `port` is nginx's when it goes through that."""

    def __init__(
        self,
        server: Server,
        path: str,
        *,
        port: int = 0,
        headers: dict[str, str] | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self._connection = RawConnection(port or server.port, receive_buffer=receive_buffer)
        self._text = b""
        self._connection.request("GET", path, {"Authorization": f"Bearer {server.token}", **(headers or {})})
        self.head: Head = self._connection.head()
        self.place = ""  # what to come back with: the last event ID
        if self.head.status == 200:
            self.begun = self._block()  # how soon to come back, and from where

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.__exit__(None, None, None)

    def next(self) -> SentEvent | None:
        """The next event, comments and fields without data left out; None at the end of the stream."""
        while (fields := self._block()) is not None:
            if "data" in fields:
                return SentEvent(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
        return None

    def until(self, condition: Callable[[SentEvent], bool]) -> list[SentEvent]:
        """All events up to the one that fulfils `condition`, with it."""
        events = []
        while event := self.next():
            events.append(event)
            if condition(event):
                return events
        raise AssertionError(f"the stream ended before that event came; it had {events}")

    def _block(self) -> dict[str, str] | None:
        """The fields up to the next empty line; None at the end of the stream."""
        while b"\n\n" not in self._text:
            chunk = self._chunk()
            if chunk is None:
                return None
            self._text += chunk
        block, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
        self.place = fields.get("id", self.place)
        return fields

    def _chunk(self) -> bytes | None:
        """The next chunk of the body (RFC 9112 s7.1); None at its end, or that of the connection."""
        try:
            size = int(self._connection.until(b"\r\n"), 16)
        except ConnectionError:
            return None
        data = self._connection.body(size)
        self._connection.until(b"\r\n")
        return data or None
