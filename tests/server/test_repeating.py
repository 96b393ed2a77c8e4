"""Requests that come again with another range, on both event loops: who answers them, in which order, and what is left."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import queue
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import uvicorn
import uvloop

from media_service.server import patience, repeats
from media_service.server.arriving import Arriving
from media_service.server.protocol import PIECE_BYTES, ZeroCopyProtocol
from media_service.server.repeating import RepeatingProtocol, _all_repeats, protocol_class
from media_service.server.repeats import Part
from media_service.server.zero_copy import Sender
from tests.server.messages import memory, piece, start
from tests.server.senders import Senders
from tests.support.processes import wait_until
from tests.support.raw_http import Head, RawConnection
from tests.support.served_app import LOOPS, Served, open_descriptors, served

pytestmark = pytest.mark.parametrize("loop", LOOPS)
SOON = 10.0
LARGE = 20 << 20  # more than the buffers of a connection take
PREPARED = b'content-type: video/mp4\r\netag: "film"\r\n'
FILM = "/media/film"
IN_MEMORY = bytes(9_000_000)
NUMBER = b"0123456789abcdef" * 2


class Films:
    """An application that sends ranges of one file, and may be asked for what comes again."""

    begins_at_once = True

    def __init__(self, file: int, size: int) -> None:
        self.file = file
        self.size = size
        self.scopes: list[dict[str, Any]] = []  # of the requests that reached it
        self.held = 0
        self.holds = 0
        self.forgets = False
        self.breaks = ""  # where it raises something ...
        self.breaks_at = ""  # ... if not at all ranges

    @property
    def asked(self) -> int:
        """How often it was called."""
        return len(self.scopes)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        self.scopes.append(scope)
        if not scope["path"].endswith("film"):
            if scope["path"].startswith("/media/memory"):
                await send(start(len(IN_MEMORY)))
                await send(memory(IN_MEMORY, more=False))
            return
        wanted = next((value for name, value in scope["headers"] if name == b"range"), b"bytes=0-0")
        first, last = self.span(wanted.decode().partition(",")[0])
        await send(
            start(status=206, prepared=PREPARED) | {"headers": self.own(first, last)},
        )
        await send(piece(self.file, first, last - first + 1, more=False))

    def repeatable(self, scope: Any, wanted: bytes) -> Known | None:
        """See server.repeats."""
        if self.breaks == "repeatable":
            raise ValueError("repeatable")
        if [value for name, value in scope["headers"] if name == b"range"] != [wanted]:
            return None
        return Known(self, scope["path"])

    def span(self, wanted: str) -> tuple[int, int]:
        """The first and the last byte of it."""
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if not first:
            return self.size - int(last), self.size - 1
        return int(first), min(int(last or self.size), self.size - 1)

    def own(self, first: int, last: int) -> tuple[tuple[bytes, bytes], ...]:
        """What the head of one range says of it."""
        return (
            (b"content-range", b"bytes %d-%d/%d" % (first, last, self.size)),
            (b"content-length", b"%d" % (last - first + 1)),
        )


class Known:
    """What is known of such a request, and who holds the file."""

    def __init__(self, app: Films, path: str) -> None:
        self._app = app
        self._path = path

    def part(self, wanted: str) -> Part | None:
        app = self._app
        breaks = app.breaks if app.breaks_at in wanted else ""
        if breaks == "part":
            raise ValueError("part")
        if app.forgets or not self._path.endswith("film"):
            return None
        first, last = app.span(wanted)
        prepared = b"broken: \0\r\n" if breaks == "head" else PREPARED
        return app.own(first, last), prepared, app.file, first, last - first + 1, self.hold

    def hold(self) -> Self:
        self._app.held += 1
        self._app.holds += 1
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._app.held -= 1
        if self._app.breaks == "letting go":
            raise ValueError("letting go")


@dataclass
class Site:
    """A server that many tests share, as it is on one of the loops."""

    app: Films
    reads: Reads
    server: Served


@pytest.fixture(scope="module")
def sites(film_file: int, content: bytes) -> Iterator[dict[str, Site]]:
    """One for each loop."""
    with ExitStack() as stack:
        # What the connections of a server share is freed at the next look: else each test waits for that a second.
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(patience, "LOOK_SECONDS", 0.02)
        made = {}
        for loop in LOOPS:
            app, reads = Films(film_file, len(content)), Reads()
            # Where a connection ends, it is not for want of requests.
            server = stack.enter_context(served(app, loop, http=reads.protocol, timeout_keep_alive=60))
            made[loop] = Site(app, reads, server)
        yield made


@pytest.fixture
def app(loop: str, sites: dict[str, Site], film: int, content: bytes) -> Films:
    """The application, which nobody has asked anything."""
    found = sites[loop].app
    Films.__init__(found, film, len(content))
    return found


@pytest.fixture
def reads(loop: str, sites: dict[str, Site]) -> Reads:
    """What tells what `server` has read."""
    return sites[loop].reads


@pytest.fixture
def server(loop: str, sites: dict[str, Site], app: Films) -> Iterator[Served]:
    """The server, which knows nothing and has no connection."""
    found = sites[loop].server
    _all_repeats.pop(found.server.server_state, None)
    yield found
    found.settled(open_descriptors())
    assert app.held == 0


@pytest.fixture(autouse=True)
def errors_only(caplog: pytest.LogCaptureFixture) -> None:
    """Only errors are looked at."""
    caplog.set_level(logging.ERROR)


def wish(first: int, last: int | str = "", *lines: bytes, path: str = FILM, method: str = "GET") -> bytes:
    """A request for these bytes, the last one included."""
    head = [f"{method} {path} HTTP/1.1", "Host: h", f"Range: bytes={first}-{last}"]
    return b"\r\n".join([*(line.encode() for line in head), *lines, b"", b""])


def answer(client: RawConnection) -> tuple[Head, bytes]:
    head = client.head()
    return head, client.body(int(head.headers["content-length"]))


def answered(client: RawConnection, content: bytes, first: int, last: int) -> Head:
    """The answer must be that range."""
    head, body = answer(client)
    assert (head.status, head.headers["content-range"]) == (206, f"bytes {first}-{last}/{len(content)}")
    assert len(body) == last - first + 1
    # Not compared as bytes: what is told of two that differ takes minutes.
    assert hashlib.sha256(body).digest() == hashlib.sha256(content[first : last + 1]).digest()
    return head


def learn(server: Served, *lines: bytes, path: str = FILM) -> None:
    """Let the application answer such a request for the first time."""
    with RawConnection(server.port) as client:
        client.send(wish(0, 0, *lines, path=path))
        assert answer(client)[0].status == 206


def read_to_the_end(client: socket.socket) -> None:
    while client.recv(1 << 20):
        pass


def the_connection(server: Served) -> ZeroCopyProtocol:
    """Its only one."""
    wait_until(lambda: len(server.connections()) == 1, SOON, "there is one connection")
    return server.connections()[0]


class Reads:
    """A protocol that tells what it has read."""

    def __init__(self) -> None:
        told: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        class Telling(RepeatingProtocol):
            def data_received(self, data: bytes) -> None:
                told.put(data)
                super().data_received(data)

        self.protocol = Telling
        self._told = told

    def alone(self, client: RawConnection, data: bytes) -> None:
        """Send it, and wait until it has been read: what is sent next is another read. All before it has been answered."""
        while not self._told.empty():
            self._told.get()
        client._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(data)
        read = b""
        while not read.endswith(data):
            read += self._told.get(timeout=SOON)


def is_held(app: Films) -> None:
    wait_until(lambda: app.held == 1, SOON, "the file is held")


def is_let_go(app: Films) -> None:
    wait_until(lambda: app.held == 0, SOON, "the file is let go")


def raw_answer(server: Served, request: bytes, size: int) -> bytes:
    with RawConnection(server.port) as client:
        client.send(request)
        head = client.until(b"\r\n\r\n")
        return head + client.body(size)


# Who answers


def test_another_range_is_answered_without_the_application(
    server: Served, app: Films, content: bytes
) -> None:
    state = server.server.server_state
    before = state.total_requests
    with RawConnection(server.port) as client:
        for number in range(20):
            first, last = 7000 * number, 7000 * number + 300_000
            client.send(wish(first, last))
            head = answered(client, content, first, last)
            assert head.headers["content-type"] == "video/mp4"
        client.send(wish(len(content) - 5))
        answered(client, content, len(content) - 5, len(content) - 1)
        assert app.asked == 1
        wait_until(lambda: state.total_requests == before + 21, SOON, "all are counted")


def test_the_answer_is_the_applications_own_to_the_byte(server: Served, app: Films) -> None:
    learn(server)
    ours = raw_answer(server, wish(5, 80_004), 80_000)
    assert app.asked == 1
    app.forgets = True
    own = raw_answer(server, wish(5, 80_004), 80_000)
    assert app.asked == 2
    date = re.compile(rb"\r\ndate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)")
    assert len(date.findall(ours)) == len(date.findall(own)) == 1
    assert date.sub(b"", ours) == date.sub(b"", own)


def test_what_is_known_is_known_at_all_connections_of_that_server_and_no_other(
    loop: str, server: Served, app: Films, content: bytes
) -> None:
    learn(server)
    for first in range(3):
        with RawConnection(server.port) as client:
            for last in (10, 20):
                client.send(wish(first, last))
                answered(client, content, first, last)
    assert app.asked == 1
    with served(app, loop) as other:
        learn(other)
    assert app.asked == 2


def test_a_number_of_nginxs_is_no_difference(server: Served, app: Films, content: bytes) -> None:
    learn(server, b"X-Request-ID: " + NUMBER)
    with RawConnection(server.port) as client:
        client.send(wish(3, 4, b"X-Request-ID: " + NUMBER[::-1]))
        answered(client, content, 3, 4)
    assert app.asked == 1


OTHER_HEADS = (
    wish(1, 2, b"Cookie: other"),
    wish(1, 2, b"Cookie: one "),
    wish(1, 2, b"cookie: one"),
    wish(1, 2),
    wish(1, 2, b"Cookie: one", path=FILM + "?a"),
    wish(1, 2, b"Cookie: one", path="/media/other-film"),
    wish(1, 2, b"Cookie: one", b"Content-Length: 0"),  # says nothing else than without it
)


def test_a_head_that_differs_is_another_one(server: Served, app: Films) -> None:
    with RawConnection(server.port) as client:
        learn(server, b"Cookie: one")
        for before, other in enumerate(OTHER_HEADS, 1):
            for _ in range(2):
                client.send(other)
                assert answer(client)[0].status == 206
                assert app.asked == before + 1


PARSED = (
    wish(1, 2, method="HEAD"),
    wish(1, 2, method="POST"),
    wish(1, 2).replace(b"HTTP/1.1", b"HTTP/1.0"),
    wish(1, 2, b"Connection: close"),
    wish(1, 2, b"Connection: Upgrade", b"Upgrade: h2c"),
    wish(1, 2, b"Expect: 100-continue"),
    wish(1, 2, b"Content-Length: 3") + b"abc",
    wish(1, 2, b"Content-Length: 4") + b"\r\n\r\n",
    wish(1, 2, b"Content-Length: 3"),
    wish(1, 2, b"Transfer-Encoding: chunked"),
    wish(1, 2, b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    wish(1, 2, b"Range: bytes=3-4"),
    wish(1, "2,5-6"),
    wish(1, "2 "),
    wish(1, 2).replace(b"bytes=1-2", b"bytes=-3"),
    wish(1, 2, b"X: " + b"x" * 3000),
    b"\r\n" + wish(1, 2),
)


@pytest.mark.parametrize("learnt", [True, False])
def test_what_may_mean_something_else_is_parsed_each_time(server: Served, app: Films, learnt: bool) -> None:
    if learnt:
        learn(server)
    for other in PARSED:
        for _ in range(2):
            before = app.asked
            with RawConnection(server.port) as client:
                client.send(other)
                assert client.head().status == 206
            assert app.asked == before + 1, other


def test_a_request_that_is_a_connections_last_stays_that(server: Served, app: Films) -> None:
    learn(server)
    for last in (
        wish(1, 2, b"Connection: close"),
        wish(1, 2, b"Connection: close"),
        wish(1, 2).replace(b"HTTP/1.1", b"HTTP/1.0"),
        wish(1, 2, b"Connection: Upgrade", b"Upgrade: h2c"),
    ):
        with RawConnection(server.port) as client:
            client.send(wish(1, 2))
            answer(client)
            client.send(last)
            assert answer(client)[0].headers["connection"] == "close"
            assert client.rest() == b""
    assert app.asked == 5


def test_what_the_application_does_not_know_now_it_is_asked(
    server: Served, app: Films, content: bytes
) -> None:
    with RawConnection(server.port) as client:
        for number, forgets in enumerate((False, False, True, True, False, False)):
            app.forgets = forgets
            client.send(wish(number, 99))
            answered(client, content, number, 99)
    assert [dict(scope["headers"])[b"range"] for scope in app.scopes] == [
        b"bytes=0-99",
        b"bytes=2-99",
        b"bytes=3-99",
    ]


def test_a_server_that_counts_its_connections_parses_all(loop: str, app: Films) -> None:
    with served(app, loop, limit_concurrency=100) as server:
        for _ in range(3):
            learn(server)
    assert app.asked == 3


# What else is on the connection


def test_a_head_in_two_pieces_is_parsed_wherever_they_meet(
    server: Served, app: Films, reads: Reads, content: bytes
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        whole = wish(40, 50)
        for at in range(1, len(whole)):
            before = app.asked
            reads.alone(client, whole[:at])
            client.send(whole[at:])
            answered(client, content, 40, 50)
            assert app.asked == before + 1
            client.send(wish(at, 300))
            answered(client, content, at, 300)
            assert app.asked == before + 1


def test_several_heads_in_one_read_are_answered_in_their_order(
    server: Served, app: Films, content: bytes
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        client.send(wish(9, 10))
        answered(client, content, 9, 10)
        for number in (2, 3, 7):
            before = app.asked
            client.send(b"".join(wish(place, place + 100_000) for place in range(number)))
            for place in range(number):
                answered(client, content, place, place + 100_000)
            assert app.asked == before + number
            client.send(wish(11, 12))
            answered(client, content, 11, 12)
            assert app.asked == before + number


@pytest.mark.parametrize("first", [wish(0, LARGE), wish(0, LARGE, b"Cookie: new")], ids=["known", "new"])
def test_what_comes_while_another_response_is_on_its_way_waits_for_it(
    server: Served, app: Films, content: bytes, first: bytes
) -> None:
    with RawConnection(server.port, piece=1 << 20) as client:
        learn(server)
        client.send(first)
        connection = the_connection(server)
        wait_until(lambda: connection._running is not None, SOON, "it is on its way")
        before = app.asked
        client.send(wish(5, 6))
        wait_until(lambda: len(connection.pipeline) == 1, SOON, "the second one waits")
        answered(client, content, 0, LARGE)
        answered(client, content, 5, 6)
        assert app.asked == before + 1
        client.send(wish(7, 8))
        answered(client, content, 7, 8)
        assert app.asked == before + 1
        is_let_go(app)


def test_what_comes_while_a_response_of_memory_leaves_the_transport_is_behind_it(
    server: Served, app: Films, content: bytes
) -> None:
    with RawConnection(server.port, piece=1 << 20) as client:
        learn(server)
        client.send(wish(0, path="/media/memory"))
        connection = the_connection(server)
        wait_until(lambda: connection._requests == 1 and not connection._running, SOON, "it is written")
        assert connection.transport.get_write_buffer_size()
        client.send(wish(5, 5_000_000))
        is_held(app)
        client.send(wish(7, 8))
        head, body = answer(client)
        assert (head.status, len(body)) == (200, len(IN_MEMORY))
        answered(client, content, 5, 5_000_000)
        answered(client, content, 7, 8)
        is_let_go(app)
        client.send(wish(9, 10))
        answered(client, content, 9, 10)
    assert [scope["path"] for scope in app.scopes] == [FILM, "/media/memory", FILM]


def test_a_known_head_behind_half_of_another_one_is_its_other_half(
    server: Served, app: Films, reads: Reads
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        for answered_before in (0, 1, 2):
            reads.alone(client, b"GET /media/film HTTP/1.1\r\nX-Half: b")
            client.send(wish(3, 4))
            assert answer(client)[0].status == 206
            assert app.asked == answered_before + 2
            assert dict(app.scopes[-1]["headers"])[b"x-half"] == b"bGET /media/film HTTP/1.1"
            client.send(wish(5, 6))
            assert len(answer(client)[1]) == 2
            assert app.asked == answered_before + 2


@pytest.mark.parametrize("framed", [b"Content-Length: %d", b"Transfer-Encoding: chunked"])
def test_a_body_that_reads_as_a_known_head_is_a_body(
    server: Served, app: Films, reads: Reads, content: bytes, framed: bytes
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        known = wish(3, 4)
        chunked = framed.startswith(b"Transfer")
        # It is answered before its body comes.
        client.send(wish(1, 2, framed if chunked else framed % len(known)))
        answered(client, content, 1, 2)
        assert app.asked == 2
        if chunked:
            reads.alone(client, b"%x\r\n" % len(known))
        client.send(known)
        if chunked:
            client.send(b"\r\n0\r\n\r\n")
        client.send(wish(5, 6, b"Cookie: next"))
        answered(client, content, 5, 6)
        client.send(wish(7, 8))
        answered(client, content, 7, 8)
        assert client.pending == b""
    assert app.asked == 3


def test_empty_lines_before_a_known_head_are_nothing(
    server: Served, app: Films, reads: Reads, content: bytes
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        reads.alone(client, b"\r\n")  # before the connection's first head
        for number, empty in enumerate((b"\r\n", b"\r", b"\n", b"\r\n\r\n")):
            client.send(wish(number, 9))
            answered(client, content, number, 9)
            reads.alone(client, empty)
        client.send(b"\r\n" + wish(7, 9))
        answered(client, content, 7, 9)
        client.send(wish(8, 9))
        answered(client, content, 8, 9)
    assert app.asked == 3  # the one that was learnt, the first, and the one with an empty line


def test_empty_lines_between_known_heads_are_not_one_long_head(
    server: Served, app: Films, reads: Reads, content: bytes
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        for number in range(6):
            client.send(wish(number, 99))
            answered(client, content, number, 99)
            reads.alone(client, b"\r\n" * 8000)
        assert client.pending == b""
    assert app.asked == 1


def test_behind_what_is_no_request_nothing_is_answered(server: Served, app: Films) -> None:
    learn(server)
    for before in (b"", wish(0, 0)):
        with RawConnection(server.port) as client:
            if before:
                client.send(before)
                answer(client)
            client.send(b"what is this?\r\n\r\n")
            with suppress(ConnectionError):
                client.send(wish(1, 2))
            with suppress(ConnectionError):
                client.send(wish(3, 4))
            rest = client.rest()
            assert rest.count(b"HTTP/1.1 ") == 1
            assert rest.startswith(b"HTTP/1.1 400")
    assert app.asked == 1


def test_what_is_no_request_is_refused_behind_what_is_on_its_way(
    server: Served, app: Films, content: bytes
) -> None:
    with RawConnection(server.port, piece=1 << 20) as client:
        learn(server)
        client.send(wish(0, LARGE))
        is_held(app)
        client.send(b"what is this?\r\n\r\n")
        connection = the_connection(server)
        wait_until(lambda: connection._refusal is not None, SOON, "it has been refused")
        answered(client, content, 0, LARGE)
        assert client.head().status == 400
        assert b"HTTP/1.1" not in client.rest()
        is_let_go(app)
    assert app.asked == 1


# Clients that are slow, and clients that go


@pytest.mark.parametrize("cold", [True, False])
def test_what_does_not_go_at_once_goes_as_the_client_reads_and_the_file_is_held_until_then(
    server: Served, app: Films, content: bytes, cold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cold:
        monkeypatch.setattr(Sender, "_is_warm", lambda _: False)  # of no file anything is in memory
    with (
        RawConnection(server.port, receive_buffer=64 << 10, piece=1 << 20) as client,
    ):
        learn(server)
        for number in (1, 2):
            client.send(wish(number, LARGE))
            is_held(app)
            answered(client, content, number, LARGE)
            is_let_go(app)
            client.send(wish(number, number))
            answered(client, content, number, number)
            is_let_go(app)
    assert app.asked == 1
    assert app.holds == (4 if cold else 2)


def test_clients_that_go_in_the_middle_leave_nothing(
    server: Served, app: Films, caplog: pytest.LogCaptureFixture
) -> None:
    learn(server)
    server.settled(open_descriptors())
    before = open_descriptors()
    clients = [server.connect() for _ in range(12)]
    for client in clients:
        client.sendall(wish(0, LARGE))
    wait_until(lambda: app.held == 12, SOON, "all are on their way")
    for number, client in enumerate(clients):
        if number % 3 == 0:
            client.sendall(wish(1, 2))  # is queued
        if number % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    server.settled(before)
    is_let_go(app)
    assert (app.asked, app.holds) == (1, 12)
    assert caplog.text == ""


def test_clients_that_go_as_soon_as_they_have_asked_leave_nothing(
    server: Served, app: Films, caplog: pytest.LogCaptureFixture
) -> None:
    learn(server)
    server.settled(open_descriptors())
    before = open_descriptors()
    for number in range(30):
        with server.connect() as client:
            client.sendall(wish(0, LARGE if number % 3 else 2))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
    server.settled(before)
    is_let_go(app)
    assert app.asked == 1
    assert caplog.text == ""


def test_a_client_that_takes_nothing_is_given_up(loop: str, app: Films) -> None:
    # It is not idle: the time of those is shorter here.
    with served(app, loop, http=protocol_class(send_idle_seconds=0.6), timeout_keep_alive=0.1) as server:
        learn(server)
        server.settled(open_descriptors())
        before = open_descriptors()
        with server.connect(receive_buffer=4096) as client:
            begun = time.monotonic()
            client.sendall(wish(0, LARGE))
            client.recv(100)
            wait_until(lambda: not server.connections(), SOON, "it has been given up")
            assert time.monotonic() - begun > 0.5
            with pytest.raises(ConnectionResetError):
                read_to_the_end(client)
        server.settled(before)
        is_let_go(app)


def test_a_connection_is_idle_from_its_last_answer_on(loop: str, app: Films, content: bytes) -> None:
    with served(app, loop, timeout_keep_alive=0.5) as server:
        learn(server)
        with RawConnection(server.port) as client:  # on which nothing is ever parsed
            begun = time.monotonic()
            for number in range(7):
                client.send(wish(number, 10))
                answered(client, content, number, 10)
                time.sleep(
                    0.1
                )  # less than the time of who is idle, and more when it is counted from the first on
            assert time.monotonic() - begun > 0.6
            last = time.monotonic()
            assert client.rest() == b""
            assert 0.3 < time.monotonic() - last < SOON
        server.settled(open_descriptors())
    assert app.asked == 1


# What goes wrong


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_file_that_is_too_short_cuts_the_response(
    server: Served, app: Films, tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    (tmp_path / "short").write_bytes(b"only so much")
    short = os.open(tmp_path / "short", os.O_RDONLY)
    learn(server)
    app.file = short
    with RawConnection(server.port) as client:
        client.send(wish(0, size - 1))
        head, _, body = client.rest().partition(b"\r\n\r\n")
        assert not head or b"\r\ncontent-length: %d\r\n" % size in head + b"\r\n"
        assert body in {b"only so much", b""}  # aborted: what is on its way may be lost
    server.settled(open_descriptors())
    is_let_go(app)
    os.close(short)
    assert app.asked == 1
    assert f"FileEnded: {size - 12} bytes of it are not there" in caplog.text


def test_a_file_that_becomes_too_short_cuts_the_response_that_is_on_its_way(
    server: Served, app: Films, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "film"
    path.write_bytes(content)
    app.file = os.open(path, os.O_RDONLY)
    with RawConnection(server.port, piece=1 << 20) as client:
        learn(server)
        client.send(wish(0, LARGE))
        is_held(app)
        os.truncate(path, 1000)
        client.send(wish(1, 2))  # which is queued, and has no answer
        assert 0 < len(client.rest()) < LARGE
        server.settled(open_descriptors())
        is_let_go(app)
    os.close(app.file)
    assert app.asked == 1
    assert "FileEnded" in caplog.text


def test_a_descriptor_that_is_none_cuts_the_response(
    server: Served, app: Films, caplog: pytest.LogCaptureFixture
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        app.file = 1 << 20
        client.send(wish(0, 99))
        assert client.rest().partition(b"\r\n\r\n")[2] == b""
        server.settled(open_descriptors())
    assert app.asked == 1
    assert "OSError: [Errno 9]" in caplog.text


def test_without_a_free_descriptor_the_client_ends(
    server: Served,
    app: Films,
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)

    def none_left(descriptor: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    learn(server)
    with monkeypatch.context() as patched, RawConnection(server.port) as client:
        patched.setattr(os, "dup", none_left)
        client.send(wish(0, LARGE))
        assert client.rest() == b""
    with RawConnection(server.port) as client:
        client.send(wish(0, 9))
        answered(client, content, 0, 9)
    assert [line.message for line in caplog.records] == ["a response is broken off: Too many open files"]


@pytest.mark.parametrize("broken", ["part", "repeatable"])
def test_what_an_application_does_wrong_in_telling_what_it_knows_is_logged_and_it_is_asked(
    server: Served, app: Films, content: bytes, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    with RawConnection(server.port) as client:
        if broken == "part":
            learn(server)
        app.breaks = broken
        for number in range(1, 4):
            client.send(wish(0, number))
            answered(client, content, 0, number)
        assert app.asked == (4 if broken == "part" else 3)
        wait_until(lambda: caplog.text.count(f"ValueError: {broken}") == 3, SOON, "it is logged")
        app.breaks = ""
        for number in range(1, 4):
            client.send(wish(0, number))
            answered(client, content, 0, number)
        assert app.asked == 4


def test_a_head_that_cannot_be_sent_ends_the_connection(
    server: Served, app: Films, caplog: pytest.LogCaptureFixture
) -> None:
    with RawConnection(server.port) as client:
        learn(server)
        app.breaks = "head"
        client.send(wish(0, 1))
        assert client.rest() == b""
        server.settled(open_descriptors())
    assert "Invalid HTTP header value" in caplog.text


def test_a_file_that_cannot_be_let_go_ends_the_connection_behind_the_response(
    server: Served, app: Films, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with RawConnection(server.port, piece=1 << 20) as client:
        learn(server)
        app.breaks = "letting go"
        client.send(wish(0, LARGE))
        answered(client, content, 0, LARGE)
        assert client.rest() == b""
    assert "ValueError: letting go" in caplog.text


# The end


def test_what_ends_before_the_deadline_is_whole(loop: str, app: Films, content: bytes) -> None:
    with (
        served(app, loop, timeout_graceful_shutdown=10) as server,
        RawConnection(server.port, piece=1 << 20) as client,
        RawConnection(server.port) as idle,
    ):
        learn(server)
        idle.send(wish(1, 2))
        answered(idle, content, 1, 2)
        client.send(wish(0, LARGE))
        is_held(app)
        server.server.should_exit = True
        assert idle.rest() == b""
        answered(client, content, 0, LARGE)
        assert client.rest() == b""
    assert (app.asked, app.held) == (1, 0)


def test_the_end_comes_at_its_deadline_whoever_does_not_read(
    loop: str, app: Films, caplog: pytest.LogCaptureFixture
) -> None:
    with served(app, loop, timeout_graceful_shutdown=1) as server:
        learn(server)
        clients = [server.connect(receive_buffer=4096) for _ in range(4)]
        for client in clients:
            client.sendall(wish(0, LARGE))
        wait_until(lambda: app.held == 4, SOON, "all are on their way")
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert app.held == 0
    for client in clients:
        taken = 0
        with client, suppress(ConnectionResetError):
            while data := client.recv(1 << 20):
                taken += len(data)
        assert taken < LARGE
    assert "Traceback" not in caplog.text


# Who stands before the protocol


@pytest.fixture
def senders() -> Iterator[Senders]:
    made = Senders()
    yield made
    made.close()


NOT_OURS = b"PUT /api/v1/assets HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("behind", [NOT_OURS, NOT_OURS + wish(1, 2), NOT_OURS[:7]], ids=range(3))
def test_a_sender_answers_what_comes_again_and_hands_over_what_is_not_its_own(
    loop: str, app: Films, content: bytes, senders: Senders, behind: bytes
) -> None:
    with (
        served(app, loop, http=senders.protocol) as server,
        RawConnection(server.port, piece=1 << 20) as client,
    ):
        learn(server)
        # In one packet, of which the sender lets the protocol have one head after the other; and in packets of their own.
        for packet in ((3, 100_000, LARGE, 4, 5), (6,), (LARGE, 7)):
            heads = [wish(number, last) for number, last in enumerate(packet)]
            client.send(b"".join(heads) + (behind if len(packet) == 2 else b""))
            for number, last in enumerate(packet):
                answered(client, content, number, last)
        connection, read = senders.taken()
        client.half_close()
        with connection:
            connection.setblocking(True)
            while more := connection.recv(1 << 16):
                read += more
            assert read == behind
            connection.sendall(b"from there")
        assert client.rest() == b"from there"
        is_let_go(app)
        server.settled(open_descriptors())
    assert app.asked == 1


def test_a_sender_hands_over_what_its_application_does_not_answer(
    loop: str, app: Films, content: bytes, senders: Senders
) -> None:
    nothing = wish(1, 2, path="/media/nothing")
    with served(app, loop, http=senders.protocol) as server:
        learn(server)
        for _ in range(2):  # and does not take it for known
            with RawConnection(server.port) as client:
                client.send(wish(3, 4) + nothing + wish(5, 6))
                answered(client, content, 3, 4)
                connection, read = senders.taken()
                connection.close()
                assert read == nothing + wish(5, 6)
    assert [scope["path"] for scope in app.scopes] == [FILM, "/media/nothing", "/media/nothing"]


@pytest.mark.parametrize(
    "breaks", [(kind, at) for kind in ("part", "head") for at in ("3-4", "5-6")], ids=range(4)
)  # in what is read, and in what has waited
def test_a_senders_connection_does_not_hang_when_the_application_fails(
    loop: str, app: Films, content: bytes, senders: Senders, breaks: tuple[str, str]
) -> None:
    with served(app, loop, http=senders.protocol, timeout_keep_alive=60) as server:
        learn(server)
        with RawConnection(server.port) as client:
            app.breaks, app.breaks_at = breaks
            client.send(wish(3, 4) + wish(5, 6))
            if breaks != ("head", "3-4"):
                answered(client, content, 3, 4)
            if app.breaks == "part":
                answered(client, content, 5, 6)
                assert app.asked == 2
            else:
                assert client.rest() == b""
                assert app.asked == 1


def test_the_main_process_parses_what_comes_on_connections_from_senders(
    loop: str, app: Films, content: bytes
) -> None:
    make: Any = protocol_class()
    read = b""

    def protocol(**config: Any) -> asyncio.Protocol:
        inner = make(**config)
        return Arriving(inner, read) if read else inner

    with served(app, loop, http=protocol) as server:
        learn(server)
        learn(server, path="/other/film")
        read = wish(3, 4)
        with RawConnection(server.port) as client:
            assert answered(client, content, 3, 4).headers["connection"] == "close"
            assert client.rest() == b""
        assert app.asked == 3
        read = wish(5, 6, path="/other/film")
        with RawConnection(server.port) as client:
            answered(client, content, 5, 6)
            for number in range(3):
                client.send(wish(number, 6, path="/other/film"))
                answered(client, content, number, 6)
            assert app.asked == 7
            client.send(wish(7, 8))
            assert answered(client, content, 7, 8).headers["connection"] == "close"
            assert client.rest() == b""
        assert app.asked == 8
        # What is read there is nothing to learn from either.
        read = wish(1, 2, b"Cookie: there", path="/other/film")
        with RawConnection(server.port) as client:
            answered(client, content, 1, 2)
        read = b""
        learn(server, b"Cookie: there", path="/other/film")
        assert app.asked == 10


def test_a_pipelining_client_of_the_main_process_keeps_its_connection_until_all_is_parsed(
    loop: str, app: Films, content: bytes
) -> None:
    make: Any = protocol_class()
    read = b""

    def protocol(**config: Any) -> asyncio.Protocol:
        return Arriving(make(**config), read)

    with served(app, loop, http=protocol) as server:
        # More than is parsed at a time.
        read = wish(3, 4) + wish(5, 6, b"Cookie: %b" % (b"x" * (PIECE_BYTES + 1000)))
        with RawConnection(server.port) as client:
            assert "connection" not in answered(client, content, 3, 4).headers
            assert answered(client, content, 5, 6).headers["connection"] == "close"
            assert client.rest() == b""
    assert app.asked == 2


def test_a_client_that_sends_no_more_has_its_answer(server: Served, app: Films, content: bytes) -> None:
    learn(server)
    for forgets in (False, True):
        app.forgets = forgets
        with RawConnection(server.port) as client:
            client.send(wish(7, 8))
            client._socket.shutdown(socket.SHUT_WR)
            answered(client, content, 7, 8)
            assert client.rest() == b""
    assert app.asked == 2


def test_who_ends_while_others_have_their_turn_is_answered_or_forgotten(
    loop: str, app: Films, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "BYTES_AT_ONCE", 1)  # each has a turn of its own
    state = uvicorn.server.ServerState()

    async def story(lines: list[socket.socket]) -> None:
        config = uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False)
        made = [RepeatingProtocol(config, state, {}) for _ in lines]
        for one, line in zip(made, lines, strict=True):
            one.connection_made(Inner(line))
        try:
            for one in made:
                one.data_received(wish(0, 0))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert app.asked == 1
            for number, one in enumerate(made):
                one.data_received(wish(number, 9))
            # It is not the client that is waited for: no time-out.
            assert [one.waits() for one in made] == [None] * 5
            await asyncio.sleep(0)
            assert [one._asked for one in made] == [False, True, True, True, True]
            assert made[0].waits() is not None
            made[2].eof_received()
            made[3].connection_lost(None)
            assert [one._asked for one in made] == [False, True, False, False, True]
            for left in (1, 0):
                await asyncio.sleep(0)
                assert sum(one._asked for one in made) == left
        finally:
            for one in made:
                one.connection_lost(None)
            made[0]._looks().close()

    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients, lines = [], []
        for _ in range(5):
            clients.append(stack.enter_context(RawConnection(listening.getsockname()[1])))
            lines.append(stack.enter_context(listening.accept()[0]))
            lines[-1].setblocking(False)
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(story(lines))
        for number, client in enumerate(clients):
            answered(client, content, 0, 0)
            if number == 3:
                lines[number].close()
                assert client.rest() == b""
            else:
                answered(client, content, number, 9)


class Inner(asyncio.Transport):
    """A transport of nobody's, on a socket."""

    def __init__(self, ours: socket.socket) -> None:
        super().__init__()
        self._ours = ours
        self.paused = self.closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ours if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self._ours.sendall(data)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close


