"""Limits per address in k8s/nginx.conf, with small numbers in place of its own: what they hold back, and what never."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from media_service.settings import Settings
from media_service.wire.forwarded import client_address, read_networks
from tests.support.nginx import CONF, Nginx, running_nginx
from tests.support.processes import wait_until
from tests.support.upstream import Handler, Upstream

DOCUMENT = CONF.parents[1] / "docs" / "security.md"
FILMS = ["/media/1/original.mp4", "/media/1/hls/720p/3.m4s?v=1"]
NO_FILMS = ["/api/v1/assets", "/api/v1/uploads", "/api/v1/assets/1/seek", "/api/v1/events"]
FEW_REQUESTS = {
    "rate=200r/s": "rate=1r/m",
    "burst=600": "burst=4",
    "rate=1r/s": "rate=1r/m",
    "burst=60": "burst=2",
    "rate=10r/s": "rate=1r/m",
    "burst=100": "burst=3",
}
ONE_CONNECTION = {"connections 512": "connections 1", "waiting 32": "waiting 1"}
TOKEN = "AQ" + "x" * 60
STILLS = ["/media/1/frame.jpg", f"/t/{TOKEN}/media/1/frame.jpg"]


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


def test_stills_that_are_drawn_for_each_who_asks_are_counted_with_and_without_a_token(
    upstream: Upstream, tmp_path: Path
) -> None:
    conf = changed(tmp_path, FEW_REQUESTS)
    with (
        running_nginx(tmp_path / "nginx", upstream.port, conf) as proxy,
        httpx.Client(base_url=proxy.url) as client,
    ):
        asked = [f"{STILLS[number % 2]}?t={number}" for number in range(7)]
        answers = [client.get(path) for path in asked]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 3
        for answer in answers[-2:]:
            assert_told_to_wait(answer)
            # A page of another origin must be able to tell why.
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["access-control-expose-headers"] == "Retry-After"
        # Written in another way it is the same; and what is no token is none here either.
        assert client.get("/media//1/fram%65.jpg").status_code == 429
        assert client.get("/t/nothing/media/1/frame.jpg").status_code == 403
        assert [asked.target for asked in upstream.asked] == asked[:4]
        assert TOKEN not in proxy.error_log()
        for path in ("/media/1/poster.jpg", "/media/1/storyboard/tiles/1.jpg", "/api/v1/assets"):
            assert client.get(path).status_code == 200


def test_one_address_does_not_take_all_places_of_those_who_wait_for_stills(
    upstream: Upstream, tmp_path: Path
) -> None:
    def answer(handler: Handler) -> None:
        if handler.path == STILLS[0]:
            upstream.halfway.set()
            upstream.wait(upstream.go_on)
        handler.reply(b"ok")

    upstream.answer = answer
    conf = changed(tmp_path, ONE_CONNECTION)
    with (
        running_nginx(tmp_path / "nginx", upstream.port, conf) as proxy,
        httpx.Client(base_url=proxy.url) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(client.get, STILLS[0])
        upstream.wait(upstream.halfway)
        assert_told_to_wait(client.get(STILLS[1]))
        for path in (*FILMS, NO_FILMS[0]):
            assert client.get(path).status_code == 200
        upstream.go_on.set()
        assert waiting.result().status_code == 200


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


@pytest.fixture
def behind_a_balancer(upstream: Upstream, tmp_path: Path) -> Iterator[Nginx]:
    """nginx with the file trusted_proxies.conf as docs/security.md has it, for a balancer that calls from here."""
    [lines] = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "nginx").mkdir()
    trusted, replaced = re.subn(r"set_real_ip_from \S+;", "set_real_ip_from 127.0.0.1;", lines)
    assert replaced == 1
    (tmp_path / "nginx" / "trusted_proxies.conf").write_text(trusted)
    with running_nginx(tmp_path / "nginx", upstream.port, changed(tmp_path, FEW_REQUESTS)) as running:
        yield running


def test_behind_a_balancer_each_client_has_its_own_limit_whatever_it_writes_in_front(
    behind_a_balancer: Nginx, upstream: Upstream
) -> None:
    def ask(forwarded: str) -> int:
        return client.get("/api/v1/assets", headers={"X-Forwarded-For": forwarded}).status_code

    with httpx.Client(base_url=behind_a_balancer.url) as client:
        flood = [ask(f"198.51.100.{port % 8}, 203.0.113.7:{port}") for port in range(4711, 4719)]
        assert flood == [200] * 5 + [429] * 3
        assert ask("203.0.113.8:4711") == ask("[2001:db8::1]:4711") == ask("2001:db8::2") == 200
    # The service is told the same, and need not know of the balancer: nginx is the one that it trusts.
    told = [asked.headers["x-forwarded-for"] for asked in upstream.asked]
    clients = [client_address("127.0.0.1", one, read_networks(Settings().trusted_proxies)) for one in told]
    assert clients == ["203.0.113.7"] * 5 + ["203.0.113.8", "2001:db8::1", "2001:db8::2"]
    wait_until(lambda: len(behind_a_balancer.access_log()) == 11, 5, "all requests are logged")
    assert {line["client"] for line in behind_a_balancer.access_log()} == set(clients)


def test_without_that_file_nobody_is_believed(upstream: Upstream, tmp_path: Path) -> None:
    with (
        running_nginx(tmp_path / "nginx", upstream.port, changed(tmp_path, FEW_REQUESTS)) as proxy,
        httpx.Client(base_url=proxy.url) as client,
    ):
        flood = [
            client.get("/api/v1/assets", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
            for number in range(8)
        ]
        assert flood == [200] * 5 + [429] * 3


def test_films_have_no_limit_in_the_file_either() -> None:
    _, _, behind = CONF.read_text().partition("location /media/ {")
    inside = behind.partition("}")[0]
    assert "proxy_pass" in inside
    assert "limit_" not in inside
