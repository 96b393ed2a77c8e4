"""HTTP/1.1 on a bare socket: requests as they are never sent by a library, answers as they arrive."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Head:
    """A status line and headers (names in lower case; repeated ones joined by a comma)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parsed(cls, raw: bytes) -> Self:
        """The head of these lines, without the blank one at their end."""
        status, *lines = raw.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return cls(int(status.split()[1]), headers)


class RawConnection:
    """One connection to a port of the loopback address; a context manager that closes it."""

    def __init__(
        self, port: int, *, timeout: float = 20.0, receive_buffer: int | None = None, piece: int = 1 << 16
    ) -> None:
        self._piece = piece  # most bytes that are taken at a time
        self._socket = socket.socket()
        if receive_buffer is not None:  # before connecting: the TCP window is agreed on then
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(self, method: str, target: str, headers: dict[str, str] | None = None, **more: str) -> None:
        """Send a request's head; the body, if any, follows with `send`."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in {**(headers or {}), **more}.items()]
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(data)

    @property
    def ports(self) -> tuple[int, int]:
        """Its own and the server's."""
        own: int = self._socket.getsockname()[1]
        other: int = self._socket.getpeername()[1]
        return own, other

    def half_close(self) -> None:
        """Say that nothing more is sent (FIN); what comes is still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close as somebody who is just not there any more: the other side gets RST instead of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def send_chunk(self, data: bytes) -> None:
        """Send one chunk of a chunked body; an empty one ends it (RFC 9112 s7.1)."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def head(self) -> Head:
        """The next answer's head; an interim one (1xx) counts as an answer of its own."""
        while b"\r\n\r\n" not in self._received:
            if not self._more():
                raise ConnectionError(f"closed within a head: {bytes(self._received)!r}")
        raw, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self._received[:] = rest
        return Head.parsed(raw)

    def body(self, size: int) -> bytes:
        """The next `size` bytes; fewer when the connection ends before."""
        while len(self._received) < size and self._more():
            pass
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def rest(self) -> bytes:
        """Everything until the other side closes."""
        while self._more():
            pass
        data = bytes(self._received)
        self._received.clear()
        return data

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`; raises ConnectionError when the connection ends before."""
        while mark not in self._received:
            if not self._more():
                raise ConnectionError(f"no {mark!r} in {bytes(self._received)!r}")
        stop = self._received.index(mark) + len(mark)
        data = bytes(self._received[:stop])
        del self._received[:stop]
        return data

    @property
    def pending(self) -> bytes:
        """What has been received and not asked for yet."""
        return bytes(self._received)

    @property
    def closed_by_peer(self) -> bool:
        """Whether the other side has closed, or does so within the time-out; what it sent before is lost."""
        try:
            return not self._socket.recv(1)
        except ConnectionResetError:
            return True

    def _more(self) -> bool:
        try:
            data = self._socket.recv(self._piece)
        except ConnectionResetError:
            return False
        self._received += data
        return bool(data)
