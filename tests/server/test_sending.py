"""A sender's connections: what is answered here, what is handed over, and that not a byte is lost between the two."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from media_service.server.moving import take
from media_service.server.sending import MOST_HEAD_BYTES, MOST_WAITING_BYTES, Sending
from tests.server.messages import Played, memory, start
from tests.server.senders import Senders
from tests.support.processes import wait_until
from tests.support.served_app import LOOPS, Served, served

LARGE = random.Random(4).randbytes(8 << 20)
SOON_SECONDS = 20.0
MOST_READ_BYTES = 256 << 10  # at a time, by either event loop
OTHERS = (
    b"GET /api/v1/assets HTTP/1.1\r\nHost: h\r\n\r\n",
    b"PUT /media/small HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /media/small HTTP/1.1\r\nHost: h\r\ncontent-length : 3\r\n\r\nabc",
    b"GET /media/small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /media/small HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /media/small HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
    b"GET /media/small HTTP/1.1\nHost: h\n\n",
    b"GET /media/small HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n",
    b"\r\nGET /media/small HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET http://h/media/small HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /media/small HTTP/1.1\r\nX: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n",
    b"GET /media/nothing HTTP/1.1\r\nHost: h\r\n\r\n",  # the application answers nothing
    b"GET /media/sm",
)


def wish(path: str, method: str = "GET") -> bytes:
    return f"{method} /media/{path} HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n".encode()


class Site(Senders):
    """A sender with its server, and the main process' end of its way."""

    soon_seconds = SOON_SECONDS
    server: Served


