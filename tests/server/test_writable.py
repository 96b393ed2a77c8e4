"""One epoll for all who wait to write, on both event loops."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise

import pytest
import uvloop

from media_service.server.writable import BYTES_AT_ONCE, EVENTS_AT_ONCE, Writable
from tests.support.served_app import LOOPS


class Counts:
    """Counts how often it was called, and says that it has written so much."""

    def __init__(self, size: int = 0) -> None:
        self.calls = 0
        self._size = size

    def on_writable(self) -> int:
        """Once more."""
        self.calls += 1
        return self._size


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Writable], Awaitable[None]]], None]:
    """Runs a story on the loop."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def told(story: Callable[[Writable], Awaitable[None]]) -> None:
        async def whole() -> None:
            writable = Writable(asyncio.get_running_loop())
            try:
                await story(writable)
            finally:
                writable.close()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(whole())

    return told


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets, the first of which takes no more."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        while True:
            ours.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    with ours, theirs:
        yield ours, theirs


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0.005)


Run = Callable[[Callable[[Writable], Awaitable[None]]], None]
Pair = tuple[socket.socket, socket.socket]


def test_each_wait_is_told_once(run: Run, pair: Pair) -> None:
    ours, theirs = pair
    counts = Counts()

    async def story(writable: Writable) -> None:
        writable.wait(ours.fileno(), counts)
        await _turns()
        assert counts.calls == 0
        while len(theirs.recv(1 << 20)) == 1 << 20:
            pass
        theirs.setblocking(False)
        try:
            while theirs.recv(1 << 20):
                pass
        except BlockingIOError:
            pass
        await _turns()
        assert counts.calls == 1
        writable.wait(ours.fileno(), counts)  # it still does
        await _turns()
        assert counts.calls == 2
        writable.forget(ours.fileno())

    run(story)


def test_the_end_of_the_other_side_is_told(run: Run, pair: Pair) -> None:
    ours, theirs = pair
    counts = Counts()

    async def story(writable: Writable) -> None:
        writable.wait(ours.fileno(), counts)
        theirs.close()
        await _turns()
        assert counts.calls == 1
        writable.forget(ours.fileno())

    run(story)


def test_a_forgotten_descriptor_is_not_told_and_its_number_may_come_again(run: Run, pair: Pair) -> None:
    ours, _ = pair
    first, second = Counts(), Counts()

    async def story(writable: Writable) -> None:
        copy = os.dup(ours.fileno())
        writable.wait(copy, first)
        writable.forget(copy)
        writable.forget(copy)  # nobody waits for it
        os.close(copy)
        free, other = socket.socketpair()
        with free, other:
            same = os.dup(free.fileno())
            writable.wait(same, second)
            await _turns()
            writable.forget(same)
            os.close(same)
        assert (first.calls, second.calls) == (0, 1)

    run(story)


def test_many_at_once_are_all_told(run: Run) -> None:
    async def story(writable: Writable) -> None:
        pairs = [socket.socketpair() for _ in range(2 * EVENTS_AT_ONCE + 3)]
        counts = [Counts() for _ in pairs]
        for (ours, _), one in zip(pairs, counts, strict=True):
            writable.wait(ours.fileno(), one)
        await _turns()
        assert [one.calls for one in counts] == [1] * len(pairs)
        for ours, theirs in pairs:
            writable.forget(ours.fileno())
            ours.close()
            theirs.close()

    run(story)


def test_after_many_bytes_others_of_the_loop_have_their_turn_and_nobody_is_left_out(run: Run) -> None:
    async def story(writable: Writable) -> None:
        pairs = [socket.socketpair() for _ in range(9)]
        counts = [Counts(BYTES_AT_ONCE // 2) for _ in pairs]
        for (ours, _), one in zip(pairs, counts, strict=True):
            writable.wait(ours.fileno(), one)
        turns = [0]
        while turns[-1] < len(pairs):
            await asyncio.sleep(0)
            turns.append(sum(one.calls for one in counts))
        assert max(after - before for before, after in pairwise(turns)) == 2
        assert [one.calls for one in counts] == [1] * len(pairs)
        for ours, theirs in pairs:
            writable.forget(ours.fileno())
            ours.close()
            theirs.close()

    run(story)
