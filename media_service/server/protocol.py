"""uvicorn's HTTP/1.1 as this service speaks it: files without a copy, nobody waited for without end."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.utils import get_local_addr, is_ssl
from uvicorn.server import ServerState

from media_service.server.cycle import EXTENSION, Continued, Cycle
from media_service.server.flow import Flow
from media_service.server.outlet import Outlet
from media_service.server.patience import HEADER_SECONDS, Looks, Wait
from media_service.server.plain import PLAIN_SOCKETS, UNIX_PEER, Protocol, family, peer
from media_service.server.targets import known_targets, parsed

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

# nginx's send_timeout is a minute; a player that is paused with a full buffer takes nothing for longer than that.
SEND_IDLE_SECONDS = 300.0
# An application says with this attribute that it may be begun outside of any task: asyncio.current_task() is None until it
# has waited for something (`await asyncio.sleep(0)` will do).
BEGINS_AT_ONCE = "begins_at_once"
# What a head may have, give or take what is read at a time: nobody's address or cookies are as long (nginx: 32 KiB).
HEAD_BYTES = 64 << 10
# A field costs twenty times what it takes on the line, when it is as short as can be; browsers send about twenty.
MOST_FIELDS = 256
# Requests behind the one that is answered; with so many parsed, what else was read waits as it is. Hardly any client sends
# a second one.
MOST_PIPELINED = 64
PIECE_BYTES = 4096  # parsed at a time, outside of bodies
# No piece holds more. What follows a body was read with it, and may: nobody sends hundreds of requests behind an upload.
_MOST_PARSED = MOST_PIPELINED + PIECE_BYTES // len(b"GET / HTTP/1.1\r\n\r\n")
# Where the fields go that follow a chunked body: nobody here asks for them, and they must not become the head's.
_TRAILERS: deque[tuple[bytes, bytes]] = deque(maxlen=0)
_METHODS = {b"GET": "GET", b"HEAD": "HEAD"}

_all_looks: WeakKeyDictionary[ServerState, Looks] = WeakKeyDictionary()


async def end_connections(server_state: ServerState) -> None:
    """Abort what is still there after uvicorn's graceful end: clients that do not read, and what the loop holds for them."""
    for connection in list(server_state.connections):
        connection.transport.abort()
    await asyncio.sleep(0)  # in which the loop tells the connections
    await asyncio.sleep(0)
    if (looks := _all_looks.pop(server_state, None)) is not None:
        looks.close()


