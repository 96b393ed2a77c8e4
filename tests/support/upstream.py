"""A service that is not ours, to stand behind nginx: it notes what it is asked and answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

DEADLINE_SECONDS = 10.0


@dataclass
class Asked:
    """One request as it arrived, and the connection that it came on."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    connection: int  # the client's port: the same one means the same connection


@dataclass
class Upstream:
    """What the handlers share with the test."""

    port: int = 0
    answer: Callable[[Handler], None] = lambda handler: handler.reply(b"hello")
    asked: list[Asked] = field(default_factory=list)
    halfway: threading.Event = field(default_factory=threading.Event)  # the handler has come that far
    go_on: threading.Event = field(default_factory=threading.Event)  # the test lets it go on
    done: threading.Event = field(default_factory=threading.Event)

    def wait(self, event: threading.Event) -> None:
        """Until `event`; an AssertionError when it does not come."""
        assert event.wait(DEADLINE_SECONDS)


class Handler(BaseHTTPRequestHandler):
    """Answers with `Upstream.answer`, which gets this handler."""

    protocol_version = "HTTP/1.1"
    upstream: ClassVar[Upstream]

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        """A whole answer; `content_type="x"` becomes `Content-Type: x`."""
        self.head(status, content_length=str(len(body)), **headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: int = 200, **headers: str) -> None:
        """Status line and headers alone; the test's function writes the body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.upstream.asked.append(Asked(self.command, self.path, headers, self.client_address[1]))
        self.upstream.answer(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _any  # noqa: N815 - named by http.server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        """Say nothing: nginx's log is what is looked at."""


@contextmanager
def running_upstream() -> Iterator[Upstream]:
    """A server on a free port of the loopback address. End nginx first: it holds connections open."""
    upstream = Upstream()
    handler = type("BoundHandler", (Handler,), {"upstream": upstream})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = False  # its end waits for the handlers': nothing is left to the next test
        upstream.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield upstream
        finally:
            upstream.go_on.set()
            server.shutdown()
            thread.join()
