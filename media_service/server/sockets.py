"""The sockets that the service listens on: bound by us, since what is set on them holds for every connection they accept.

Bound first and listened on last (`Listener`): an address that cannot be had ends the start before the catalog is opened, and
nobody is accepted before there is somebody to answer. A connection takes SO_SNDBUF and TCP_NOTSENT_LOWAT over from the socket
that accepted it (Linux clones it); a Unix one does not, and has the kernel's own buffer.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

# tcp(7). Python 3.11 has no name for it.
TCP_NOTSENT_LOWAT = 25
# The service's user and its group: nginx runs as one of that group (in Kubernetes both containers have the same user).
UNIX_MODE = 0o660
NO_SUCH_ADDRESS = {
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
}  # a machine without IPv6 has a `localhost` with ::1


class CannotListen(Exception):
    """The address cannot be had; the text says which, and why."""


@contextmanager
def bound(
    *, host: str, port: int, unix_socket: str, send_buffer_bytes: int, unsent_bytes: int
) -> Iterator[list[socket.socket]]:
    """Sockets bound to `unix_socket`, or if that is empty to `port` of every address of `host` ("": of the machine).

    They do not listen yet. `send_buffer_bytes` and `unsent_bytes` (bytes; 0: the kernel's) hold for connections by TCP. On the
    way out they are closed and the Unix socket's file is removed. Raises CannotListen.
    """
    if unix_socket:
        with _bound_unix(Path(unix_socket)) as one:
            yield [one]
        return
    sockets = _bound_tcp(host, port)
    try:
        for each in sockets:
            if send_buffer_bytes:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
            if ip_address(each.getsockname()[0]).is_loopback:
                _unpaced(each)
            if unsent_bytes:
                each.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_bytes)
        yield sockets
    finally:
        _close(sockets)


def adopted(descriptors: Iterable[int]) -> list[socket.socket]:
    """The sockets that a process got from the one that bound them, by their descriptors."""
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def address(sockets: list[socket.socket]) -> str:
    """Where clients find them: `http://host:port`, or `unix:/path` as nginx writes it."""
    name = sockets[0].getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound_tcp(host: str, port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        places = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in dict.fromkeys(places):  # /etc/hosts may name one twice
            try:
                # Port 0: the first one's is everybody's, or the line that says where would be true of one address only.
                chosen = sockets[0].getsockname()[1] if sockets else port
                sockets.append(_bound_at(family, kind, protocol, (place[0], chosen, *place[2:])))
            except OSError as error:
                if error.errno not in NO_SUCH_ADDRESS:
                    raise
                absent = error
        if absent is not None and not sockets:
            raise absent
    except (
        OSError,
        UnicodeError,
    ) as error:  # socket.gaierror is an OSError; a name with a label too long is not even asked for
        _close(sockets)
        why = error.strerror if isinstance(error, OSError) else "no name of a host"
        raise CannotListen(f"Cannot listen on {host} port {port}: {why}.") from None
    return sockets


def _bound_at(
    family: socket.AddressFamily, kind: int, protocol: int, place: tuple[str | int, ...]
) -> socket.socket:
    # With the protocol's number, which accepted connections take over: asyncio sets TCP_NODELAY where it is TCP's only.
    one = socket.socket(family, kind, protocol)
    try:
        # Else a restart would wait a minute for the old connections' TIME_WAIT.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        one.bind(place)
    except OSError:
        one.close()
        raise
    return one


@contextmanager
def _bound_unix(path: Path) -> Iterator[socket.socket]:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        mask = os.umask(0o777 & ~UNIX_MODE)  # the file has its mode from the beginning; nothing else runs yet
        try:
            one.bind(str(path))
        finally:
            os.umask(mask)
        own = path.stat()
        one.listen(0)  # who looks whether it is a dead one's finds somebody; nobody is accepted yet
    except OSError as error:
        one.close()
        raise CannotListen(f"Cannot listen on unix:{path}: {error.strerror}.") from None
    try:
        yield one
    finally:
        one.close()
        _remove(path, own)


def _clear(path: Path) -> None:
    """Remove the socket that a killed service has left there. Raises OSError for anything else that is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file which is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        # EAGAIN: somebody listens, and is so busy that the queue is full. Only ECONNREFUSED is nobody.
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, "another service listens there")
    path.unlink()


def _remove(path: Path, own: os.stat_result) -> None:
    """Remove the file if it is still the one that we made: another service may listen there by now."""
    try:
        now = path.lstat()
    except FileNotFoundError:
        return
    if (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino):
        path.unlink()


def _unpaced(one: socket.socket) -> None:
    """Its clients are on this machine, nginx for one: where the kernel's choice is BBR, that would send to them at a pace, by a timer
    of its own for each few packets, which costs a third of a large answer. Reno has no timers, and is there on any kernel.
    """
    with suppress(OSError):  # as an administrator may have it (tcp_allowed_congestion_control)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")


def _close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()
