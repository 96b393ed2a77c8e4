"""A sender's connections: what players fetch is answered here, and with everything else the connection goes to the main process.

Stands between the transport and uvicorn's protocol. That gets one whole request at a time, the head of a GET or HEAD for a
film and nothing else; whatever comes otherwise (other addresses and methods, bodies, heads in pieces or longer than usual,
anything that may be read in two ways) it never sees. So it is known to the byte what was read and is not answered, and the
main process goes on as if it had accepted the connection itself. The same happens when the application, asked, answers
nothing at all: it could only have refused, or made something first.

A connection moves between two answers only, when the last one has been handed to the kernel to its end: two processes never
write to it at the same time.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from media_service.server.moving import Crowded, Unreachable, Way
from media_service.server.plain import Protocol

OURS = (b"GET /media/", b"HEAD /media/", b"GET /t/", b"HEAD /t/")
MOST_HEAD_BYTES = 16 << 10
# Pipelined requests that wait for their turn; who sends more waits with the rest.
MOST_WAITING_BYTES = 64 << 10
# How long a connection waits to be handed over while the main process is busy, and how often that is tried.
CROWDED_SECONDS = 5.0
AGAIN_SECONDS = 0.02
LONGEST_AGAIN_SECONDS = 0.32
# For a client that is still sending when it is refused (RFC 9112 s9.6): closing at once would destroy the answer.
LINGER_SECONDS = 2.0
RETRY_SECONDS = 5

# A body or another protocol follows, or a line ends in a way that not everybody takes for an end.
_NOT_OURS = re.compile(rb"(?i)\n(?:content-length|transfer-encoding|upgrade|expect)|[^\r]\n|\r[^\n]|\n[ \t]")
# As nginx tells it (k8s/nginx.conf, @unavailable). It tells nothing that not everybody may know.
_UNAVAILABLE = (
    b'{"type":"about:blank","title":"The service is starting or down","status":503,'
    b'"detail":"Try again in a few seconds.","code":"unavailable"}'
)


class Sending(asyncio.Protocol):
    """One connection. `inner` answers what is ours, with its application; `way` leads to the main process."""

    def __init__(self, inner: Protocol, way: Way) -> None:
        self._inner = inner
        self._app = inner.app
        inner.app = self._answer
        inner.after_repeat = self._answered  # type: ignore[method-assign] # of this one
        self._way = way
        self._loop = inner.loop
        self._transport: asyncio.Transport
        self._asked = b""  # the head of the request that is being answered
        self._read = bytearray()  # what came behind it
        self._answering = False
        self._left = False  # to the main process, or being refused: nothing is answered here any more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        """A client has come."""
        self._transport = transport
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone, or is with the main process."""
        self._left = True
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes less than is written."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It has taken what was written."""
        self._inner.resume_writing()

    def eof_received(self) -> None:
        """It sends no more: the connection ends."""
        self._inner.eof_received()

    def data_received(self, data: bytes) -> None:
        """It has sent some bytes."""
        if self._left:
            return
        self._read += data
        if len(self._read) > MOST_WAITING_BYTES:
            # Held, not paused: each answer resumes reading, and is far smaller than what is read at a time.
            self._inner.flow.hold()
        if not self._answering:
            self._next()

    def _next(self) -> None:
        """Answer the next request that has come, or hand the connection over."""
        self._answering = False
        if self._left or not self._read or self._transport.is_closing():
            return
        end = self._read.find(b"\r\n\r\n", 0, MOST_HEAD_BYTES) + 4
        head = bytes(self._read[:end])
        if end < 4 or not head.startswith(OURS) or _NOT_OURS.search(head):
            self._answering = True
            # It is idle no more, however long its client takes to read what it got before (where uvicorn's timer ends idle ones).
            self._inner._unset_keepalive_if_required()  # noqa: SLF001 # what uvicorn does when something comes
            if not self._leave():
                task = self._loop.create_task(self._leave_later(), name="connection to the main process")
                self._inner.tasks.add(task)
                task.add_done_callback(self._inner.tasks.discard)
            return
        del self._read[:end]
        if self._inner.flow.held and len(self._read) <= MOST_WAITING_BYTES:
            self._inner.flow.release()
        self._asked = head
        self._answering = True
        self._inner.data_received(head)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """What uvicorn takes for the application."""
        cycle = self._inner.cycle
        try:
            await self._app(scope, receive, send)
            if not cycle.response_started and not self._transport.is_closing():
                self._read[:0] = self._asked
                if not self._leave():
                    await self._leave_later()
                cycle.disconnected = True  # it is nobody's business here whether it is answered
                return
        finally:
            self._asked = b""
        self._answered()

    def _answered(self) -> None:
        # Behind uvicorn's own last steps with this request. Until then what comes only waits: one answer in each turn.
        self._loop.call_soon(self._next)

    def _leave(self) -> bool:
        """Hand the connection over, or refuse the request for want of a main process; False if that cannot be done yet."""
        # What the client still sends is the main process' to read.
        self._inner.flow.pause_reading()
        if self._transport.get_write_buffer_size():
            return False
        shown = self._transport.get_extra_info("socket")
        try:
            self._way.hand_over(shown.fileno(), bytes(self._read))
        except Crowded:
            return False
        except Unreachable:
            self._refuse()
        else:
            self._left = True
            self._transport.abort()  # closes the descriptor here, and says nothing to the client
        return True

    async def _leave_later(self) -> None:
        """The same as soon as it can be done."""
        self._transport.set_write_buffer_limits(0)  # so that drained means empty
        await self._inner.flow.drain()
        deadline = self._loop.time() + CROWDED_SECONDS
        # There is nothing to be awaited: who makes room is another process, and tells the kernel only. Where many wait,
        # they wait longer and longer, or the trying would be all that is done here.
        again = AGAIN_SECONDS
        while not self._transport.is_closing() and not self._leave():
            if self._loop.time() > deadline:
                self._refuse()
                return
            await asyncio.sleep(again)
            again = min(2 * again, LONGEST_AGAIN_SECONDS)

    def _refuse(self) -> None:
        """Answer for a main process that is not there, whole, and go on reading for a moment."""
        self._left = True
        lines = [
            b"HTTP/1.1 503 Service Unavailable",
            *(name + b": " + value for name, value in self._inner.server_state.default_headers),
            b"content-type: application/problem+json",
            b"content-length: %d" % len(_UNAVAILABLE),
            b"retry-after: %d" % RETRY_SECONDS,
            b"cache-control: no-store",
            b"x-content-type-options: nosniff",
            b"connection: close",
        ]
        if self._read.startswith(OURS):
            lines += [b"access-control-allow-origin: *", b"access-control-expose-headers: Retry-After"]
        body = b"" if self._read.startswith(b"HEAD ") else _UNAVAILABLE
        self._transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self._transport.write_eof()
        self._inner.flow.release()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)
