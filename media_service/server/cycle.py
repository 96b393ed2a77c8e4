"""One request and its response on a connection: what an application's messages become on the wire.

As uvicorn's own, and besides: the head and small pieces of a response of known length wait for what follows, so that they
leave in one segment with it; and a message of the type `http.response.zerocopysend` (ASGI, "Zero Copy Send") sends a part
of a file. Both kinds of pieces may alternate in one response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from media_service.server.heads import head
from media_service.server.outlet import Outlet
from media_service.server.zero_copy import ClientGone

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveEvent

EXTENSION = "http.response.zerocopysend"
# Of `http.response.start`, besides what ASGI has: lines of the head as bytes, for an application that says the same again and
# again. `name: value CR LF` each, none of Content-Length, Transfer-Encoding and Connection among them.
PREPARED = "prepared"
# Pieces of memory up to this size wait (until the end of the loop's turn) for the part of a file that they stand before.
HELD_BYTES = 64 << 10
NO_BODY = (204, 304)


class Cycle(RequestResponseCycle):
    """A request, the application that answers it, and its response."""

    # How all begin: one is made for each request, and few of these change.
    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0
    _event: asyncio.Event | None = None
    _flushing = False
    _sends_files = False

    def __init__(self, protocol: HttpToolsProtocol, outlet: Outlet, *, keep_alive: bool) -> None:
        # Not uvicorn's own: it copies eleven arguments, and this happens for each request.
        self.scope = protocol.scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.on_response = protocol.on_response_complete
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self._pipeline = protocol.pipeline
        self._server_state = protocol.server_state
        self._outlet = outlet
        self._held: list[bytes] = []

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override] # uvicorn's, which it makes for each request
        """Set when there is something for `receive`. Made when somebody asks: most applications never receive."""
        if self._event is None:
            self._event = asyncio.Event()
            if self.body or not self.more_body or self.disconnected or self.response_complete:
                self._event.set()
        return self._event

    def tell_receiver(self) -> None:
        """There is something for `receive`, if anybody waits for it."""
        if self._event is not None:
            self._event.set()

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Let the application answer. A client that has gone is nothing to write into the log."""
        try:
            await app(self.scope, self.receive, self.send)
        except ClientGone:
            self.disconnected = True
        except asyncio.CancelledError:
            # uvicorn has ended the task after the deadline, and says once how many there were.
            self.disconnected = True
            self.transport.abort()
        except BaseException:  # as uvicorn: whatever it is, the connection must not hang
            self.logger.exception("Exception in ASGI application\n")
            await self._give_up()
        else:
            if not self.response_complete and not self.disconnected:
                await self._left_unfinished()
        finally:
            self.on_response = _nothing

    async def _left_unfinished(self) -> None:
        done = "completing" if self.response_started else "starting"
        self.logger.error("ASGI callable returned without %s response.", done)
        await self._give_up()

    async def _give_up(self) -> None:
        """Say so, if nothing has been said yet; else end the connection, so that no client takes what it has for all."""
        if self.response_started:
            self._flush()
            if self.transport.get_write_buffer_size():
                self.transport.abort()  # close() would wait until the client reads, and a service that stops with it
            else:
                self.transport.close()
        else:
            await self.send_500_response()

    async def receive(self) -> ASGIReceiveEvent:
        """What comes of the request, or that the client has gone.

        As uvicorn's, but that nothing more is read while other requests wait behind this one, which is whole then: who sends
        thousands must not fill the memory with them.
        """
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if not self._pipeline:
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """Take one message of the application's. Raises ClientGone from a zero-copy piece, RuntimeError when it breaks the
        protocol.
        """
        kind = message["type"]
        if kind == EXTENSION:
            try:
                if not self._begin_file(message["file"], message["offset"], message["count"]):
                    await self._outlet.rest()
            except ClientGone:
                self.disconnected = True  # from now on, also for an application that has heard it and returns
                raise
            if not message.get("more_body", False):
                self.complete()
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            self._start(message["status"], message.get("headers", ()), message.get(PREPARED, b""))
            return
        self._expect(kind, "http.response.body")
        more_body = message.get("more_body", False)
        self._send_memory(message.get("body", b""), more_body=more_body)
        if not more_body:
            self.complete()

    def _expect(self, kind: str, wanted: str) -> None:
        if self.response_complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        if not self.response_started or kind != wanted:
            wanted = wanted if self.response_started else "http.response.start"
            raise RuntimeError(f"Expected ASGI message '{wanted}', but got '{kind}'.")

    def _start(self, status: int, headers: Any, prepared: bytes) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        block, length, chunked, closes = head(status, headers, prepared, self._server_state.default_headers)
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            block += b"connection: close\r\n"
        if length is not None and not chunked:
            self.chunked_encoding = False
            self.expected_content_length = length
            # What is there of the body comes at once or tells why not; until then the head tells nobody anything.
            self._held.append(block + b"\r\n")
            return
        if chunked:
            self.chunked_encoding = True
        elif self.scope["method"] != "HEAD" and status not in NO_BODY:
            self.chunked_encoding = True
            block += b"transfer-encoding: chunked\r\n"
        self.transport.write(block + b"\r\n")

    def _send_memory(self, body: bytes, *, more_body: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            self._flush()
        elif self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.transport.write(chunk if more_body else chunk + b"0\r\n\r\n")
        else:
            self._account(len(body))
            if more_body and len(body) <= HELD_BYTES and len(self._held) <= 1:
                self._hold(body)
            else:
                self._write(body)

    def _account(self, count: int) -> None:
        if count > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        self.expected_content_length -= count

    def _hold(self, body: bytes) -> None:
        self._held.append(body)
        if not self._flushing:
            self._flushing = True
            self._outlet.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._held and not self.disconnected:
            self._write(b"")

    def _write(self, body: bytes) -> None:
        if not self._held:
            self.transport.write(body)
            return
        if len(body) <= HELD_BYTES:
            self.transport.write(b"".join((*self._held, body)))  # one segment
        else:
            self.transport.write(b"".join(self._held))
            self.transport.write(body)
        self._held.clear()

    def _begin_file(self, file: int, offset: int, count: int) -> bool:
        """True when it has been sent."""
        if self.disconnected:
            raise ClientGone
        self._expect(EXTENSION, EXTENSION)
        if self.chunked_encoding is not False:
            raise RuntimeError("A zero-copy response has a Content-Length")
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            self._flush()
            return True
        self._account(count)
        held = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held.clear()
        begins, self._sends_files = not self._sends_files, True
        return self._outlet.begin_file(held, file, offset, count, begins=begins)

    def complete(self) -> None:
        """All of it has been handed to the kernel."""
        if self.expected_content_length:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        self.tell_receiver()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _nothing() -> None:
    """A response that has ended tells nobody."""


class Continued(Coroutine[Any, Any, None]):
    """Go on, as a task's, with the coroutine `answering` that was begun outside of one, and that waits for `awaited` now.

    What a task throws into it reaches the coroutine, also when that comes before its first step: a coroutine of the language
    that has not begun would only end itself.
    """

    __slots__ = ("_answering", "_awaited")

    def __init__(self, answering: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._answering = answering
        self._awaited = [awaited]

    def send(self, value: Any) -> Any:
        """Go on; first of all to where it is."""
        return self._awaited.pop() if self._awaited else self._answering.send(value)

    def throw(self, *error: Any) -> Any:
        """As the coroutine's."""
        self._awaited.clear()
        return self._answering.throw(*error)

    def close(self) -> None:
        """As the coroutine's."""
        self._answering.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._answering.__await__()
