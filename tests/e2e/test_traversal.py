"""Every parameter of every route, filled with ways out of where it belongs: nothing beside what is meant ever answers.

A file with a mark in it lies where each way would lead: beside the data directory, in it, and among the service's own files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from litestar import Litestar

from tests.support.nginx import Nginx
from tests.support.raw_http import RawConnection
from tests.support.server import CHECKOUT, Server
from tests.web.test_guards import app, handlers

__all__ = ["app"]

MARK = b"mark-4f7c1d0e9a2b"
CANARY = "canary.txt"
# What stands in files that are there anyway: of the system, of the service, of its data.
NEVER = (MARK, b"root:x:0", b"SQLite format 3", b"from __future__", b"[project]")
UP = 12  # more than any directory is deep


def ways(server: Server) -> list[str]:
    """Paths out, as they may stand in one parameter."""
    goals = [
        f"{'../' * UP}etc/passwd",
        f"../{CANARY}",
        f"../../{CANARY}",
        f"../../../{CANARY}",
        "../catalog.sqlite3",
        "../../pages.py",
        "../__init__.py",
        "/etc/passwd",
        str(server.data_dir / CANARY),
        f"....//{CANARY}",
        "..",
        ".",
    ]
    found = []
    for goal in goals:
        found += [
            goal,
            quote(goal, safe=""),
            quote(quote(goal, safe=""), safe=""),
            goal.replace(".", "%2e").replace("/", "%2F"),
            goal.replace("/", "\\"),
            goal.replace("/", "%5C"),
            goal.replace("/", "%c0%af"),  # overlong UTF-8
            goal.replace(".", "%u002e"),
            f"{goal}%00.mp4",
            f"x;{goal}",
            f"file:{goal}",
        ]
    return list(dict.fromkeys(found))


@pytest.fixture
def canaries(server: Server) -> Iterator[None]:
    """The marked files."""
    places = [
        server.data_dir.parent,
        server.data_dir,
        server.data_dir / "blobs",
        CHECKOUT / "media_service" / "ui",
    ]
    files = [place / CANARY for place in places]
    for file in files:
        file.write_bytes(MARK)
    yield
    for file in files:
        file.unlink()


def targets(app: Litestar, server: Server) -> Iterator[tuple[str, str]]:
    """Method and address: each parameter of each route in turn holds each way out."""
    known = {"rendition": "source", "name": "original.mp4"}
    for method, path, _ in handlers(app):
        if method not in {"GET", "DELETE", "PATCH"}:
            continue
        parameters = re.findall(r"{(\w+)(?::\w+)?}", path)
        for chosen in parameters:
            for way in ways(server):
                filled = path
                for name in parameters:
                    value = way if name == chosen else known.get(name, "unknown")
                    filled = re.sub(rf"{{{name}(:\w+)?}}", value.replace("\\", r"\\"), filled)
                yield method, filled


def status_and_all(connection: RawConnection, method: str, target: str, token: str) -> tuple[int, bytes]:
    """One exchange on a connection that stays open."""
    key = {"Authorization": f"Bearer {token}", "Content-Length": "0"}
    connection.request(method, target, key)
    head = connection.head()
    size = 0 if head.status in {204, 304} else int(head.headers.get("content-length", "0"))
    return head.status, str(head.headers).encode() + connection.body(size)


@pytest.mark.usefixtures("canaries")
@pytest.mark.parametrize("through", ["service", "nginx"])
def test_no_parameter_leads_out_of_where_it_belongs(
    server: Server, nginx: Nginx, app: Litestar, through: str
) -> None:
    asked = 0
    port = server.port if through == "service" else nginx.port
    connection = RawConnection(port)
    try:
        for method, target in targets(app, server):
            if through == "nginx" and method != "GET":
                continue
            try:
                status, answer = status_and_all(connection, method, target, server.token)
            except (ConnectionError, BrokenPipeError):  # a refusal that was the connection's last answer
                connection.__exit__(None, None, None)
                connection = RawConnection(port)
                status, answer = status_and_all(connection, method, target, server.token)
            assert status < 500, f"{method} {target}: {status} {answer!r}"
            assert not [sign for sign in NEVER if sign in answer], f"{method} {target}: {answer[:300]!r}"
            asked += 1
    finally:
        connection.__exit__(None, None, None)
    assert asked > 1000
