"""Connections that go on in another process: a sender hands over what it cannot answer, and the main process takes it.

What is handed over is the connection itself (SCM_RIGHTS, unix(7)), together with what was read of it and not answered: the
client talks with the main process from then on, and nothing of that passes through the sender. One message is one
connection (SOCK_SEQPACKET), so that many senders share a way, and one that is killed leaves no half of a message behind.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from contextlib import ExitStack

# What was read is in the message itself up to here, and above in a memfd beside the connection: a message must fit into the
# socket's buffer as a whole (208 KiB by default), or it never goes.
CARRIED_BYTES = 48 << 10
_MARK = b"\0"  # begins each message: an empty one would be the end of all
_MOST_DESCRIPTORS = 2
_CONTROL_BYTES = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)

# No descriptors, no memory, or too many on their way (unix(7), ETOOMANYREFS): all of it passes.
_PASSING = {errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


class Unreachable(Exception):
    """There is no main process at the moment."""


class Crowded(Exception):
    """The main process does not take connections as fast as they come; try again in a moment."""


def channel() -> tuple[socket.socket, socket.socket]:
    """The two ends of a way: the main process' and the senders', who share theirs."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Way:
    """The senders' end of the way to the main process: the same for whichever it is, and it `leads` somewhere while one serves."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.leads = False

    def close(self) -> None:
        """It leads nowhere any more."""
        self.leads = False
        self._end.close()

    def hand_over(self, connection: int, read: bytes) -> None:
        """Give that descriptor and the bytes to the main process; the caller closes its own descriptor then.

        Raises Unreachable and Crowded: the caller still has the connection.
        """
        if not self.leads:
            raise Unreachable
        try:
            _send(self._end, connection, read)
        except BlockingIOError:
            raise Crowded from None
        except OSError as error:
            if error.errno in _PASSING:
                raise Crowded from error
            # All is stopping: this end has no other one any more.
            self.leads = False
            raise Unreachable from error


def take(end: socket.socket) -> tuple[socket.socket, bytes] | None:
    """The next connection from the main process' end, and what was read of it; None when all senders' ends are closed.

    Raises BlockingIOError while there is none, and OSError for one that is lost because no more files may be open.
    """
    message, control, flags, _ = end.recvmsg(
        len(_MARK) + CARRIED_BYTES, _CONTROL_BYTES, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    )
    if not message:
        return None
    descriptors = array.array("i")
    for _level, _kind, data in control:
        descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    with ExitStack() as stack:
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        if flags & socket.MSG_CTRUNC or not descriptors:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        read = message[len(_MARK) :]
        if len(descriptors) > 1:
            read = os.pread(descriptors[1], os.fstat(descriptors[1]).st_size, 0)
        return socket.socket(fileno=os.dup(descriptors[0])), read


def _send(end: socket.socket, connection: int, read: bytes) -> None:
    with ExitStack() as stack:
        descriptors = [connection]
        if len(read) > CARRIED_BYTES:
            descriptors.append(memory := os.memfd_create("read"))
            stack.callback(os.close, memory)
            written = 0
            while written < len(read):
                written += os.pwrite(memory, memoryview(read)[written:], written)
            read = b""
        # Not socket.send_fds(): until Python 3.12 it takes flags and drops them, and a sender would stand still here.
        rights = socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors)
        end.sendmsg([_MARK, read], [rights], socket.MSG_DONTWAIT)
