"""A main process that has no descriptor left for what the senders hand over."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from media_service.server import working
from media_service.server.leash import Leash
from media_service.server.moving import Way, channel, take
from media_service.server.repeating import protocol_class
from media_service.server.working import MainWorker
from tests.server.messages import Played


async def test_without_a_free_descriptor_connections_wait_in_the_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[float] = []
    loop = asyncio.get_running_loop()
    again = asyncio.Event()

    def none_left(end: socket.socket) -> tuple[socket.socket, bytes] | None:
        tried.append(loop.time())
        if len(tried) == 1:
            if (taken := take(end)) is not None:
                taken[0].close()
            raise OSError(errno.EMFILE, "Too many open files")
        again.set()
        if (taken := take(end)) is not None:
            taken[0].close()
        return None

    monkeypatch.setattr(working, "take", none_left)
    monkeypatch.setattr(working, "PAUSE_SECONDS", 0.2)
    taking, senders = channel()
    way = Way(senders)
    way.leads = True
    ours, theirs = socket.socketpair()
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with taking, ours, theirs, ends[0], ends[1]:
        worker = MainWorker(
            Played(),
            [],
            Leash(ends[1].fileno()),
            taking,
            protocol=protocol_class(),
            shutdown_seconds=1,
            on_stopping=lambda: None,
        )
        worker._loop = loop
        for _ in range(3):
            way.hand_over(theirs.fileno(), b"")
        worker.listening()
        await asyncio.wait_for(again.wait(), 10)
        worker.leash.end.detach()
    way.close()
    assert tried[1] - tried[0] >= 0.2
    assert caplog.text.count("a connection from a sender is lost: Too many open files") == 1
