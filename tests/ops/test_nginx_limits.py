"""Limits per address in k8s/nginx.conf, with small numbers in place of its own: what they hold back, and what never."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.nginx import CONF, Nginx, running_nginx
from tests.support.upstream import Handler, Upstream, running_upstream

Limited = Callable[[dict[str, str]], Nginx]

FILMS = ["/media/1/original.mp4", "/media/1/hls/720p/3.m4s?v=1"]
NO_FILMS = ["/api/v1/assets", "/api/v1/uploads", "/api/v1/assets/1/seek", "/api/v1/events"]
FEW_REQUESTS = {
    "rate=200r/s": "rate=1r/m",
    "burst=600": "burst=4",
    "rate=1r/s": "rate=1r/m",
    "burst=60": "burst=2",
}
ONE_CONNECTION = {"connections 512": "connections 1"}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


def changed(directory: Path, numbers: dict[str, str]) -> Path:
    """nginx.conf with other numbers; each must be there."""
    text = CONF.read_text()
    for old, new in numbers.items():
        assert f"{old} " in text or f"{old};" in text, f"no {old} in {CONF}"
        text = text.replace(f"{old} ", f"{new} ").replace(f"{old};", f"{new};")
    path = directory / "changed.conf"
    path.write_text(text)
    return path


def assert_told_to_wait(answer: httpx.Response) -> None:
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("1", "no-store")
    assert answer.json()["code"] == "too_many_requests"


@pytest.mark.parametrize("path", NO_FILMS)
def test_a_flood_at_the_api_is_held_back_and_a_burst_is_not(
    upstream: Upstream, tmp_path: Path, path: str
) -> None:
    conf = changed(tmp_path, FEW_REQUESTS)
    with (
        running_nginx(tmp_path / "nginx", upstream.port, conf) as proxy,
        httpx.Client(base_url=proxy.url) as client,
    ):
        answers = [client.get(path) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert_told_to_wait(answers[-1])
        assert len(upstream.asked) == 5
        assert "limiting" not in proxy.error_log()


def test_films_pages_and_probes_know_no_rate(upstream: Upstream, tmp_path: Path) -> None:
    conf = changed(tmp_path, FEW_REQUESTS)
    with (
        running_nginx(tmp_path / "nginx", upstream.port, conf) as proxy,
        httpx.Client(base_url=proxy.url) as client,
    ):
        for path in [*FILMS, "/watch/1", "/livez", "/admin"]:
            assert {client.get(path, headers={"Range": "bytes=0-1"}).status_code for _ in range(20)} == {200}


@pytest.mark.parametrize("path", ["/admin/session", "/admin/session/", "/admin//session", "/admin%2Fsession"])
def test_only_signing_in_is_counted_not_asking_who_one_is(
    upstream: Upstream, tmp_path: Path, path: str
) -> None:
    def answer(handler: Handler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        handler.reply(b"{}")

    upstream.answer = answer
    conf = changed(tmp_path, FEW_REQUESTS)
    with (
        running_nginx(tmp_path / "nginx", upstream.port, conf) as proxy,
        httpx.Client(base_url=proxy.url) as client,
    ):
        assert {client.get(path).status_code for _ in range(10)} == {200}
        answers = [client.post(path, json={"token": "guess"}) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
        assert_told_to_wait(answers[-1])


def test_connections_of_one_address_are_counted_but_those_of_films(
    upstream: Upstream, tmp_path: Path
) -> None:
    def answer(handler: Handler) -> None:
        if handler.path == "/api/v1/events":
            handler.head(content_length="10")
            handler.wfile.write(b"first")
            handler.wfile.flush()
            upstream.wait(upstream.go_on)
            handler.wfile.write(b"later")
        else:
            handler.reply(b"ok")

    upstream.answer = answer
    conf = changed(tmp_path, ONE_CONNECTION)
    with (
        running_nginx(tmp_path / "nginx", upstream.port, conf) as proxy,
        httpx.Client(base_url=proxy.url) as client,
        client.stream("GET", "/api/v1/events") as stream,
    ):
        pieces = stream.iter_raw()
        next(pieces)
        for path in (*NO_FILMS, "/admin/session"):
            assert_told_to_wait(client.get(path))
        with ThreadPoolExecutor(16) as pool:
            assert {answer.status_code for answer in pool.map(client.get, FILMS * 20)} == {200}
        upstream.go_on.set()
        assert b"".join(pieces) == b"later"


def test_films_have_no_limit_in_the_file_either() -> None:
    _, _, behind = CONF.read_text().partition("location /media/ {")
    inside = behind.partition("}")[0]
    assert "proxy_pass" in inside
    assert "limit_" not in inside
