"""Event streams on their way: what a doctor makes of one that goes on, is held back, or is changed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from media_service.doctor import proxies
from media_service.doctor.findings import Finding
from media_service.doctor.visiting import Answer, Unreachable, Visitor

HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
BEGINNING = 'retry: 2000\nid: 7\n\nevent: asset\ndata: {}\n\nid: 7\nevent: made\ndata: {"id":"a"}\n\n'
GOES_ON = ": still here\n\n"


@contextmanager
def answering(text: str, *, then_closes: bool = False) -> Iterator[Visitor]:
    """Somebody who says `text` to whoever comes, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(text.encode())
                if not then_closes:
                    over.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Visitor(f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("text", "closes", "level", "words"),
    [
        (f"{HEAD}\r\n{BEGINNING}{GOES_ON}", False, "ok", "as they happen"),
        (f"{HEAD}\r\n{BEGINNING}", False, "BAD", "proxy_buffering off"),
        ("", False, "BAD", "proxy_buffering off"),
        (f"{HEAD}\r\n{BEGINNING}", True, "BAD", "proxy_read_timeout"),
        (f"{HEAD}content-encoding: gzip\r\n\r\n{BEGINNING}{GOES_ON}", False, "BAD", "compression"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", True, "BAD", "scope read"),
    ],
)
def test_events_that_do_not_come_as_they_happen_are_noticed(
    monkeypatch: pytest.MonkeyPatch, text: str, closes: bool, level: str, words: str
) -> None:
    monkeypatch.setattr(proxies, "HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(proxies, "WAIT_SECONDS", 0.2)
    with answering(text, then_closes=closes) as visitor:
        (found,) = proxies.events(visitor, "msk_key", "a" * 26)
    assert found.level == level
    assert words in found.text


@pytest.mark.parametrize(
    "place", ["http://127.0.0.2:1/", "https://films.example/", "http://[", "http://h:x/"]
)
def test_nobody_is_followed_to_another_host_for_a_key_would_go_there_too(place: str) -> None:
    text = f"HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
    with answering(text, then_closes=True) as visitor, pytest.raises(Unreachable) as told:
        proxies.reach(visitor.origin)
    assert str(told.value) == f"it leads to {place}: if that is yours, run doctor with that address"


def test_the_same_host_is_followed_but_not_from_https_to_http(monkeypatch: pytest.MonkeyPatch) -> None:
    leads = {
        "http://films.example": "https://films.example/livez",
        "https://films.example": "https://films.example:8443/livez",
        "https://films.example:8443": "http://films.example/livez",
    }

    def ask(visitor: Visitor, *_: object) -> Answer:
        return Answer(308, {"location": [leads[visitor.origin]]}, b"", 0.0)

    monkeypatch.setattr(Visitor, "ask", ask)
    with pytest.raises(Unreachable, match=r"it leads to http://films\.example/livez"):
        proxies.reach("http://films.example")


def test_without_a_key_nobody_listens() -> None:
    found = list(proxies.events(Visitor("http://127.0.0.1:9"), "", "a" * 26))
    assert found == [Finding("note", "are not tried without a key")]


@pytest.mark.parametrize(
    ("head", "body"),
    [("set-cookie: a=b\r\n", "<html>"), ("set-cookie: a=b\r\n", '{"csrf_token":3}'), ("", "[]")],
)
def test_who_lets_everybody_in_with_a_page_is_not_the_service(head: str, body: str) -> None:
    text = f"HTTP/1.1 200 OK\r\n{head}content-length: {len(body)}\r\n\r\n{body}"
    with answering(text, then_closes=True) as visitor, pytest.raises(Unreachable, match="is none"):
        list(proxies.sign_in(visitor, ""))


def test_a_cookie_that_is_lost_on_the_way_is_noticed() -> None:
    body = '{"csrf_token":"x"}'
    with answering(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}") as visitor:
        (found,) = proxies.sign_in(visitor, "")
    assert "Set-Cookie is lost" in found.text


@pytest.mark.parametrize(("age", "level"), [("", "ok"), ("0", "ok"), ("7", "BAD"), ("\xb2", "ok")])
def test_an_age_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch, age: str, level: str) -> None:
    answer = Answer(200, {"age": [age], "cache-control": ["no-store"]}, b"", 0.0)
    monkeypatch.setattr(Visitor, "ask", lambda *_: answer)
    (found,) = proxies.caches(Visitor("http://films.example"))
    assert found.level == level