class ZeroCopyProtocol(Protocol):
    """... and with the extension `http.response.zerocopysend`, on sockets that carry the bytes as they are (no TLS)."""

    send_idle_seconds = SEND_IDLE_SECONDS
    header_seconds = HEADER_SECONDS

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # `_running`: whose response is on its way; `cycle` is the latest that was read.
        self._running: Cycle | None = None
        self._fresh: tuple[Cycle, ASGI3Application] | None = None
        self._begins_at_once = getattr(self.app, BEGINS_AT_ONCE, False)
        self._requests = 0
        self.headers = []
        self._in_head = True
        self._barren_bytes = 0  # parsed since a head or a piece of a body was
        self._refusal: str | None = None
        self._outlet: Outlet | None = None
        self._extensions: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        # Not uvicorn's own: it asks the kernel for our address, which nobody needs where nothing is parsed, and twice for more.
        self.connections.add(self)
        self.transport = transport
        self.flow = Flow(transport)
        self.scheme = "https" if is_ssl(transport) else "http"
        addresses = family(transport)
        self.client = (UNIX_PEER, 0) if addresses == socket.AF_UNIX else peer(transport)
        if self.scheme == "http" and addresses in PLAIN_SOCKETS:
            self._extensions = (EXTENSION,)
        else:
            self.repeats = None  # they are files
        self._outlet = Outlet(transport, self.flow, self._looks().writable, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """End who waits for this client: also where the request that was read last is not the one that is answered."""
        # Not uvicorn's own: it makes an event for who may wait, and times what is idle.
        self.connections.discard(self)
        self.pipeline.clear()
        self._unread = b""
        for cycle in (self.cycle, self._running):
            if isinstance(cycle, Cycle):
                cycle.disconnected = cycle.disconnected or not cycle.response_complete
                cycle.tell_receiver()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment] # as uvicorn: it knows this protocol, and would keep it
        if self._outlet is not None:
            self._outlet.close()

    # Requests

    def data_received(self, data: bytes) -> None:
        if self._refusal is None:
            self._unread = b"".join((self._unread, data)) if self._unread else data
            self._parse_unread()

    def _parse_unread(self) -> None:
        """As much of it as there is room for requests."""
        while (unread := self._unread) and len(self.pipeline) < MOST_PIPELINED:
            if self._refusal is not None or self.transport.is_closing():
                self._unread = b""
                return
            if len(unread) <= PIECE_BYTES or self._is_in_body():
                self._unread = b""
            else:
                unread = memoryview(unread)
                unread, self._unread = unread[:PIECE_BYTES], unread[PIECE_BYTES:]
            self._parse(unread)

    def _parse_on(self) -> None:
        self._parse_unread()
        if self._running is None and not self.transport.is_closing():
            self.flow.resume_reading()

    def _is_in_body(self) -> bool:
        return not self._in_head and bool(self.cycle) and self.cycle.more_body

    def _parse(self, data: bytes | memoryview) -> None:
        self._barren_bytes += len(data)
        super().data_received(data)  # type: ignore[arg-type] # the parser takes any buffer
        # Of a body it is a line of its framing that does not end, or the fields behind it.
        too_long = self._barren_bytes > HEAD_BYTES or (self._in_head and len(self.headers) > MOST_FIELDS)
        if too_long and not self.transport.is_closing():
            self.send_400_response("The request's head is too long.")
        if (fresh := self._fresh) is not None:  # not in the middle of parsing what came with it
            self._fresh = None
            self._begin(*fresh)

    def on_message_begin(self) -> None:
        self._in_head = True
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Start to answer the request, or let it wait for those before it."""
        assert self._outlet is not None
        if len(self.headers) > MOST_FIELDS or (self._running and len(self.pipeline) >= _MOST_PARSED):
            raise httptools.HttpParserError  # the parser goes no further
        self._in_head = False
        self._requests += 1
        self._barren_bytes = 0
        parser = self.parser
        version = parser.get_http_version()
        method = parser.get_method()
        path, raw_path, query = known_targets.get(self.url) or parsed(self.url)
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server or self._named(),
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": _METHODS.get(method) or method.decode("ascii"),
            "root_path": self.root_path,
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "extensions": {name: {} for name in self._extensions},
        }
        self.headers = _TRAILERS  # type: ignore[assignment] # all that is done with it is to append
        limit = self.limit_concurrency
        crowded = limit is not None and max(len(self.connections), len(self.tasks)) >= limit
        app = service_unavailable if crowded else self.app
        keep_alive = version != "1.0" and parser.should_keep_alive()
        cycle = self.cycle = Cycle(self, self._outlet, keep_alive=keep_alive)
        if self._running is None:
            self._running = cycle
            self._fresh = cycle, app
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def _named(self) -> tuple[str, int | None] | None:
        self.server = get_local_addr(self.transport)
        return self.server

    def on_body(self, body: bytes) -> None:
        """A piece of the request's body."""
        self._barren_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        cycle = self.cycle
        assert isinstance(cycle, Cycle)
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.tell_receiver()

    def _begin(self, cycle: Cycle, app: ASGI3Application) -> None:
        """Let the application answer: at once where it can, and in a task of its own when it has to wait for something.

        Most answers to players never wait, and a task costs as much as the rest of them.
        """
        if self._begins_at_once:
            self._begin_at_once(cycle, app)
        else:
            self._start_asgi_task(cycle, app)

    def _begin_at_once(self, cycle: Cycle, app: ASGI3Application) -> None:
        answering = cycle.run_asgi(app)
        try:
            awaited = answering.send(None)
        except StopIteration:
            return
        task = self.loop.create_task(Continued(answering, awaited))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """Go on with the request behind it. The time of an idle connection is measured by `waits`, not by a timer."""
        self.server_state.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            return
        if self.pipeline:
            # Nothing more is read before these are answered: who sends thousands at once waits in the kernel.
            # A task at least for these, or one packet with thousands would be answered in one turn of the loop.
            cycle, app = self.pipeline.pop()
            assert isinstance(cycle, Cycle)
            self._running = cycle
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            super().send_400_response(self._refusal)
        elif not self._unread:
            self.flow.resume_reading()
        if self._unread:
            self.loop.call_soon(self._parse_on)  # there is room again; here it may be parsed at the moment

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request: behind the responses that are on their way, never in the middle of one."""
        if self._running is None:
            super().send_400_response(msg)
        elif self.cycle.more_body:
            # What is wrong is the body of a request: nobody will ever have the rest of it.
            if self.cycle is self._running and not self.cycle.response_started:
                super().send_400_response(msg)
            else:
                self.transport.abort()
        else:
            self._refusal = msg
            self.flow.pause_reading()

    # Time

    def waits(self) -> Wait | None:
        """What the client is waited for with. Progress is what the kernel has got rid of, not only what it has taken."""
        if self._outlet is None:  # it could not begin, for want of a descriptor
            return Wait(0.0, ())
        if (progress := self._outlet.progress()) is not None:
            return Wait(self.send_idle_seconds, progress)
        if self._in_head and not self.flow.read_paused:
            return Wait(self.header_seconds, (self._requests, "head"))
        if self._running is None:
            return Wait(self.timeout_keep_alive, (self._requests, "idle"))
        return None

    def give_up(self) -> None:
        """Close the connection; what is left to send is thrown away, by the kernel as well."""
        if self._outlet is not None and self._outlet.progress() is not None:
            self._outlet.forsake()
        self.transport.abort()

    def _looks(self) -> Looks:
        looks = _all_looks.get(self.server_state)
        if looks is None or looks.ended:
            connections: Any = self.connections  # all of them are of this class
            looks = _all_looks[self.server_state] = Looks(self.loop, connections)
        return looks
