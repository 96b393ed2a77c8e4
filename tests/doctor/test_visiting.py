"""Requests with the headers that are given and no others; answers that break off, never come, or are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from media_service.doctor import visiting
from media_service.doctor.visiting import Unreachable, Visitor


@contextmanager
def saying(text: bytes, *, heard: list[bytes] | None = None) -> Iterator[Visitor]:
    """Somebody who notes what one visitor asks, says `text` and closes; without `text` he says nothing for a while."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked = connection.recv(65536)
                if heard is not None:
                    heard.append(asked)
                connection.sendall(text)
                if not text:
                    over.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Visitor(f"http://127.0.0.1:{server.getsockname()[1]}", patience=0.3)
        finally:
            over.set()
            thread.join()


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    heard: list[bytes] = []
    answer = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nVary: a\r\nVary: b\r\n\r\nab"
    with saying(answer, heard=heard) as visitor:
        told = visitor.ask("GET", "/film?v=1", {"Range": "bytes=0-1"})
    lines = heard[0].decode().split("\r\n")
    assert lines[0] == "GET /film?v=1 HTTP/1.1"
    assert {line.partition(":")[0] for line in lines[1:] if line} == {"Host", "Range"}
    assert (told.status, told.body, told.whole, told.get("vary"), told.get("etag")) == (
        206,
        b"ab",
        True,
        "a, b",
        "",
    )
    assert told.headers["vary"] == ["a", "b"]


def test_a_body_is_read_as_far_as_is_wanted_and_one_that_is_cut_is_not_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    with saying(head + b"0123456789") as visitor:
        assert visitor.ask("GET", "/", most=4)[2:5:2] == (b"0123", True)
    with saying(head + b"01234") as visitor:
        assert visitor.ask("GET", "/")[2:5:2] == (b"01234", False)
    with saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01") as visitor:
        assert not visitor.ask("GET", "/").whole


def test_who_says_nothing_or_no_http_is_named() -> None:
    with saying(b"") as visitor, pytest.raises(Unreachable, match="no answer came in time"):
        visitor.ask("GET", "/")
    with saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as visitor, pytest.raises(Unreachable, match="no HTTP"):
        visitor.ask("GET", "/")
    with saying(b"") as visitor, pytest.raises(Unreachable, match="is none"):
        visitor.ask("GET", "/\N{REPLACEMENT CHARACTER}")
    with (
        saying(b"HTTP/1.1 200 OK\r\n\r\n") as visitor,
        pytest.raises(Unreachable, match=r"(?i)ssl|protocol|version"),
    ):
        Visitor(visitor.origin.replace("http:", "https:"), patience=1.0).ask("GET", "/")


def test_what_is_only_announced_gets_an_answer_or_none() -> None:
    with saying(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as visitor:
        answer = visitor.announce("POST", "/", {"Content-Length": "3221225472"}, patience=1.0)
        assert answer is not None
        assert answer.status == 401
    with saying(b"") as visitor:
        assert visitor.announce("POST", "/", {"Content-Length": "3221225472"}, patience=0.2) is None


@contextmanager
def dripping(text: bytes, drop: bytes) -> Iterator[Visitor]:
    """Somebody who says `text`, and then a little again and again, until nobody listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(text)
                while True:
                    connection.sendall(drop)
                    over.wait(0.01)

        over = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Visitor(f"http://127.0.0.1:{server.getsockname()[1]}", patience=0.3)
        finally:
            thread.join()


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize("text", [STREAM, b"HTTP/1.1 200 OK\r\nX: "])
def test_who_drips_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(visiting, "WHOLE_SECONDS", 0.3)
    with dripping(text, b".") as visitor:
        assert visitor.hear("/", {}, lambda _: False, patience=0.3) is None
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b".") as visitor:
        assert not visitor.ask("GET", "/").whole


def test_who_goes_on_talking_is_heard_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visiting, "MOST_HEARD_BYTES", 10_000)
    with dripping(STREAM, b"." * 5000) as visitor:
        answer = visitor.hear("/", {}, lambda _: False, patience=20.0)
    assert answer is not None
    assert 10_000 <= len(answer.body) < 20_000


def test_a_password_in_an_address_is_not_told_of() -> None:
    assert Visitor("https://me:secret@films.example:8443").origin == "https://films.example:8443"