@pytest.fixture(params=LOOPS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    app = Played(
        **{
            "media/small": [start(5), memory(b"small", more=False)],
            "media/large": [start(len(LARGE)), memory(LARGE, more=False)],
            "media/nothing": [],
        }
    )
    made = Site()
    with closing(made), served(app, request.param, http=made.protocol) as made.server:
        yield made


def read_exactly(client: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = client.recv(min(size - len(data), 1 << 20))
        assert piece, f"closed after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


def answered(client: socket.socket) -> tuple[bytes, bytes]:
    """The next answer's head and body."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += read_exactly(client, 1)
    (length,) = (int(line[15:]) for line in bytes(head).split(b"\r\n") if line.startswith(b"content-length:"))
    return bytes(head), read_exactly(client, length)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("other", OTHERS, ids=range(len(OTHERS)))
def test_not_a_byte_is_lost_or_read_twice_wherever_the_pieces_end(
    site: Site, other: bytes, seed: int
) -> None:
    chance = random.Random(seed)
    requests = [wish("small")] * chance.choice([0, 1, 3]) + [
        other,
        chance.choice([b"", wish("small"), other]) if other != OTHERS[-1] else b"",
    ]
    text = b"".join(requests)
    with site.server.connect() as client:
        position = 0
        while position < len(text):
            step = chance.choice([1, 7, 60, 1000, len(text)])
            client.sendall(text[position : position + step])
            position += step
            if chance.random() < 0.1:
                time.sleep(0.002)  # the pieces shall come as such, now and then
        connection, read = site.taken()
        client.shutdown(socket.SHUT_WR)
        with connection:
            connection.setblocking(True)
            while piece := connection.recv(1 << 16):
                read += piece
        assert text.endswith(read)
        # Whole requests were answered here, and all behind them is the main process'.
        here = next(n for n in range(len(requests)) if len(b"".join(requests[n:])) == len(read))
        for _ in range(here):
            assert answered(client)[1] == b"small"
        assert client.recv(1) == b""


@pytest.mark.parametrize("path", ["small", "large"])
def test_it_is_handed_over_when_the_last_answer_has_gone_to_its_end(site: Site, path: str) -> None:
    with site.server.connect(receive_buffer=16 << 10) as client:
        client.sendall(wish(path) + wish(path) + OTHERS[0])
        if path == "large":
            time.sleep(0.2)  # in which it would be handed over too early
            assert site.nothing_comes()
        for _ in range(2):
            body = answered(client)[1]
            assert body == (LARGE if path == "large" else b"small")
        connection, read = site.taken()
        assert read == OTHERS[0]
        with connection:
            connection.sendall(b"from there")
        assert read_exactly(client, 10) == b"from there"


def test_who_sends_more_while_he_is_answered_waits_with_it(site: Site) -> None:
    with site.server.connect(receive_buffer=16 << 10) as client:
        client.sendall(wish("large"))
        client.settimeout(0.5)
        sent = 0
        with suppress(TimeoutError):
            while sent < 64 << 20:
                sent += client.send(OTHERS[0] * 1000)
        assert sent < 64 << 20
        client.settimeout(SOON_SECONDS)
        assert answered(client)[1] == LARGE
        connection, read = site.taken()
        client.shutdown(socket.SHUT_WR)
        with connection:
            connection.setblocking(True)
            while piece := connection.recv(1 << 20):
                read += piece
        assert len(read) == sent


def test_who_asks_faster_than_he_is_answered_waits_in_the_kernel(site: Site) -> None:
    asked = wish("small", "HEAD") * 10_000
    answers = most = position = 0
    with site.server.connect() as client:
        client.setblocking(False)
        client.sendall(wish("small"))
        wait_until(lambda: bool(site.server.connections()), SOON_SECONDS, "it is connected")
        (inner,) = site.server.connections()
        sending = inner.transport.get_protocol()
        assert isinstance(sending, Sending)
        while answers < 3000:
            readable, writable, _ = select.select([client], [client], [], SOON_SECONDS)
            assert readable or writable
            if writable:
                position = (position + client.send(asked[position:])) % len(asked)
            if readable:
                answers += client.recv(1 << 20).count(b"HTTP/1.1 200 OK")
            most = max(most, len(sending._read))
    assert most <= MOST_WAITING_BYTES + MOST_READ_BYTES


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_without_a_main_process_the_answer_is_503_and_whole(site: Site, method: str) -> None:
    site.way.close()
    with site.server.connect() as client:
        client.sendall(
            f"{method} /api/v1/assets HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n".encode()
        )
        if method == "PUT":
            client.sendall(bytes(300_000))  # it goes on sending: the answer must not be lost over that
        data = bytearray()
        while piece := client.recv(1 << 16):
            data += piece
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
        assert {b"retry-after: 5", b"connection: close", b"content-type: application/problem+json"} <= set(
            lines
        )
        if method == "HEAD":
            assert body == b""
        else:
            assert json.loads(body)["code"] == "unavailable"
            assert b"content-length: %d" % len(body) in lines


def test_films_are_answered_without_a_main_process(site: Site) -> None:
    site.way.close()
    with site.server.connect() as client:
        client.sendall(wish("small") + wish("small", "HEAD") + wish("nothing"))
        assert answered(client)[1] == b"small"
        head = read_exactly(client, len(b"HTTP/1.1 200"))
        assert head == b"HTTP/1.1 200"
        text = bytearray()
        while piece := client.recv(1 << 16):
            text += piece
        assert b"HTTP/1.1 503" in text
        assert b"access-control-allow-origin: *\r\naccess-control-expose-headers: Retry-After\r\n" in text


def test_a_crowded_way_is_waited_for(site: Site) -> None:
    waiting = []
    try:
        for _ in range(40):
            client = site.server.connect()
            waiting.append(client)
            client.sendall(b"PUT /api HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 40_000)
        time.sleep(0.2)  # in which the way becomes full
        for _ in waiting:
            connection, read = site.taken()
            connection.close()
            assert read.startswith(b"PUT /api")
    finally:
        for client in waiting:
            client.close()


def test_clients_that_leave_leave_nothing(site: Site) -> None:
    for number in range(30):
        with site.server.connect(receive_buffer=16 << 10) as client:
            client.sendall((wish("large"), wish("large") + OTHERS[0], wish("small") + OTHERS[0])[number % 3])

    def nobody_there() -> bool:
        with suppress(BlockingIOError):
            while (one := take(site.end)) is not None:
                one[0].close()
        return not site.server.connections() and not site.server.tasks()

    wait_until(nobody_there, SOON_SECONDS, "the sender holds nothing of them")
