"""The client of deliveries: counts whole answers and their bytes, and takes no other answer for one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bench.load import Job, Kind, Load

BODY = os.urandom(3 << 20)


class Ranges(BaseHTTPRequestHandler):
    """One range of BODY, or all of it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        start, stop, status = 0, len(BODY), 200
        if wanted := self.headers["Range"]:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop, status = int(first), int(last or len(BODY) - 1) + 1, 206
        if self.path != "/film.mp4":
            status = 404
        self.send_response(status)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        try:
            self.wfile.write(memoryview(BODY)[start:stop])
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_port
        server.shutdown()
        serving.join()


def job(port: int, kind: Kind, length: int, path: str = "/film.mp4") -> Job:
    return Job(
        kind=kind,
        port=port,
        path=path,
        size=len(BODY),
        length=length,
        pids=[os.getpid()],
        connections=3,
        warm=0.05,
        seconds=0.3,
    )


@pytest.mark.parametrize("length", [1, 1000, 64 << 10, 1 << 20])
def test_ranges_are_counted_with_their_bytes(port: int, length: int) -> None:
    result = Load(job(port, "ranges", length)).run()
    assert result.answers > 3
    assert (
        abs(result.read - result.answers * length) <= 3 * 2 * length
    )  # those that had begun and have not ended
    assert 0.3 <= result.seconds < 3
    assert 0 < result.p50 <= result.p99
    assert result.unread == 0


def test_the_whole_file_is_asked_for_without_a_range(port: int) -> None:
    result = Load(job(port, "ranges", 0)).run()
    assert result.answers
    assert abs(result.read - result.answers * len(BODY)) <= 3 * 2 * len(BODY)


def test_of_an_abandoned_seek_little_is_read_and_the_rest_is_lost(port: int) -> None:
    result = Load(job(port, "abandoned", 16 << 10)).run()
    assert result.answers > 3
    assert result.read < len(BODY) * (result.answers + 3)
    assert 0 < result.unread < len(BODY) * result.answers


def test_an_answer_that_is_not_expected_is_none(port: int) -> None:
    with pytest.raises(RuntimeError, match=r"HTTP/1\.1 404"):
        Load(job(port, "ranges", 1000, "/other.mp4")).run()
