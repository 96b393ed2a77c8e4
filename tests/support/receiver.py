"""A receiver of webhooks: a real HTTP server that keeps what it is sent, and answers as a test wants it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.support.processes import wait_until

Answer = int | tuple[int, dict[str, str]] | None


class Got(NamedTuple):
    """One request; the names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Made by `running_receiver`. `answer(number)` says what the request of that number, from 0, is answered with.

    A status, or a status and headers, or None for no answer until the test is over.
    """

    def __init__(self, answer: Callable[[int], Answer], port: int) -> None:
        self.answer = answer
        self.port = port
        self.got: list[Got] = []
        self.over = threading.Event()
        self._lock = threading.Lock()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """Its address."""
        return f"http://{host}:{self.port}{path}"

    def take(self, got: Got) -> Answer:
        """Keep a request; what to answer."""
        with self._lock:
            self.got.append(got)
            number = len(self.got) - 1
        return self.answer(number)

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Got]:
        """The first `count` requests, once they are here. Raises TimeoutError."""
        wait_until(lambda: len(self.got) >= count, seconds, f"{count} requests have come")
        return self.got[:count]


@contextmanager
def running_receiver(
    answer: Callable[[int], Answer] = lambda _: 204,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Receiver]:
    """A receiver that listens on `host`; gone on the way out."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answered = receiver.take(Got(self.path, headers, body))
            if answered is None:
                receiver.over.wait(60)
                self.close_connection = True
                return
            status, more = answered if isinstance(answered, tuple) else (answered, {})
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what matters."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            """A client that went away: some tests kill it."""

    with Server((host, port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        receiver = Receiver(answer, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.over.set()
            server.shutdown()
            thread.join()
