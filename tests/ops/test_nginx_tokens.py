"""k8s/nginx.conf and playback tokens: they are in no log, and what cannot be one does not reach the service."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from media_service.errors import TokenInvalid
from media_service.wire.signatures import PlaybackToken, sign
from tests.support.nginx import CONF, Nginx, free_port, running_nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.upstream import Handler, Upstream
from tests.wire.tokens import ASSET, FULL, KEY, TOKEN

GOOD = sign(TOKEN, KEY)
SHORTEST = sign(PlaybackToken(asset_id="a", expires_at=0, key_id="k"), KEY)
LONGEST = sign(
    PlaybackToken(
        asset_id="z" * 64, expires_at=9, key_id="k" * 16, not_before=1, window=(0, 1), max_height=1
    ),
    KEY,
)


def target(token: str, behind: str = "poster.jpg") -> str:
    return f"/t/{token}/media/{ASSET}/{behind}"


def ask(proxy: Nginx, path: str, method: str = "GET", **headers: str) -> int:
    with RawConnection(proxy.port) as connection:
        connection.request(method, path, {"Connection": "close", **headers})
        return connection.head().status


def secrets_in(text: str) -> list[str]:
    """Pieces of tokens, however they are written."""
    return [piece for piece in (GOOD[4:40], GOOD[-20:]) if piece in text]


def logs(proxy: Nginx, requests: int) -> str:
    wait_until(lambda: len(proxy.access_log()) == requests, 5, "all requests are logged")
    return (proxy.directory / "access.log").read_text() + proxy.error_log()


def test_the_log_has_the_path_behind_the_token(proxy: Nginx) -> None:
    for behind in ("poster.jpg", "hls/720p/3.m4s?v=1"):
        assert ask(proxy, target(GOOD, behind)) == 200
    assert secrets_in(logs(proxy, 2)) == []
    assert {line["path"] for line in proxy.access_log()} == {
        f"/t/-/media/{ASSET}/poster.jpg",
        f"/t/-/media/{ASSET}/hls/720p/3.m4s",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/t/{token}",
        "/t/{token}/",
        "/t/{token}%0A/media/x/poster.jpg",
        "/t/{token}/media/x/po%0Aster.jpg",
        "/t/{token}A/media/x/poster.jpg",
        "/t/{token}%2Fmedia/x/poster.jpg",
        "/t/{token}%252F/media/x/poster.jpg",
        "/%74/{token}/media/x/poster.jpg",
        "/%2574/{token}/media/x/poster.jpg",
        "//t//{token}//media/x/poster.jpg",
        "/x/../t/{token}/media/x/poster.jpg",
        "/t/x/../{token}/media/x/poster.jpg",
        "/t/{token}/../../{token}",
        "/t/{token}/media/{token}/poster.jpg",
        "/T/{token}/media/x/poster.jpg",
        "/{token}/media/x/poster.jpg",
        "/media/x/{token}",
        "/media/x/%0A{token}%0A",
        "/media/x/poster.jpg?token={token}",
        "/api/v1/{token}",
        "/api/v1/assets/{token}/events",
        "/t/{token}/%zz",
        "/t/{token}/" + "x" * 9000,
        "http://h/t/{token}/media/x/poster.jpg",
    ],
)
def test_no_token_reaches_the_log_however_the_address_is_written(proxy: Nginx, path: str) -> None:
    assert ask(proxy, path.format(token=GOOD), Referer=f"http://h/t/{GOOD}/watch/x") < 500
    assert secrets_in(logs(proxy, 1)) == []


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "BREW"])
def test_nor_by_any_method(proxy: Nginx, method: str) -> None:
    ask(proxy, target(GOOD), method, **{"Content-Length": "9999999999"} if method == "POST" else {})
    assert secrets_in(logs(proxy, 1)) == []


def test_nor_when_the_service_is_down(tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", free_port()) as proxy:
        assert ask(proxy, target(GOOD)) == 503
        assert ask(proxy, "/media/x/poster.jpg") == 503
        assert secrets_in(logs(proxy, 2)) == []
        paths = {line["path"] for line in proxy.access_log()}  # logged by two workers, in any order
        assert paths == {f"/t/-/media/{ASSET}/poster.jpg", "/media/x/poster.jpg"}
        # The other one stands there, with its address: that is what error logs are for.
        assert "/media/x/poster.jpg" in proxy.error_log()


def test_nor_when_the_service_breaks_off(proxy: Nginx, upstream: Upstream) -> None:
    def half(handler: Handler) -> None:
        handler.head(200, content_length="1000")
        handler.wfile.write(b"half")
        handler.close_connection = True

    upstream.answer = half
    ask(proxy, target(GOOD))
    assert secrets_in(logs(proxy, 1)) == []


@pytest.mark.parametrize(
    "token", [GOOD, sign(FULL, KEY), SHORTEST, LONGEST, GOOD[:-1], GOOD.lower().replace("aq", "AQ", 1)]
)
def test_what_may_be_a_token_is_the_services_to_judge(proxy: Nginx, upstream: Upstream, token: str) -> None:
    for kind in ("media", "watch", "embed"):
        assert ask(proxy, f"/t/{token}/{kind}/{ASSET}") == 200
    assert upstream.asked[0].target == f"/t/{token}/media/{ASSET}"


@pytest.mark.parametrize(
    "path",
    [
        "/t/x/media/x/poster.jpg",
        "/t//media/x/poster.jpg",
        "/t/" + GOOD,
        "/t/" + GOOD + "/api/v1/assets",
        "/t/" + GOOD + "=/media/x/poster.jpg",
        "/t/" + GOOD + "%2B/media/x/poster.jpg",
        "/t/B" + GOOD[1:] + "/media/x/poster.jpg",
        "/t/" + "AQ" + "A" * 254 + "/media/x/poster.jpg",
        "/t/" + SHORTEST[:55] + "/media/x/poster.jpg",
    ],
)
def test_what_cannot_be_one_is_refused_at_the_door_as_the_service_would(
    proxy: Nginx, upstream: Upstream, path: str
) -> None:
    answer = httpx.get(f"{proxy.url}{path}")
    assert upstream.asked == []
    assert answer.status_code == TokenInvalid.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {
        "type": "about:blank",
        "title": TokenInvalid.title,
        "status": TokenInvalid.status,
        "code": TokenInvalid.code,
    }


def test_films_behind_a_token_are_sent_as_those_without() -> None:
    text = CONF.read_text()
    public, signed = (
        re.search(rf"location {where} {{(.*?)}}", text, re.DOTALL) for where in ("/media/", "/t/")
    )
    assert public is not None
    assert signed is not None

    def directives(block: str) -> set[str]:
        return {line.split("#")[0].strip() for line in block.splitlines()} - {""}

    assert directives(signed[1]) == directives(public[1]) | {"error_log stderr emerg;"}
