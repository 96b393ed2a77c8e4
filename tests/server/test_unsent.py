"""How many unsent bytes a connection may hold: as many as were set, until its client has shown that it takes them fast."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import uvloop

from media_service.server.sockets import TCP_NOTSENT_LOWAT, bound
from media_service.server.unsent import MOST_BYTES, OFTEN_SECONDS, TAKEN_TIMES, Unsent
from media_service.server.writable import Writable
from media_service.server.zero_copy import Sender

UNSENT_BYTES = 64 << 10
FAST = 0.5 * OFTEN_SECONDS
SLOW = 2 * OFTEN_SECONDS


def limit_of(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)


@contextmanager
def accepted(unsent_bytes: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the server's, and that of a client with a small buffer."""
    with bound(
        host="127.0.0.1", port=0, unix_socket="", send_buffer_bytes=0, unsent_bytes=unsent_bytes
    ) as sockets:
        sockets[0].listen()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
            client.connect(sockets[0].getsockname())
            server, _ = sockets[0].accept()
            with server:
                yield server, client


def test_who_takes_bytes_fast_may_hold_the_double_each_time() -> None:
    with accepted(UNSENT_BYTES) as (server, _):
        unsent = Unsent(server)
        seen = []
        while unsent.due < float("inf"):
            assert unsent.due == TAKEN_TIMES * limit_of(server)  # a quarter is lost at most
            unsent.consider(FAST)
            seen.append(limit_of(server))
        assert seen == [128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, MOST_BYTES]


def test_who_takes_them_slowly_may_hold_no_more() -> None:
    with accepted(UNSENT_BYTES) as (server, _):
        unsent = Unsent(server)
        unsent.consider(SLOW)
        assert (limit_of(server), unsent.due) == (UNSENT_BYTES, TAKEN_TIMES * UNSENT_BYTES)


@pytest.mark.parametrize("unsent_bytes", [0, MOST_BYTES, MOST_BYTES + 1])
def test_a_limit_that_is_none_or_high_enough_is_left_alone(unsent_bytes: int) -> None:
    with accepted(unsent_bytes) as (server, _):
        assert Unsent(server).due == float("inf")


def test_a_unix_socket_has_no_such_limit() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Unsent(ours).due == float("inf")


async def sent(server: socket.socket, film: int, count: int) -> None:
    """The film's first bytes, by way of a Sender."""
    loop = asyncio.get_running_loop()
    with closing(Writable(loop)) as writable:
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, server.dup())
        with closing(transport), closing(Sender(transport, writable, loop)) as sender:
            if not sender.begin(b"", film, 0, count):
                await sender.rest()


def read(client: socket.socket, count: int, piece: int, pause: float) -> None:
    while count and (got := len(client.recv(min(piece, count)))):
        count -= got
        time.sleep(pause)


@pytest.mark.parametrize("make_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize(
    ("count", "piece", "pause", "more"), [(24 << 20, 1 << 20, 0.0, True), (1 << 20, 8 << 10, 0.02, False)]
)
def test_a_sender_lets_it_grow_for_fast_clients_alone(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
    film: int,
    *,
    count: int,
    piece: int,
    pause: float,
    more: bool,
) -> None:
    with accepted(UNSENT_BYTES) as (server, client):
        reader = threading.Thread(target=read, args=(client, count, piece, pause))
        reader.start()
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(sent(server, film, count))
        assert (limit_of(server) > UNSENT_BYTES) is more
        reader.join(60)
