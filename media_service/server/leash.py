"""What holds a worker to its supervisor: both ends of what they tell each other, and that none of them outlives the other.

The worker says once that it serves. A sender is told when there is a main process, and when there is none. Each message
is one byte.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket

from media_service.server.moving import Way

READY = b"r"  # from a worker: it serves
MAIN = b"m"  # to a sender: a main process serves
NO_MAIN = b"n"  # to a sender: there is none at the moment
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Leash:
    """A worker's end."""

    def __init__(self, descriptor: int) -> None:
        self.end = socket.socket(fileno=descriptor)

    def ready(self) -> None:
        """Tell the supervisor that this process serves."""
        self.end.send(READY)

    def hear(self, way: Way) -> None:
        """Wait for the next word, which says whether `way` leads anywhere. Raises EOFError when there is no supervisor."""
        word = self.end.recv(1)
        if not word:
            raise EOFError
        way.leads = word == MAIN


def tell(end: socket.socket, *, main_serves: bool) -> None:
    """The supervisor's word to a sender. Raises OSError when that is no more, or hears nothing."""
    end.send(MAIN if main_serves else NO_MAIN, socket.MSG_DONTWAIT)


def die_with(parent: int) -> None:
    """The process is killed by the kernel when its parent `parent` ends, however that ends.

    At once: it may have been told to stop what it does, but a service that starts now must not meet it.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended before that
        os.kill(os.getpid(), signal.SIGKILL)
