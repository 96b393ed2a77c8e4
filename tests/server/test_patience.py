"""Looks at all connections, once a second."""

from __future__ import annotations

import asyncio
import socket

import pytest

from media_service.server import patience
from media_service.server.patience import AT_ONCE, Looks, Wait, unacknowledged


class Waits:
    """Waits for what it is told to wait for."""

    def __init__(self, wait: Wait | None) -> None:
        self.wait = wait
        self.looks = 0
        self.given_up = asyncio.Event()

    def waits(self) -> Wait | None:
        """The same each time, but for who makes progress."""
        self.looks += 1
        return self.wait

    def give_up(self) -> None:
        """Remember it."""
        self.given_up.set()


class Progresses(Waits):
    """... and makes progress."""

    def waits(self) -> Wait | None:
        """Each time something else."""
        self.looks += 1
        return Wait(0.05, (self.looks,))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that a test can wait for."""
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.01)


async def test_what_is_wrong_with_one_does_not_end_the_looks_at_others() -> None:
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    class Broken(Waits):
        def waits(self) -> Wait | None:
            raise ValueError("said")

    stuck = [Waits(Wait(0.05, ("x",))) for _ in range(3)]
    connections: set[Waits] = {*stuck, *(Broken(None) for _ in range(2))}
    looks = Looks(loop, connections)
    for one in stuck:
        await asyncio.wait_for(one.given_up.wait(), 10)
    connections.clear()
    await _until_ended(looks)
    assert {str(error) for error in told} == {"said"}


async def test_who_waits_too_long_for_the_same_is_given_up() -> None:
    stuck, busy, lively = Waits(Wait(0.05, ("x",))), Waits(None), Progresses(None)
    connections: set[Waits] = {stuck, busy, lively}
    looks = Looks(asyncio.get_running_loop(), connections)
    begun = asyncio.get_running_loop().time()
    await asyncio.wait_for(stuck.given_up.wait(), 10)
    assert asyncio.get_running_loop().time() - begun >= 0.05
    assert not busy.given_up.is_set()
    assert not lively.given_up.is_set()
    connections.clear()
    await _until_ended(looks)
    looks.close()  # once more does nothing


async def test_thousands_are_looked_at_a_few_in_a_turn() -> None:
    connections = {Waits(Wait(100, ())) for _ in range(3 * AT_ONCE)}
    gone = next(iter(connections))
    at_once: list[int] = []
    looks = Looks(asyncio.get_running_loop(), connections)
    seen = 0
    while seen < 2 * AT_ONCE:
        await asyncio.sleep(0)
        now = sum(one.looks for one in connections)
        at_once.append(now - seen)
        seen = now
    connections.discard(gone)  # in the middle of a look
    while seen < 3 * AT_ONCE - 1:
        await asyncio.sleep(0)
        seen = sum(one.looks for one in connections)
    assert max(at_once) == AT_ONCE
    looks.close()


def test_the_kernel_tells_what_a_peer_has_not_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert unacknowledged(ours.fileno()) == 0
        ours.send(bytes(10_000))
        assert unacknowledged(ours.fileno()) >= 10_000
        theirs.recv(1 << 20)
        assert unacknowledged(ours.fileno()) == 0


async def _until_ended(looks: Looks) -> None:
    async with asyncio.timeout(10):
        while not looks.ended:  # noqa: ASYNC110 # nothing tells it
            await asyncio.sleep(0.01)
