"""Requests that two servers could read in two ways (RFC 9112 s11.2): k8s/nginx.conf lets none through, and what it does
let through, the service reads as nginx did. The service alone, as on a laptop, takes none of them for two requests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nginx import Nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.server import Server
from tests.support.upstream import Handler, Upstream, running_upstream

HIDDEN = b"GET /livez?hidden HTTP/1.1\r\nHost: h\r\n\r\n"
SIZE = str(len(HIDDEN)).encode()
CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
# Where bodies are collected first, and where they go straight through.
PATHS = [b"/admin/session", b"/api/v1/assets"]

# Lines about the body -> the body. None of them may get through.
AMBIGUOUS: dict[str, tuple[bytes, bytes]] = {
    "CL.TE": (b"Content-Length: " + SIZE + b"\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + HIDDEN),
    "TE.CL": (b"Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNK),
    "TE.TE": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 4", CHUNK),
    "two chunkeds": (b"Transfer-Encoding: chunked, chunked", CHUNK),
    "two lines of chunked": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNK),
    "xchunked": (b"Transfer-Encoding: xchunked", CHUNK),
    "a vertical tab before chunked": (b"Transfer-Encoding: \x0bchunked", CHUNK),
    "identity": (b"Transfer-Encoding: identity", HIDDEN),
    "chunked and gzip": (b"Transfer-Encoding: chunked, gzip", CHUNK),
    "two lengths": (b"Content-Length: 0\r\nContent-Length: " + SIZE, HIDDEN),
    "the same length twice": (b"Content-Length: " + SIZE + b"\r\nContent-Length: " + SIZE, HIDDEN),
    "a list of lengths": (b"Content-Length: 0, " + SIZE, HIDDEN),
    "a length with a plus": (b"Content-Length: +" + SIZE, HIDDEN),
    "a length below zero": (b"Content-Length: -1", HIDDEN),
    "a length in hexadecimal": (b"Content-Length: 0x0", HIDDEN),
    "a length of two numbers": (b"Content-Length: 0 " + SIZE, HIDDEN),
    "a length of 2^64": (b"Content-Length: 18446744073709551616", HIDDEN),
    "white space before the colon": (b"Content-Length : " + SIZE, HIDDEN),
    "white space before chunked's colon": (b"Transfer-Encoding : chunked", CHUNK),
    "a folded line first": (b" Content-Length: " + SIZE, HIDDEN),
    "a NUL in a value": (b"X-Name: a\x00b\r\nContent-Length: 0", HIDDEN),
    "a NUL in a name": (b"Content-Length\x00: " + SIZE, HIDDEN),
    "a second Host": (b"Host: other\r\nContent-Length: 0", HIDDEN),
    "a chunk's size below zero": (b"Transfer-Encoding: chunked", b"-1\r\n" + HIDDEN),
    "a chunk's size with 0x": (b"Transfer-Encoding: chunked", b"0x0\r\n\r\n" + HIDDEN),
    "a chunk's size beyond 64 bits": (b"Transfer-Encoding: chunked", b"10000000000000000\r\n" + HIDDEN),
    "a chunk without its end": (b"Transfer-Encoding: chunked", b"1\r\naXX0\r\n\r\n" + HIDDEN),
}
# Odd, but to be read in one way only.
ODD: dict[str, tuple[bytes, bytes]] = {
    "a length with an underscore": (b"Content_Length: " + SIZE + b"\r\nContent-Length: 0", b""),
    "lines that end with LF alone": (b"X-Name: a\nContent-Length: 0", b""),
    "a chunk's extension": (b"Transfer-Encoding: chunked", b"3;a=b\r\nabc\r\n0\r\n\r\n"),
    "a trailer": (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n"),
    "CHUNKED": (b"Transfer-Encoding: CHUNKED", b"3\r\nabc\r\n0\r\n\r\n"),
    "an upgrade to HTTP/2": (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0",
        b"",
    ),
    "hop-by-hop names of ours": (
        b"Connection: close, X-Forwarded-For, X-Request-ID\r\nContent-Length: 0",
        b"",
    ),
}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        running.answer = read_and_answer
        yield running


def read_and_answer(handler: Handler) -> None:
    """Reads the body in the one way that its head announces."""
    assert not {"content-length", "transfer-encoding"} <= {name.lower() for name in handler.headers}
    if handler.headers.get("Transfer-Encoding") == "chunked":
        while (size := int(handler.rfile.readline(), 16)) > 0:
            handler.rfile.read(size + 2)
        handler.rfile.readline()
    else:
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
    handler.reply(b"read")


def post(path: bytes, lines: bytes, body: bytes) -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n\r\n" + body


def exchanged(port: int, request: bytes) -> bytes:
    """All that comes back. A last request of its own ends the connection, if nobody has ended it before."""
    with RawConnection(port) as connection:
        connection.send(request)
        connection.send(b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return connection.rest()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shape", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_not_passed_on(
    proxy: Nginx, upstream: Upstream, path: bytes, shape: str
) -> None:
    answered = exchanged(proxy.port, post(path, *AMBIGUOUS[shape]))
    assert answered.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ", b"HTTP/1.1 413 ")), answered[:200]
    assert answered.count(b"HTTP/1.1 ") == 1
    assert not [asked for asked in upstream.asked if asked.method != "POST"], (
        "the hidden request came through"
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shape", ODD)
def test_what_is_only_odd_is_read_by_both_alike(
    proxy: Nginx, upstream: Upstream, path: bytes, shape: str
) -> None:
    answered = exchanged(proxy.port, post(path, *ODD[shape]))
    assert answered.startswith(b"HTTP/1.1 200 "), answered[:200]
    wait_until(
        lambda: len(proxy.access_log()) >= len(upstream.asked), 5, "nginx has logged what it passed on"
    )
    logged = [(line["method"], line["path"]) for line in proxy.access_log()]
    assert logged == [(asked.method, asked.target) for asked in upstream.asked]
    headers = upstream.asked[0].headers
    assert not {"upgrade", "content_length"} & set(headers)
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert len(headers["x-request-id"]) == 32


def test_a_refusal_of_nginx_is_a_problem_like_ours(proxy: Nginx) -> None:
    answered = exchanged(proxy.port, post(b"/api/v1/assets", *AMBIGUOUS["CL.TE"]))
    assert b"Content-Type: application/problem+json" in answered
    assert b"X-Content-Type-Options: nosniff" in answered
    assert b'"code":"malformed_request"' in answered


# Two names for the host, and yet one length: uvicorn takes the request, and nothing here asks what its host is called.
@pytest.mark.parametrize("shape", sorted(AMBIGUOUS.keys() - {"a second Host"}))
def test_the_service_alone_never_answers_the_hidden_request(server: Server, shape: str) -> None:
    for path in PATHS:
        answered = exchanged(server.port, post(path, *AMBIGUOUS[shape]))
        assert b'"alive"' not in answered, answered
