"""The sockets that are listened on: where, for whom, and what the connections that they accept have of them."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import uvloop

from media_service.server.sockets import TCP_NOTSENT_LOWAT, CannotListen, address, adopted, bound

LOOPS = pytest.mark.parametrize("make_loop", [uvloop.new_event_loop, asyncio.new_event_loop])


def bound_at(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    unix_socket: Path | str = "",
    send_buffer_bytes: int = 0,
    unsent_bytes: int = 0,
) -> AbstractContextManager[list[socket.socket]]:
    return bound(
        host=host,
        port=port,
        unix_socket=str(unix_socket),
        send_buffer_bytes=send_buffer_bytes,
        unsent_bytes=unsent_bytes,
    )


class Seen(asyncio.Protocol):
    """Hands over a copy of the connection that was accepted."""

    def __init__(self, accepted: asyncio.Future[socket.socket]) -> None:
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The options are looked up on a socket of ours: uvloop's stand-in has no way to ask for them."""
        descriptor = transport.get_extra_info("socket").fileno()
        self._accepted.set_result(socket.socket(fileno=os.dup(descriptor)))


async def accepted_by(listening: socket.socket) -> socket.socket:
    """A connection as the loop's server accepts it."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[socket.socket] = loop.create_future()
    async with await loop.create_server(lambda: Seen(accepted), sock=listening):
        with socket.socket(listening.family, socket.SOCK_STREAM) as client:
            client.connect(listening.getsockname())
            return await accepted


def accepted_on(
    make_loop: Callable[[], asyncio.AbstractEventLoop], listening: socket.socket
) -> socket.socket:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(accepted_by(listening))


@LOOPS
def test_accepted_connections_have_what_was_set_on_the_listening_socket(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with (
        bound_at(send_buffer_bytes=64 << 10, unsent_bytes=48 << 10) as (one,),
        accepted_on(make_loop, one) as accepted,
    ):
        # The kernel doubles it for its own needs (socket(7)).
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 128 << 10
        assert accepted.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 48 << 10
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@LOOPS
def test_what_is_0_is_left_to_the_kernel(make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as untouched,
        bound_at() as (one,),
        accepted_on(make_loop, one) as ours,
        accepted_on(make_loop, untouched) as plain,
    ):
        for option in ((socket.SOL_SOCKET, socket.SO_SNDBUF), (socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT)):
            assert ours.getsockopt(*option) == plain.getsockopt(*option)


def congestion_control(one: socket.socket) -> str:
    return one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


@LOOPS
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_nothing_is_sent_at_a_pace_to_who_is_on_this_machine(
    make_loop: Callable[[], asyncio.AbstractEventLoop], host: str
) -> None:
    kernels = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    with bound_at(host) as (one,), accepted_on(make_loop, one) as accepted:
        assert congestion_control(accepted) == ("reno" if host.endswith("1") else kernels)


def test_it_is_no_error_where_that_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "TCP_CONGESTION", 9999)
    with bound_at() as (one,):
        assert one.getsockname()[1]


@LOOPS
def test_a_unix_socket_is_served_by_either_loop(
    make_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    with (
        bound_at(unix_socket=tmp_path / "s", send_buffer_bytes=64 << 10, unsent_bytes=48 << 10) as (one,),
        accepted_on(make_loop, one) as accepted,
    ):
        assert accepted.family == socket.AF_UNIX


def test_nobody_is_accepted_before_it_listens() -> None:
    with bound_at() as (one,), socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(one.getsockname())


def test_each_address_of_a_name_gets_the_same_port() -> None:
    with bound_at("localhost") as sockets:
        assert len({one.getsockname()[1] for one in sockets}) == 1
        assert len({one.getsockname()[0] for one in sockets}) == len(sockets)
        assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}


def test_no_name_is_every_address_of_the_machine() -> None:
    with bound_at("") as sockets:
        assert "0.0.0.0" in {one.getsockname()[0] for one in sockets}


def test_the_address_is_written_as_clients_use_it(tmp_path: Path) -> None:
    with bound_at() as sockets:
        assert address(sockets) == f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    with bound_at(unix_socket=tmp_path / "s") as sockets:
        assert address(sockets) == f"unix:{tmp_path}/s"
    try:
        with bound_at("::1") as sockets:
            assert address(sockets) == f"http://[::1]:{sockets[0].getsockname()[1]}"
    except CannotListen:
        pytest.skip("this machine has no IPv6")


def test_another_process_takes_it_over_by_its_descriptor(tmp_path: Path) -> None:
    for path in (tmp_path / "s", ""):
        with bound_at(unix_socket=path) as sockets:
            (other,) = adopted([os.dup(sockets[0].fileno())])
            with other:
                assert (other.family, other.proto) == (sockets[0].family, sockets[0].proto)
                assert address([other]) == address(sockets)


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with bound_at() as (one,):
        one.listen()
        port = one.getsockname()[1]
        with pytest.raises(
            CannotListen, match=rf"^Cannot listen on 127.0.0.1 port {port}: Address already in use\.$"
        ):
            bound_at(port=port).__enter__()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", 64 * "x", "203.0.113.1"])
def test_a_host_that_is_not_here_is_named(host: str) -> None:
    with pytest.raises(CannotListen, match=f"^Cannot listen on {host} port 0: .+\\.$"):
        bound_at(host).__enter__()


def test_sockets_are_closed_at_the_end(tmp_path: Path) -> None:
    with bound_at() as tcp, bound_at(unix_socket=tmp_path / "s") as unix:
        pass
    assert [one.fileno() for one in (*tcp, *unix)] == [-1, -1]


def test_only_the_services_user_and_group_may_connect(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with bound_at(unix_socket=tmp_path / "s"):
            assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
            assert os.umask(0) == 0
    finally:
        os.umask(mask)


def test_the_socket_of_a_service_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    assert path.exists()
    with bound_at(unix_socket=path) as (one,), socket.socket(socket.AF_UNIX) as client:
        one.listen()
        client.connect(str(path))
    assert not path.exists()


def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound_at(unix_socket=path) as (one,):
        one.listen(0)
        for _ in range(2):  # the second time its queue is full
            with pytest.raises(
                CannotListen, match=f"^Cannot listen on unix:{path}: another service listens there"
            ):
                bound_at(unix_socket=path).__enter__()
        assert path.exists()


def test_a_socket_of_a_service_that_is_about_to_begin_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound_at(unix_socket=path) as (one,):
        own = path.stat().st_ino
        with pytest.raises(CannotListen, match="another service"), bound_at(unix_socket=path):
            pass
        assert path.stat().st_ino == own
        one.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(
        CannotListen, match=f"^Cannot listen on unix:{path}: there is a file which is no socket"
    ):
        bound_at(unix_socket=path).__enter__()
    assert path.read_text() == "mine"


def test_a_directory_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(
        CannotListen, match=f"^Cannot listen on unix:{tmp_path}/run/s: No such file or directory"
    ):
        bound_at(unix_socket=tmp_path / "run" / "s").__enter__()


def test_the_socket_of_a_service_that_came_after_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound_at(unix_socket=path):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(path))
    assert path.exists()
    successor.close()


def test_a_socket_that_somebody_removed_is_no_error_at_the_end(tmp_path: Path) -> None:
    with bound_at(unix_socket=tmp_path / "s"):
        (tmp_path / "s").unlink()
