"""Answers given before the body was read: what is said when, and how long is listened afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from litestar import Request

from media_service.web import refusal
from media_service.web.refusal import LINGER_BYTES, Refusal, body_may_be_unread

PIECE: dict[str, Any] = {"type": "http.request", "body": bytes(1 << 20), "more_body": True}
END: dict[str, Any] = {"type": "http.request", "body": b"", "more_body": False}
GONE: dict[str, Any] = {"type": "http.disconnect"}


class Wire:
    """Stands in for uvicorn: hands out `incoming`, then waits for ever; notes what is sent and read, in order."""

    def __init__(self, incoming: Iterable[dict[str, Any]]) -> None:
        self._incoming = iter(incoming)
        self.sent: list[dict[str, Any]] = []
        self.log: list[str] = []

    async def receive(self) -> Any:
        message = next(self._incoming, None)
        self.log.append("read" if message else "wait")
        return message or await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.log.append("end" if message.get("more_body") is False else "send")


async def refuse(wire: Wire) -> None:
    answer = Refusal(b"no", status_code=401, headers={"x-a": "b"}, media_type="application/problem+json")
    scope: Any = {"type": "http", "headers": []}
    await answer.to_asgi_response(app=None, request=None)(scope, wire.receive, wire.send)


async def test_the_whole_answer_goes_out_before_anything_more_is_read() -> None:
    wire = Wire([PIECE, PIECE, END])
    await refuse(wire)
    assert wire.log == ["send", "send", "read", "read", "read", "end"]
    headers = dict(wire.sent[0]["headers"])
    assert wire.sent[0]["status"] == 401
    assert headers[b"connection"] == b"close"
    assert (headers[b"content-length"], headers[b"x-a"]) == (b"2", b"b")
    assert b"".join(message["body"] for message in wire.sent[1:]) == b"no"


async def test_a_client_that_leaves_is_not_waited_for() -> None:
    wire = Wire([PIECE, GONE])
    await refuse(wire)
    assert wire.log[2:] == ["read", "read", "end"]


async def test_a_client_that_never_stops_is_cut_off() -> None:
    wire = Wire([PIECE] * 1000)
    await refuse(wire)
    assert wire.log.count("read") == LINGER_BYTES // len(PIECE["body"])


async def test_a_client_that_sends_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "LINGER_SECONDS", 0.01)
    wire = Wire([PIECE])
    await refuse(wire)
    assert wire.log[2:] == ["read", "wait", "end"]


@pytest.mark.parametrize(
    ("headers", "stalled", "unread"),
    [
        ({}, False, False),
        ({"content-length": "0"}, False, False),
        ({"content-length": "65536"}, False, False),
        ({"content-length": "65537"}, False, True),
        ({"content-length": "9" * 5000}, False, True),
        ({"content-length": "\u00b2"}, False, True),
        ({"content-length": "-5"}, False, True),
        ({"transfer-encoding": "chunked"}, False, True),
        ({"content-length": "10", "expect": "100-continue"}, False, True),
        ({"content-length": "10"}, True, True),
    ],
)
def test_a_connection_is_kept_only_if_little_can_follow(
    headers: dict[str, str], stalled: bool, unread: bool
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope: Any = {"type": "http", "headers": raw}
    request: Request[Any, Any, Any] = Request(scope)
    assert body_may_be_unread(request, stalled=stalled) is unread
