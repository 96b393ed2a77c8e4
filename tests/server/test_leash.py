"""What a sender hears on its leash, also when it has nothing left to hear it with."""

from __future__ import annotations

import os
import resource
import socket

import pytest

from media_service.server.leash import Leash, tell
from media_service.server.moving import Way, channel, take


def test_a_sender_without_free_descriptors_learns_of_a_new_main_process() -> None:
    supervisors, senders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    taking, end = channel()
    leash, way = Leash(senders.detach()), Way(end)
    client, moving = socket.socketpair()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with supervisors, taking, leash.end, client, moving:
        with open(os.devnull) as highest:  # noqa: PTH123 # a descriptor is wanted, no path
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest.fileno(), hard))
            try:
                for serves in (True, False, True):
                    tell(supervisors, main_serves=serves)
                    leash.hear(way)
                    assert way.leads is serves
                way.hand_over(moving.fileno(), b"read")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        taken = take(taking)
        assert taken is not None
        taken[0].close()
        assert taken[1] == b"read"
        way.close()


def test_without_a_supervisor_there_is_nothing_to_hear() -> None:
    supervisors, senders = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    taking, end = channel()
    leash, way = Leash(senders.detach()), Way(end)
    with taking, leash.end:
        supervisors.close()
        with pytest.raises(EOFError):
            leash.hear(way)
        way.close()
