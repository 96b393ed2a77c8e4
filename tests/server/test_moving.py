"""Connections handed from one end of a way to the other, with what was read of them."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from media_service.server.moving import CARRIED_BYTES, Crowded, Unreachable, Way, channel, take


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the client's, and the one that moves."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def way() -> Iterator[tuple[socket.socket, Way]]:
    """The main process' end, and the senders' way to it."""
    end, senders = channel()
    leading = Way(senders)
    leading.leads = True
    with end:
        yield end, leading
    leading.close()


@pytest.mark.parametrize("size", [0, 1, CARRIED_BYTES, CARRIED_BYTES + 1, 3 << 20])
def test_a_connection_arrives_with_every_byte_that_was_read_of_it(
    way: tuple[socket.socket, Way], pair: tuple[socket.socket, socket.socket], size: int
) -> None:
    end, leading = way
    client, moving = pair
    read = os.urandom(size)
    leading.hand_over(moving.fileno(), read)
    moving.close()
    taken = take(end)
    assert taken is not None
    with taken[0] as arrived:
        assert taken[1] == read
        client.sendall(b"and then")
        assert arrived.recv(100) == b"and then"
        assert not os.get_inheritable(arrived.fileno())
    assert client.recv(1) == b""  # nobody else has it any more


def test_they_arrive_one_by_one_in_their_order(
    way: tuple[socket.socket, Way], pair: tuple[socket.socket, socket.socket]
) -> None:
    end, leading = way
    for number in range(20):
        leading.hand_over(pair[1].fileno(), b"%d" % number)
    for number in range(20):
        taken = take(end)
        assert taken is not None
        taken[0].close()
        assert taken[1] == b"%d" % number
    with pytest.raises(BlockingIOError):
        take(end)


def test_a_way_that_is_full_is_crowded_and_nothing_is_lost(
    way: tuple[socket.socket, Way], pair: tuple[socket.socket, socket.socket]
) -> None:
    end, leading = way
    sent = 0
    with suppress(Crowded):
        for sent in range(1000):  # noqa: B007 # used behind it
            leading.hand_over(pair[1].fileno(), bytes(CARRIED_BYTES))
    assert 0 < sent < 999
    for _ in range(sent):
        taken = take(end)
        assert taken is not None
        taken[0].close()
        assert len(taken[1]) == CARRIED_BYTES
    leading.hand_over(pair[1].fileno(), b"")


def test_without_a_main_process_it_is_unreachable(
    way: tuple[socket.socket, Way], pair: tuple[socket.socket, socket.socket]
) -> None:
    end, leading = way
    leading.leads = False
    with pytest.raises(Unreachable):
        leading.hand_over(pair[1].fileno(), b"")
    leading.leads = True
    end.close()
    with pytest.raises(Unreachable):
        leading.hand_over(pair[1].fileno(), b"")
    assert not leading.leads


def test_a_connection_for_which_there_is_no_descriptor_is_lost_and_said_to_be(
    way: tuple[socket.socket, Way], pair: tuple[socket.socket, socket.socket]
) -> None:
    end, leading = way
    leading.hand_over(pair[1].fileno(), b"")
    leading.hand_over(pair[1].fileno(), b"next")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The next descriptor would be the first above the limit.
    with open(os.devnull) as highest:  # noqa: PTH123 # a descriptor is wanted, no path
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
        try:
            with pytest.raises(OSError, match="Too many open files") as refused:
                take(end)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.errno == errno.EMFILE
    taken = take(end)
    assert taken is not None
    taken[0].close()
    assert taken[1] == b"next"
