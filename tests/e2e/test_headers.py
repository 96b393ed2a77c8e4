"""Every answer of every route, asked in every way: what browsers are told, and what comes of a request's Host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from tests.support.api import put_in
from tests.support.films import Films
from tests.support.processes import wait_until
from tests.support.server import Server
from tests.web.test_guards import app, handlers

__all__ = ["app"]

MADE_SECONDS = 60.0
HOST = "evil.example"
FORWARDED = {"X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https", "Forwarded": f"host={HOST};proto=https"}
PLAIN = {
    "application/json",
    "application/problem+json",
    "application/vnd.oai.openapi+json",
    "application/x-ndjson",
    "text/csv; charset=utf-8; header=present",
    "text/event-stream",
    "text/html; charset=utf-8",
    "text/css; charset=utf-8",
    "text/javascript; charset=utf-8",
}
MEDIA = {
    "application/dash+xml",
    "application/vnd.apple.mpegurl",
    "audio/mp4",
    "image/jpeg",
    "image/webp",
    "text/vtt",
    "video/mp4",
}


@pytest.fixture(scope="module")
def asset(server: Server, films: Films) -> str:
    """A film's id. Everything that is small is made of it."""
    with server.client() as client:
        identity: str = put_in(client, films.film())["id"]

        def made() -> bool:
            found = client.get(f"/api/v1/assets/{identity}").raise_for_status().json()["playback"]
            return bool(found["storyboard"] and found["preview"] and found["waveform"])

        wait_until(made, MADE_SECONDS, "previews, a clip and a waveform")
        return identity


def addresses(path: str, asset: str) -> Iterator[str]:
    """The path of a route, filled in: with what there is, what there is not, and what nobody would call anything."""
    names = {"rendition": "source", "name": "original.mp4", "path": "js/watch.js"}
    for identity, other in ((asset, None), ("unknown", None), ("<b>", "%22%3E%3Csvg%3E")):
        filled = path
        while "{" in filled:
            before, _, rest = filled.partition("{")
            name, _, after = rest.partition("}")
            name = name.partition(":")[0]
            filled = f"{before}{other or names.get(name, identity)}{after}"
        yield filled
        if filled == path:
            return


def answers(
    server: Server, app: Litestar, asset: str, **headers: str
) -> Iterator[tuple[str, str, httpx.Response]]:
    """The head and the body's beginning of every answer there is."""
    for key in (None, server.token):
        with server.client(authorized=key is not None) as client:
            for method, path, _ in handlers(app):
                for address in addresses(path, asset if method != "DELETE" else "unknown"):
                    with client.stream(method, address, headers=headers) as answer:
                        if answer.headers.get("content-type") != "text/event-stream":
                            answer.read()
                        yield method, address, answer


def policy_of(answer: httpx.Response) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


def check(method: str, address: str, answer: httpx.Response) -> None:
    headers, policy = answer.headers, policy_of(answer)
    for name in (
        "x-content-type-options",
        "content-security-policy",
        "referrer-policy",
        "cross-origin-resource-policy",
    ):
        assert len(headers.get_list(name)) == 1, f"{name}: {headers.get_list(name)}"
    assert headers["x-content-type-options"] == "nosniff"
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    films = address.startswith(("/media/", "/t/"))
    kind = headers.get("content-type")
    embedded = "/embed/" in address and kind is not None and "html" in kind
    assert policy["frame-ancestors"] == ("*" if embedded else "'none'")
    assert ("permissions-policy" in headers) == (kind is not None and "html" in kind)
    assert headers.get("access-control-allow-origin") == ("*" if films else None)
    assert "access-control-allow-credentials" not in headers
    assert "server" not in headers
    if answer.status_code not in {204, 304, 307} and method != "OPTIONS":
        assert kind in (PLAIN | MEDIA if films else PLAIN), kind
    if kind == "text/html; charset=utf-8":
        assert method in {"GET", "HEAD"}
        assert "<script>" not in answer.text
        assert "style=" not in answer.text


def test_every_answer_says_what_it_may_be_taken_for(server: Server, app: Litestar, asset: str) -> None:
    seen = 0
    for method, address, answer in answers(server, app, asset):
        assert answer.status_code < 500, f"{method} {address}: {answer.text}"
        try:
            check(method, address, answer)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"{method} {address} {answer.status_code} {dict(answer.headers)}") from error
        seen += 1
    assert seen > 200


def test_no_answer_repeats_the_host_that_a_request_names(server: Server, app: Litestar, asset: str) -> None:
    for method, address, answer in answers(server, app, asset, Host=HOST, **FORWARDED):
        told: list[Any] = [*answer.headers.raw]
        assert HOST not in str(told), f"{method} {address}: {told}"
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            assert HOST.encode() not in answer.content, f"{method} {address}"
        assert "://" not in answer.headers.get("location", ""), f"{method} {address}"


def test_what_the_server_itself_refuses_is_no_page(server: Server) -> None:
    answer = httpx.request("GET", f"{server.url}/nowhere/at/all", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    check("GET", "/nowhere/at/all", answer)
