"""Requests as players send them: each header as it is given here and none besides, bodies left in the middle."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE_SECONDS = 20.0  # a segment may be made first
WHOLE_SECONDS = 120.0  # for an answer in all: one that drips would never end
MOST_BYTES = 16 << 20  # of a body
MOST_HEARD_BYTES = 1 << 20  # of a stream, before what is waited for comes


class Unreachable(Exception):
    """No answer came, or one that is no HTTP; the text says why, for a person."""


class Answer(NamedTuple):
    """`headers` by lower-case names; `seconds` until the head was there. `whole`: the body ended where it said it would."""

    status: int
    headers: Mapping[str, list[str]]
    body: bytes
    seconds: float
    whole: bool = True

    def get(self, name: str) -> str:
        """The value of a header; lines joined by commas, "" without any."""
        return ", ".join(self.headers.get(name, []))


class Visitor:
    """Asks one origin (`https://films.example`). A connection each: nothing of one question reaches the next."""

    def __init__(self, origin: str, *, patience: float = PATIENCE_SECONDS) -> None:
        parts = urlsplit(origin)
        # A password in front of the host is not to be told of in findings.
        self.origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.https = parts.scheme == "https"
        self.host = parts.hostname or ""
        self._port = parts.port
        self._patience = patience

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        most: int = MOST_BYTES,
    ) -> Answer:
        """The answer, its body up to `most` bytes; then the connection is cut. Raises Unreachable."""
        sent = {**(headers or {}), **({"Content-Length": str(len(body))} if body else {})}
        with _in_words(), self._connected(self._patience) as connection:
            began = monotonic()
            _begin(connection, method, target, sent)
            if body:
                connection.send(body)
            return _answer(connection.getresponse(), began, most)

    def announce(
        self, method: str, target: str, headers: Mapping[str, str], *, patience: float
    ) -> Answer | None:
        """The answer to a request of which the body never comes; None when there is none without. Raises Unreachable."""
        with _in_words(), self._connected(patience) as connection:
            began = monotonic()
            _begin(connection, method, target, headers)
            try:
                return _answer(connection.getresponse(), began, MOST_BYTES)
            except TimeoutError:
                return None

    def hear(
        self, target: str, headers: Mapping[str, str], until: Callable[[bytes], bool], *, patience: float
    ) -> Answer | None:
        """The beginning of a stream that goes on: its body up to where it is what is waited for.

        None when that does not come, however much else does; an answer that ends before, or is none of 200, is one. Raises
        Unreachable.
        """
        # Cut a little later, so that the clock tells whose end it was.
        with _in_words(), self._connected(patience, whole=patience + 0.1) as connection:
            began = monotonic()
            _begin(connection, "GET", target, headers)
            try:
                response = connection.getresponse()
                heard = b""
                while response.status == 200 and not until(heard) and len(heard) < MOST_HEARD_BYTES:
                    if not (words := response.read1(4096)):
                        break
                    heard += words
            except (OSError, http.client.HTTPException):
                if monotonic() - began < patience:
                    raise
                return None
            if monotonic() - began >= patience:
                return None
            return Answer(response.status, _headers(response), heard, monotonic() - began)

    @contextmanager
    def _connected(
        self, patience: float, *, whole: float | None = None
    ) -> Iterator[http.client.HTTPConnection]:
        """A connection that waits `patience` seconds for each piece, and is cut after `whole` (WHOLE_SECONDS)."""
        connection: http.client.HTTPConnection
        if self.https:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self.host, self._port, timeout=patience, context=context)
        else:
            connection = http.client.HTTPConnection(self.host, self._port, timeout=patience)
        with closing(connection):
            connection.connect()
            with _cut_after(WHOLE_SECONDS if whole is None else whole, connection.sock):
                yield connection


@contextmanager
def _cut_after(seconds: float, line: socket.socket) -> Iterator[None]:
    """Whoever reads from `line` within finds its end after `seconds`."""

    def cut() -> None:
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(line, socket.SHUT_RDWR)  # TLS has one of its own, which is for its reader

    timer = threading.Timer(seconds, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def _in_words() -> Iterator[None]:
    """Errors of the connection become Unreachable."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"the certificate is not accepted: {error.verify_message}") from error
    except TimeoutError as error:
        raise Unreachable("no answer came in time") from error
    except UnicodeEncodeError as error:
        raise Unreachable("an address that it gave is none") from error
    except OSError as error:
        raise Unreachable(error.strerror or str(error)) from error
    except http.client.HTTPException as error:
        raise Unreachable(f"the answer is no HTTP: {type(error).__name__} {error}") from error


def _begin(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str]
) -> None:
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()


def _answer(response: http.client.HTTPResponse, began: float, most: int) -> Answer:
    seconds = monotonic() - began
    whole = True
    try:
        body = response.read(most)
    except http.client.IncompleteRead as error:
        body, whole = error.partial, False
    said = response.headers.get("content-length", "")
    if response.length and len(body) < most and said.isdigit():
        whole = False  # `read` with a number does not complain
    return Answer(response.status, _headers(response), body, seconds, whole)


def _headers(response: http.client.HTTPResponse) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in response.getheaders():
        found.setdefault(name.lower(), []).append(value)
    return found
