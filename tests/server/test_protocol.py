"""The protocol on both event loops: order, gone and slow clients, time-outs, refusals, the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from media_service.server import patience
from media_service.server.protocol import (
    MOST_FIELDS,
    MOST_PIPELINED,
    PIECE_BYTES,
    ZeroCopyProtocol,
)
from media_service.server.repeating import protocol_class
from media_service.server.writable import Writable
from media_service.server.zero_copy import TURN_BYTES
from tests.server.messages import Message, Played, PlayedAtOnce, memory, piece, start
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.served_app import LOOPS, open_descriptors, served

pytestmark = pytest.mark.parametrize("loop", LOOPS)
KINDS = pytest.mark.parametrize("kind", [Played, PlayedAtOnce])
SOON = 10.0


def small(body: bytes) -> list[Message]:
    """A response of memory only."""
    return [start(len(body)), memory(body, more=False)]


def whole(film: int, content: bytes) -> list[Message]:
    """The whole file, zero-copy: more than what the sockets' buffers take."""
    return [start(len(content)), piece(film, 0, len(content), more=False)]


def read_to_the_end(client: socket.socket) -> None:
    """Take what is still to come, and throw it away."""
    while client.recv(1 << 20):
        pass


@KINDS
def test_pipelined_requests_are_answered_in_their_order(
    loop: str, kind: type[Played], content: bytes, film: int
) -> None:
    app = kind(
        json=small(b"{}"),
        large=small(b"y" * 3_000_000),
        film=whole(film, content),
        cut=[start(20), memory(b"0123456789"), piece(film, 99, 10, more=False)],
    )
    bodies = {
        "json": b"{}",
        "large": b"y" * 3_000_000,
        "film": content,
        "cut": b"0123456789" + content[99:109],
    }
    order = [*itertools.permutations(("json", "film", "large", "cut"), 4)][:6]
    asked = [path for paths in order for path in paths]
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.send(b"".join(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in asked))
        for path in asked:
            assert client.head().headers["content-length"] == str(len(bodies[path]))
            assert client.body(len(bodies[path])) == bodies[path]
    assert not app.raised


@KINDS
@pytest.mark.parametrize("padding", [0, 100, PIECE_BYTES - 100])
def test_any_number_of_requests_in_one_packet_are_answered_and_few_of_them_are_parsed_ahead(
    loop: str, film: int, kind: type[Played], padding: int
) -> None:
    waiting: list[int] = []

    class Watched(kind):  # type: ignore[misc, valid-type] # one of two
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            waiting.append(max(len(one.pipeline) for one in server.connections()))
            await super().__call__(scope, receive, send)

    app = Watched(one=[start(3), piece(film, 0, 3, more=False)], json=small(b"{}"))
    asked = b"GET /one HTTP/1.1\r\nA: %b\r\n\r\nGET /json HTTP/1.1\r\n\r\n" % (b"x" * padding)
    number = (40 << 10) // len(asked)
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.send(asked * number)
        for _ in range(number):
            for size in (3, 2):
                assert client.head().status == 200
                client.body(size)
        # What comes then is read as ever.
        client.request("GET", "/json")
        assert client.head().status == 200
        client.body(2)
    assert len(app.scopes) == 2 * number + 1
    assert 1 < max(waiting) <= MOST_PIPELINED + PIECE_BYTES // 18


