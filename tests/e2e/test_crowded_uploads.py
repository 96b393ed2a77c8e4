"""As many bodies at a time as MAX_BODIES says, for each key, in whichever way they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.assets import assert_problem
from tests.support.raw_http import RawConnection
from tests.support.server import Server, running_server

UPLOADS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path, max_bodies=2) as running:
        yield running


def begin(client: httpx.Client, length: int = 100) -> str:
    """A tus upload without bytes; its address. It has no body, and is let in all the same only while there is room."""
    answer = client.post(UPLOADS, headers={**TUS, "Upload-Length": str(length)})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def test_one_body_more_is_sent_away_for_a_moment(server: Server) -> None:
    with server.client() as client, ExitStack() as stack:
        key = client.post("/api/v1/keys", json={"name": "camera", "scopes": ["upload"]}).json()["key"]
        address, other = begin(client), begin(client)
        # One in one piece, one of many.
        ways = [
            ("PUT", "/api/v1/assets?filename=a.mp4", {}),
            ("PATCH", address, {**TUS, **BYTES, "Upload-Offset": "0"}),
        ]
        busy = []
        for method, path, headers in ways:
            connection = stack.enter_context(RawConnection(server.port))
            announced = {"Authorization": f"Bearer {server.token}", "Content-Length": "100"}
            connection.request(method, path, {**headers, **announced, "Expect": "100-continue"})
            assert connection.head().status == 100  # let in: somebody reads
            connection.send(b"half of it")
            busy.append(connection)
        append = {**TUS, **BYTES, "Upload-Offset": "0"}
        for answer in (
            client.put("/api/v1/assets", content=b"x"),
            client.post("/api/v1/assets", files={"file": ("a.mp4", b"x")}),
            client.post(UPLOADS, headers={**TUS, "Upload-Length": "1"}),
            client.patch(other, headers=append, content=b"x"),
            client.post(other, headers={**append, "X-HTTP-Method-Override": "PATCH"}, content=b"x"),
        ):
            assert_problem(answer, 429, "too_many_uploads")
            assert answer.headers["retry-after"] == "5"
        # What sends no film, and who has another key, notices nothing.
        assert client.get("/api/v1/assets").status_code == 200
        assert client.head(other, headers=TUS).status_code == 204
        authorization = {"Authorization": f"Bearer {key}"}
        assert_problem(client.put("/api/v1/assets", content=b"x", headers=authorization), 422, "not_media")
        busy[0].send(b"x" * 90)
        assert busy[0].head().status == 422
        assert client.patch(other, headers=append, content=b"x").status_code == 204
