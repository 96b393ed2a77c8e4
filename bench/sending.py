"""The client of all uploads that are measured: the film goes out by sendfile(2), so that what is measured is the server."""

from __future__ import annotations

import hashlib
import http.client
import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 120.0
BOUNDARY = "a-boundary-that-no-film-contains-0123456789abcdef"
TUS = {"Tus-Resumable": "1.0.0"}


class Answer(NamedTuple):
    """A whole answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sender:
    """One kept HTTP/1.1 connection that sends `film`, with `headers` in each request, as a file of that `name` (or its own). Use it in `with`."""

    def __init__(self, url: str, film: Path, headers: Mapping[str, str], name: str = "") -> None:
        parts = urlsplit(url)
        self.name = name or film.name
        self.size = film.stat().st_size
        self._headers = headers
        self._film = film.open("rb")
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS
        )

    def __enter__(self) -> Sender:
        self._connection.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._film.close()

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        start: int = 0,
        stop: int = 0,
        before: bytes = b"",
        behind: bytes = b"",
    ) -> Answer:
        """A request whose body is `before`, the film's bytes [start, stop), `behind`. Raises RuntimeError unless 2xx."""
        connection = self._connection
        connection.putrequest(method, path)
        length = len(before) + stop - start + len(behind)
        for name, value in {**self._headers, **headers, "Content-Length": str(length)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        if before:
            connection.send(before)
        if stop > start:
            connection.sock.sendfile(self._film, start, stop - start)
        if behind:
            connection.send(behind)
        response = connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        if answer.status // 100 != 2:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer


def put(sender: Sender, path: str) -> Answer:
    """The whole film as the body of a PUT."""
    return sender.send("PUT", path, {"Content-Type": "video/mp4"}, stop=sender.size)


def post_form(sender: Sender, path: str) -> Answer:
    """The film as the only file of a form (RFC 7578)."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{sender.name}"\r\n'
        "Content-Type: video/mp4\r\n\r\n"
    )
    return sender.send(
        "POST",
        path,
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        stop=sender.size,
        before=head.encode(),
        behind=f"\r\n--{BOUNDARY}--\r\n".encode(),
    )


def tus(sender: Sender, path: str, piece_bytes: int) -> tuple[str, Answer]:
    """The film by tus 1.0: created below `path`, then PATCHes of at most `piece_bytes`; its path, and the last answer."""
    metadata = f"filename {b64encode(sender.name.encode()).decode()}"
    created = sender.send(
        "POST", path, {**TUS, "Upload-Length": str(sender.size), "Upload-Metadata": metadata}
    )
    location = urlsplit(created.headers["location"]).path
    answer = created
    for start in range(0, sender.size, piece_bytes):
        stop = min(start + piece_bytes, sender.size)
        headers = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(start)}
        answer = sender.send("PATCH", location, headers, start=start, stop=stop)
        if answer.headers.get("upload-offset") != str(stop):
            raise RuntimeError(
                f"PATCH {location}: the offset is {answer.headers.get('upload-offset')}, not {stop}"
            )
    return location, answer


def unlink(path: str) -> None:
    """What is deleted where the receiver has no call for it."""
    Path(path).unlink()


def keep_and_hash(path: str) -> None:
    """What a service must do before it may say that a film is kept and which one it is."""
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())
        hashlib.file_digest(file, "sha256")