def test_a_body_behind_many_requests_and_requests_behind_a_body_are_read(loop: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        size = 0
        more = True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
        for message in small(b"%d" % size):
            await send(message)

    get, body = b"GET / HTTP/1.1\r\n\r\n", b"x" * 150_000
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.send(
            get * 300 + b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body + get * 100
        )
        for size in [*[0] * 300, len(body), *[0] * 100]:
            said = b"%d" % size
            assert client.head().status == 200
            assert client.body(len(said)) == said


def test_what_is_no_request_behind_many_is_refused_behind_their_answers(loop: str) -> None:
    app = PlayedAtOnce(one=small(b"{}"))
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.send(
            b"GET /one HTTP/1.1\r\n\r\n" * 300 + b"nonsense\r\n\r\n" + b"GET /one HTTP/1.1\r\n\r\n" * 1000
        )
        for _ in range(300):
            assert client.head().status == 200
            client.body(2)
        assert client.head().status == 400
        client.rest()
    assert len(app.scopes) == 300


def test_requests_that_wait_behind_others_do_not_fill_the_memory(loop: str) -> None:
    waiting: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        leaving = asyncio.create_task(receive())  # as who watches for a client that goes
        await asyncio.sleep(0.001)
        waiting.append(max(len(one.pipeline) for one in server.connections()))
        leaving.cancel()
        for message in small(b"{}"):
            await send(message)

    asked = b"GET / HTTP/1.1\r\nA: %b\r\n\r\n" % (b"x" * 10_000)
    with served(app, loop) as server, server.connect() as client:
        client.settimeout(1)
        with contextlib.suppress(TimeoutError):
            for _ in range(100):
                client.sendall(asked * 50)
        wait_until(lambda: len(waiting) > 50, SOON, "some have been answered")
        client.close()
        server.settled(open_descriptors())
    assert max(waiting) <= (512 << 10) // len(asked) <= MOST_PIPELINED


@KINDS
def test_who_has_gone_is_noticed_at_once_and_leaves_nothing(
    loop: str, kind: type[Played], content: bytes, film: int
) -> None:
    app = kind(film=whole(film, content))
    with served(app, loop) as server:
        before = open_descriptors()
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            client.sendall(b"GET /film HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1000)
        wait_until(lambda: len(server.connections()) == 20, SOON, "all are being answered")
        for number, client in enumerate(clients):
            if number % 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        server.settled(before)
    assert app.ended == 20
    assert {error.partition(":")[0] for error in app.raised} == {"ClientGone"}


def test_who_has_gone_before_the_first_file_is_noticed(loop: str, content: bytes, film: int) -> None:
    reached = threading.Event()
    raised: list[type[BaseException]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        reached.set()
        assert (await receive())["type"] == "http.disconnect"
        for message in whole(film, content):
            try:
                await send(message)
            except OSError as error:
                raised.append(type(error))

    with served(app, loop) as server:
        with server.connect() as client:
            client.sendall(b"GET /film HTTP/1.1\r\nHost: x\r\n\r\n")
            assert reached.wait(SOON)
        server.settled(open_descriptors())
    assert [one.__name__ for one in raised] == ["ClientGone"]


def test_a_gone_client_of_a_pipeline_ends_the_response_that_is_on_its_way(
    loop: str, content: bytes, film: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Played(film=whole(film, content), json=small(b"{}"))
    with served(app, loop) as server:
        before = open_descriptors()
        with server.connect() as client:
            client.sendall(b"GET /film HTTP/1.1\r\nHost: x\r\n\r\nGET /json HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1000)
        server.settled(before)
    assert app.ended == len(app.raised) == 1
    assert caplog.text == ""


def test_a_slow_reader_gets_every_byte_while_others_are_served(loop: str, content: bytes, film: int) -> None:
    app = PlayedAtOnce(film=whole(film, content), json=small(b"{}"))
    with served(app, loop) as server, server.connect(receive_buffer=4096) as slow:
        slow.sendall(b"GET /film HTTP/1.1\r\nHost: x\r\n\r\n")
        with RawConnection(server.port) as other:
            for _ in range(20):
                slow.recv(100)
                other.request("GET", "/json")
                other.head()
                other.body(2)
        with RawConnection(server.port) as other:
            other.request("GET", "/film")
            other.head()
            assert other.body(len(content)) == content


def test_many_connections_at_once_get_what_is_theirs(loop: str, content: bytes, film: int) -> None:
    size = 3 << 20
    paths = {f"at{number}": number * 70_001 for number in range(60)}
    app = PlayedAtOnce(
        **{path: [start(size), piece(film, place, size, more=False)] for path, place in paths.items()}
    )
    with served(app, loop) as server:
        clients = {path: server.connect() for path in paths}
        for path, client in clients.items():
            client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        for path, client in clients.items():
            answer = b""
            while len(answer.partition(b"\r\n\r\n")[2]) < size:
                answer += client.recv(1 << 20)
            assert answer.partition(b"\r\n\r\n")[2] == content[paths[path] : paths[path] + size]
            client.close()
        server.settled(open_descriptors())


def test_a_file_that_is_too_short_cuts_the_response(
    loop: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "short").write_bytes(b"only so much")
    short = os.open(tmp_path / "short", os.O_RDONLY)
    app = Played(short=[start(100), piece(short, 0, 100, more=False)])
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/short")
        client.head()
        assert client.body(100) in {b"only so much", b""}  # aborted: what is on its way may be lost
    os.close(short)
    assert app.raised == ["FileEnded: 88 bytes of it are not there"]
    assert "FileEnded" in caplog.text


def test_a_descriptor_that_is_none_cuts_the_response(loop: str) -> None:
    app = Played(bad=[start(100), piece(1 << 20, 0, 100, more=False)])
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/bad")
        assert len(client.rest().partition(b"\r\n\r\n")[2]) == 0
    assert app.raised[0].startswith("OSError: [Errno 9]")


def test_without_a_free_descriptor_one_line_is_logged_and_the_client_ends(
    loop: str, content: bytes, film: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    app = PlayedAtOnce(film=whole(film, content), json=small(b"{}"))
    with served(app, loop) as server:

        def none_left(descriptor: int) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patched, RawConnection(server.port) as client:
            patched.setattr(os, "dup", none_left)
            client.request("GET", "/film")
            assert client.rest() == b""
        with RawConnection(server.port) as client:
            client.request("GET", "/film")
            client.head()
            assert client.body(len(content)) == content
    assert [line.message for line in caplog.records] == ["a response is broken off: Too many open files"]


def test_a_connection_that_cannot_begin_for_want_of_a_descriptor_is_closed(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)
    made = Writable
    tried: list[None] = []

    def none_left_at_first(running: asyncio.AbstractEventLoop) -> Writable:
        tried.append(None)
        if len(tried) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return made(running)

    monkeypatch.setattr(patience, "Writable", none_left_at_first)
    with served(Played(json=small(b"{}")), loop) as server, server.connect() as first:
        wait_until(lambda: bool(tried), SOON, "the first one cannot begin")
        with RawConnection(server.port) as other:
            other.request("GET", "/json")
            assert other.head().status == 200
            assert first.recv(1) == b""
        server.settled(open_descriptors())


def test_what_is_no_request_is_refused_behind_the_responses_before_it(
    loop: str, content: bytes, film: int
) -> None:
    app = PlayedAtOnce(film=whole(film, content))
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.send(b"GET /film HTTP/1.1\r\nHost: x\r\n\r\nGET /film HTTP/1.1\r\nHost: x\r\n\r\n")
        client.send(b"what is this?\r\n\r\n")
        for _ in range(2):
            client.head()
            assert client.body(len(content)) == content
        assert client.head().status == 400
        client.rest()


def test_what_is_no_body_ends_the_request(loop: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/begun":
            await send(start(10))
            await send(memory(b"12345"))
        while (await receive())["type"] != "http.disconnect":
            pass

    with served(app, loop) as server:
        for path, answer in (("/waits", b"HTTP/1.1 400"), ("/begun", b"HTTP/1.1 200")):
            with RawConnection(server.port) as client:
                client.request("POST", path, {"Transfer-Encoding": "chunked"})
                begun = client.until(b"12345") if path == "/begun" else b""
                client.send(b"this is no chunk\r\n")
                rest = client.rest()
                assert (begun + rest).startswith(answer)
                assert b"400" not in rest or not begun
        server.settled(open_descriptors())


@pytest.mark.parametrize("line", [b"GET /", b"GET / HTTP/1.1\r\nA: "])
def test_a_head_without_end_is_refused(loop: str, line: bytes) -> None:
    with served(Played(json=small(b"{}")), loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/json", {"X-Long": "x" * 40_000})
        assert client.head().status == 200
        client.body(2)
        client.send(line)
        for _ in range(4):
            client.send(b"x" * 10_000)
            time.sleep(0.02)  # as pieces of their own
        assert client.pending == b""
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                client.send(b"x" * 10_000)
        with contextlib.suppress(ConnectionError):
            assert client.head().status == 400
        client.rest()


@pytest.mark.parametrize("ended", [True, False])
def test_a_head_of_too_many_fields_is_refused(loop: str, ended: bool) -> None:
    app = Played(json=small(b"{}"))
    with served(app, loop) as server:
        for number in (MOST_FIELDS, MOST_FIELDS + 1):
            with RawConnection(server.port) as client:
                client.send(
                    b"GET /json HTTP/1.1\r\n" + b"a:\r\n" * number + (b"\r\n" if ended else b"b:\r\nc")
                )
                if number == MOST_FIELDS and ended:
                    assert client.head().status == 200
                else:
                    answer = client.rest()
                    assert answer.startswith(b"HTTP/1.1 400")
                    assert answer.count(b"HTTP/1.1") == 1
    assert len(app.scopes) == ended


def test_fields_behind_a_body_are_nobodys(loop: str) -> None:
    bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body = message["body"]
        while message["more_body"]:
            message = await receive()
            body += message["body"]
        bodies.append(body)
        assert scope["headers"] == [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]
        for message in small(b"{}"):
            await send(message)

    with served(app, loop) as server, RawConnection(server.port) as client:
        for _ in range(2):
            client.request("POST", "/", {"Transfer-Encoding": "chunked"})
            client.send(b"3\r\nabc\r\n0\r\n")
            client.send(b"Authorization: x\r\n")
            client.send(b"Expect: 100-continue\r\n\r\n")
            assert client.head().status == 200
            assert client.body(2) == b"{}"
    assert bodies == [b"abc"] * 2


@pytest.mark.parametrize("line", [b"0\r\n", b"0\r\nname: ", b"3;"])
@pytest.mark.parametrize("early", [True, False])
def test_what_follows_a_body_without_end_is_refused(loop: str, line: bytes, early: bool) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        if early:
            for message in small(b"{}"):
                await send(message)
        while (await receive())["type"] != "http.disconnect":
            pass

    field = b"x" * 1000 if line != b"0\r\n" else b"a: b\r\n" * 150
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("POST", "/", {"Transfer-Encoding": "chunked"})
        client.send(b"3\r\nabc\r\n")
        if early:
            assert client.head().status == 200
            client.body(2)
        client.send(line)
        with contextlib.suppress(ConnectionError):
            for _ in range(300):
                client.send(field)
            client.send(field * 3000)
        with contextlib.suppress(ConnectionError):
            assert client.head().status == 400
        client.rest()
        wait_until(lambda: not server.connections(), SOON, "it is closed")
    assert len(scopes[0]["headers"]) == 2


def test_a_body_in_many_pieces_is_no_head(loop: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        size = 0
        while (came := await receive())["more_body"]:
            size += len(came["body"])
        for message in small(b"%d" % (size + len(came["body"]))):
            await send(message)

    with served(app, loop) as server, RawConnection(server.port) as client:
        for headers in ({"Transfer-Encoding": "chunked"}, {"Content-Length": "1000000"}):
            client.request("POST", "/", headers)
            for _ in range(100):
                (client.send_chunk if "Transfer-Encoding" in headers else client.send)(bytes(10_000))
            if "Transfer-Encoding" in headers:
                client.send_chunk(b"")
            client.head()
            assert client.body(7) == b"1000000"


def test_a_client_that_takes_nothing_is_given_up(
    loop: str, content: bytes, film: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)
    app = Played(film=whole(film, content), large=[start(9_000_000), *[memory(bytes(100_000))] * 90])
    with served(app, loop, http=protocol_class(send_idle_seconds=0.4)) as server:
        before = open_descriptors()
        for path in (b"film", b"large"):
            with server.connect(receive_buffer=4096) as client:
                begun = time.monotonic()
                client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                client.recv(100)
                wait_until(lambda: not server.connections(), SOON, "it has been given up")
                assert time.monotonic() - begun > 0.3
                with pytest.raises(ConnectionResetError):  # the kernel keeps nothing for it
                    read_to_the_end(client)
            server.settled(before)


def test_a_client_that_takes_a_little_now_and_then_is_not_given_up(
    loop: str, content: bytes, film: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)
    app = Played(film=whole(film, content))
    with served(app, loop, http=protocol_class(send_idle_seconds=0.6)) as server:
        with server.connect(receive_buffer=16384) as client:
            client.sendall(b"GET /film HTTP/1.1\r\nHost: x\r\n\r\n")
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                # Less than the kernel wants to have free before it says that a socket takes more.
                assert client.recv(20_000)
                time.sleep(0.05)
            assert len(server.connections()) == 1
        server.settled(open_descriptors())


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET /json HTTP/1.1\r\nHost: x\r\n\r\nGET /json HTT"])
def test_who_does_not_end_a_head_is_closed(loop: str, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(ZeroCopyProtocol, "header_seconds", 0.3)
    with served(Played(json=small(b"{}")), loop) as server, RawConnection(server.port) as client:
        client.send(sent)
        begun = time.monotonic()
        answer = client.rest()
        assert answer.endswith(b"{}") if b"json" in sent else answer == b""
        assert 0.2 < time.monotonic() - begun < SOON


def test_an_idle_connection_is_closed_and_one_that_is_answered_is_not(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.05)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1.0)
        for message in small(b"{}"):
            await send(message)

    with (
        served(app, loop, timeout_keep_alive=0.3) as server,  # a whole number in uvicorn's eyes only
        RawConnection(server.port) as client,
    ):
        begun = time.monotonic()
        client.request("GET", "/")
        client.head()
        client.body(2)
        assert time.monotonic() - begun >= 1.0
        assert client.rest() == b""
        assert time.monotonic() - begun >= 1.2


@KINDS
def test_the_end_comes_at_its_deadline_whoever_does_not_read(
    loop: str, kind: type[Played], content: bytes, film: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = kind(film=whole(film, content), large=small(bytes(9_000_000)))
    with served(app, loop, timeout_graceful_shutdown=1) as server:
        clients = [server.connect(receive_buffer=4096) for _ in range(4)]
        for client, path in zip(clients, (b"film", b"large", b"film", b"large"), strict=True):
            client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            client.recv(10)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    for client in clients:
        client.close()
    assert "Traceback" not in caplog.text


def test_a_response_that_ends_before_the_deadline_is_whole(loop: str, content: bytes, film: int) -> None:
    with (
        served(Played(film=whole(film, content)), loop, timeout_graceful_shutdown=10) as server,
        RawConnection(server.port) as client,
    ):
        client.request("GET", "/film")
        client.head()
        server.server.should_exit = True
        assert client.body(len(content)) == content
        assert client.rest() == b""


def test_a_unix_socket_carries_files_too(loop: str, content: bytes, film: int, tmp_path: Path) -> None:
    app = PlayedAtOnce(film=whole(film, content))
    with served(app, loop, unix=tmp_path / "socket") as server, server.connect() as client:
        client.sendall(b"GET /film HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = bytearray()
        while data := client.recv(1 << 20):
            answer += data
    assert bytes(answer).endswith(content)
    assert app.scopes[0]["client"] == ("unix:", 0)


def test_a_request_is_told_as_uvicorn_tells_it(loop: str) -> None:
    ours, theirs = Played(), Played()
    targets = ["/", "/a%20b/%C3%A4?x=%20&y#no", "//double//", "http://else.where/path?q", "/?", "*"]
    for app, http in ((ours, protocol_class()), (theirs, "httptools")):
        with served(app, loop, http=http) as server:
            for target in targets:
                with RawConnection(server.port) as client:
                    client.request("OPTIONS", target, {"X-Own": "Value", "Connection": "close"})
                    client.rest()
    assert len(ours.scopes) == len(theirs.scopes) > 4
    for our, their in zip(ours.scopes, theirs.scopes, strict=True):
        assert our.pop("extensions") == {"http.response.zerocopysend": {}}
        assert {**our, "client": None, "server": None} == {**their, "client": None, "server": None}


def test_a_crowd_is_answered_as_uvicorn_answers_it(loop: str) -> None:
    with served(Played(), loop, limit_concurrency=1) as server, RawConnection(server.port) as client:
        client.request("GET", "/")
        assert client.head().status == 503
        client.rest()


def test_a_response_of_many_pieces_gives_others_their_turn(
    loop: str, content: bytes, film: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        since = 0

        def turned() -> None:
            nonlocal since
            most.append(since)
            since = 0
            if len(most) < 1000:
                asyncio.get_running_loop().call_soon(turned)

        turned()
        await send(start(100 << 18))
        for number in range(100):
            await send(piece(film, 0, 1 << 18, more=number < 99))
            since += 1 << 18

    with served(app, loop) as server, RawConnection(server.port, piece=1 << 22) as client:
        client.request("GET", "/")
        client.head()
        assert len(client.body(100 << 18)) == 100 << 18
    assert max(most) <= TURN_BYTES + (1 << 18)


def test_tls_does_not_offer_files(loop: str) -> None:
    class Transport(asyncio.Transport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return {"sslcontext": object(), "socket": listening}.get(name, default)

    async def made() -> tuple[str, ...]:
        config = uvicorn.Config(Played(), log_config=None, lifespan="off")
        one = ZeroCopyProtocol(config, uvicorn.server.ServerState(), {})
        one.connection_made(Transport())
        one._looks().close()
        return one._extensions

    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert asyncio.run(made()) == ()


@pytest.fixture(autouse=True)
def errors_only(caplog: pytest.LogCaptureFixture) -> None:
    """Only errors are looked at."""
    caplog.set_level(logging.ERROR)
