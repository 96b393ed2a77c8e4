"""Who waits until a socket takes bytes again: one epoll for all connections of an event loop.

The loop's own add_writer() would do, at the price of two calls of epoll_ctl(2) and a new handle for each wait. Here a
descriptor is known once, and one call arms it for one event (EPOLLONESHOT): the kernel looks again when it is armed, so
that no event is missed. The loop sees the epoll as one readable descriptor.
"""

from __future__ import annotations

import asyncio
import select
from typing import Protocol

# Of all that became writable so many get their turn before other events of the loop get theirs.
EVENTS_AT_ONCE = 64
BYTES_AT_ONCE = 8 << 20  # some milliseconds, where lines are fast and their buffers have grown
_ONCE = select.EPOLLOUT | select.EPOLLONESHOT


class Waiting(Protocol):
    """Somebody who writes to a descriptor."""

    def on_writable(self) -> int:
        """The descriptor takes bytes again, or never will: writing tells. About how many were written."""


class Writable:
    """The descriptors that are waited for. All descriptors of `forget` must be forgotten before they are closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._waiting: dict[int, Waiting] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def wait(self, descriptor: int, waiting: Waiting) -> None:
        """Call `waiting.on_writable` once, when the descriptor takes bytes: in a later turn of the loop."""
        if descriptor in self._waiting:
            self._epoll.modify(descriptor, _ONCE)
        else:
            self._epoll.register(descriptor, _ONCE)
            self._waiting[descriptor] = waiting

    def forget(self, descriptor: int) -> None:
        """Call nobody for this descriptor any more. The kernel would not do it by itself: another one is the same socket."""
        if self._waiting.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self) -> None:
        """Free the epoll; nobody may wait."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _ready(self) -> None:
        room = BYTES_AT_ONCE
        for descriptor, _ in self._epoll.poll(0, EVENTS_AT_ONCE):
            # One that another event of this turn has ended is not there any more.
            if (waiting := self._waiting.get(descriptor)) is not None:
                if room > 0:
                    room -= waiting.on_writable()
                else:
                    self._epoll.modify(
                        descriptor, _ONCE
                    )  # told again in the next turn, before those of this one
