"""A tus client that does not give up: after any trouble it asks where it stands and goes on from there.

It remembers what it was told, and holds the service to it: what was acknowledged once is never asked for again.
"""

from __future__ import annotations

import threading
from base64 import b64encode

from tests.support.raw_http import RawConnection
from tests.support.resumable import TUS, TUS_BODY, UPLOADS, path_of

PIECE_BYTES = 32 << 10
NAME = b64encode(b"film.mp4").decode()


class Interrupted(Exception):
    """The line or the service failed, or said that this is not the moment: to be continued."""


class PatientClient:
    """One upload of `content`. `key` is its Idempotency-Key, so that a creation without an answer can be repeated."""

    def __init__(self, content: bytes, *, token: str, key: str, patience: float = 20.0) -> None:
        self.content = content
        self.path = ""
        self.told = 0  # bytes acknowledged: by the answer to a HEAD or a PATCH
        self.reached = 0  # the end of the furthest byte that was handed to a socket
        self.sent = 0  # bytes of all bodies together
        self.appends = 0
        self.hurry = threading.Event()  # no more pauses
        self._unsure = False  # whether `told` may be less than what is stored by now
        self._patience = patience  # seconds without a byte from the other side
        self._headers = {**TUS, "Authorization": f"Bearer {token}"}
        self._creation = {
            "Upload-Length": str(len(content)),
            "Content-Length": "0",
            "Upload-Metadata": f"filename {NAME}",
            "Idempotency-Key": key,
        }

    @property
    def complete(self) -> bool:
        """All of it is acknowledged."""
        return self.told == len(self.content)

    def go_on(self, port: int, *, most: int | None = None, pause: float = 0.0) -> None:
        """Create it, ask where it stands, send the rest or `most` bytes of it: what is needed. Raises Interrupted.

        `pause`: seconds between pieces of 32 KiB.
        """
        try:
            if not self.path:
                self.path = path_of(self._ask(port, "POST", UPLOADS, self._creation, 201)["location"])
                self._unsure = True  # it may be an earlier attempt's, with bytes in it
            if self._unsure:
                self.look(port)
            if not self.complete:
                stop = len(self.content) if most is None else min(self.told + most, len(self.content))
                self._append(port, stop, pause)
        except OSError as error:
            self._unsure = True
            raise Interrupted(repr(error)) from error

    def look(self, port: int) -> None:
        """Ask where it stands. Raises Interrupted and OSError."""
        self._acknowledge(int(self._ask(port, "HEAD", self.path, {}, 200, 204)["upload-offset"]))
        self._unsure = False

    def _acknowledge(self, offset: int) -> None:
        assert offset >= self.told, f"{self.path}: {self.told} bytes were acknowledged, now it is {offset}"
        assert offset <= self.reached, f"{self.path}: {offset} bytes are told, {self.reached} were sent"
        self.told = offset

    def _append(self, port: int, stop: int, pause: float) -> None:
        """Everything from what was told on: a byte before it is never sent again, because nothing here goes back."""
        self._unsure = True
        self.appends += 1
        with RawConnection(port, timeout=self._patience) as connection:
            more = {"Upload-Offset": str(self.told), "Content-Length": str(stop - self.told)}
            connection.request("PATCH", self.path, {**self._headers, **TUS_BODY, **more})
            for start in range(self.told, stop, PIECE_BYTES):
                piece = self.content[start : min(start + PIECE_BYTES, stop)]
                self.sent += len(piece)
                self.reached = max(self.reached, start + len(piece))
                connection.send(piece)
                self.hurry.wait(pause)
            headers = self._taken(connection, 204)
        self._acknowledge(int(headers["upload-offset"]))
        assert self.told == stop, f"{self.path}: of {stop} bytes that were taken, {self.told} are told"
        self._unsure = False

    def _ask(
        self, port: int, method: str, path: str, headers: dict[str, str], *wanted: int
    ) -> dict[str, str]:
        with RawConnection(port, timeout=self._patience) as connection:
            connection.request(method, path, {**self._headers, **headers})
            return self._taken(connection, *wanted)

    def _taken(self, connection: RawConnection, *wanted: int) -> dict[str, str]:
        """The answer's headers, if the status is one of those; Interrupted if it says "not now"; else the test fails."""
        answer = connection.head()
        if answer.status in wanted:
            return answer.headers
        self._unsure = True
        assert answer.status in {408, 409, 503}, f"{self.path}: {answer}"
        raise Interrupted(str(answer))