@pytest.mark.parametrize("ends", [False, True], ids=["", "all ends"])
@pytest.mark.parametrize("forgets", [False, True], ids=["a repeat", "not known any more"])
def test_what_is_read_in_the_same_turn_is_answered_behind_it(
    loop: str, app: Films, content: bytes, forgets: bool, ends: bool
) -> None:
    state = uvicorn.server.ServerState()

    async def story(ours: socket.socket) -> bool:
        config = uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False)
        one = RepeatingProtocol(config, state, {})
        one.connection_made(transport := Inner(ours))
        try:
            one.data_received(wish(1, 2))
            app.forgets = forgets
            one.data_received(wish(3, 4))
            one.data_received(wish(5, 6, b"Cookie: other"))
            one._parse_on()  # as one that was scheduled before
            assert transport.paused
            if ends:
                one.shutdown()
            for _ in range(5):
                await asyncio.sleep(0)
            assert ends or not transport.paused
            return transport.closing
        finally:
            one.connection_lost(None)
            one._looks().close()

    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        RawConnection(listening.getsockname()[1]) as client,
        listening.accept()[0] as ours,
    ):
        ours.setblocking(False)
        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            assert runner.run(story(ours)) is ends
        for first in (1, 3, 5):
            if first < 5 or forgets or not ends:  # what has been parsed is finished
                answered(client, content, first, first + 1)


def test_with_tls_nothing_is_sent_beside_the_transport(loop: str, app: Films) -> None:
    class Transport(asyncio.Transport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return {"sslcontext": object() if tls else None, "socket": listening}.get(name, default)

    async def made() -> bool:
        config = uvicorn.Config(app, log_config=None, lifespan="off", proxy_headers=False)
        one = RepeatingProtocol(config, uvicorn.server.ServerState(), {})
        one.connection_made(Transport())
        one._looks().close()
        return one.repeats is not None

    with socket.create_server(("127.0.0.1", 0)) as listening:
        for tls in (False, True):
            assert asyncio.run(made()) is not tls
