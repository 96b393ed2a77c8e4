"""k8s/nginx.conf and files that it sends by itself: who may have it do so, under which headers, and what it does when it cannot.

The service here says what the test says; ours is in tests/e2e/test_accel.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_service.web.accel import RENAMED
from tests.support.nginx import CONF, Nginx, running_nginx
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection
from tests.support.upstream import Handler, Upstream
from tests.wire.tokens import ASSET

BYTES = bytes(range(256)) * 40
FILM = f"/media/{ASSET}/original.mp4"
TOLD = {
    "content_type": "video/mp4",
    "etag": '"tag"',
    "last_modified": "Thu, 01 Jan 1970 00:00:01 GMT",
    "x_kept_cache_control": "public, immutable",
    "x_kept_content_disposition": "attachment",
    "vary": "Origin",
    "access_control_allow_origin": "https://player.example",
    "access_control_expose_headers": "ETag",
    "cross_origin_resource_policy": "cross-origin",
    "content_security_policy": "default-src 'none'",
    "referrer_policy": "no-referrer",
    "x_content_type_options": "nosniff",
}


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    directory = tmp_path / "blobs"
    (directory / ASSET / "segments").mkdir(parents=True)
    (directory / ASSET / "original").write_bytes(BYTES)
    return directory


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path, blobs: Path) -> Iterator[Nginx]:
    with running_nginx(tmp_path / "nginx", upstream.port, blobs=blobs) as running:
        yield running


@pytest.fixture
def client(proxy: Nginx) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=10) as opened:
        yield opened


def redirecting(handler: Handler, key: str = f"{ASSET}/original") -> None:
    """Have nginx send that, if it offers to; else refuse, as for a film that is deleted by then."""
    prefix = handler.headers.get("X-Accel-Mapping")
    if prefix:
        handler.reply(b"", 502, x_accel_redirect=prefix + key, **TOLD)
    else:
        handler.reply(b"gone", 404, content_type="text/plain", cache_control="no-store")


def test_a_file_goes_out_with_the_services_headers_and_its_own_bytes(
    client: httpx.Client, upstream: Upstream
) -> None:
    upstream.answer = redirecting
    answer = client.get(FILM)
    assert (answer.status_code, answer.content) == (200, BYTES)
    wanted = {name.removeprefix("x_kept_").replace("_", "-"): value for name, value in TOLD.items()}
    wanted |= {"content-length": str(len(BYTES)), "accept-ranges": "bytes"}
    found = [(name, value) for name, value in answer.headers.multi_items() if name in wanted]
    assert sorted(found) == sorted(wanted.items())
    assert not [name for name in answer.headers if name.startswith(("x-accel", "x-kept"))]


@pytest.mark.parametrize(
    ("value", "first", "last"), [("bytes=0-0", 0, 0), ("bytes=5-", 5, 10239), ("bytes=-7", 10233, 10239)]
)
def test_a_range_of_it_is_cut_by_nginx(
    client: httpx.Client, upstream: Upstream, value: str, first: int, last: int
) -> None:
    upstream.answer = redirecting
    answer = client.get(FILM, headers={"Range": value})
    assert (answer.status_code, answer.content) == (206, BYTES[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"
    assert answer.headers.get_list("etag") == ['"tag"']


def test_its_time_and_length_on_the_disk_are_told_to_nobody(client: httpx.Client, upstream: Upstream) -> None:
    def bare(handler: Handler) -> None:
        handler.reply(b"", 502, x_accel_redirect=f"/_blobs/{ASSET}/original", content_type="video/mp4")

    upstream.answer = bare
    answer = client.get(FILM, headers={"If-Modified-Since": "Fri, 20 Nov 2099 11:33:00 GMT"})
    assert answer.status_code == 200
    assert not {"etag", "last-modified", "cache-control", "vary"} & set(answer.headers)


def test_all_that_the_service_renames_gets_its_name_back() -> None:
    for name, kept in RENAMED.items():
        variable = f"$upstream_http_{kept.decode().replace('-', '_')}"
        assert re.search(
            f"add_header {name.decode()} {re.escape(variable)};", CONF.read_text(), re.IGNORECASE
        )


# --- who may ----------------------------------------------------------------------------------------------------------


def test_that_it_has_files_is_nginxs_word_and_never_a_clients(
    client: httpx.Client, upstream: Upstream
) -> None:
    for path in (FILM, f"/t/AQ{'x' * 60}{FILM}", f"/media/{ASSET}/frame.jpg"):
        client.get(path, headers={"X-Accel-Mapping": "/etc/"})
        assert upstream.asked.pop().headers["x-accel-mapping"] == "/_blobs/"
    for path in ("/", "/watch/1", "/api/v1/assets", "/api/v1/events", "/api/v1/uploads/1", "/_blobs/x"):
        client.get(path, headers={"X-Accel-Mapping": "/_blobs/"})
        assert "x-accel-mapping" not in upstream.asked.pop().headers


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/assets", "/api/v1/assets/1/seek", "/api/v1/events", "/admin/session"]
)
def test_nothing_but_a_film_is_redirected(client: httpx.Client, upstream: Upstream, path: str) -> None:
    upstream.answer = lambda handler: handler.reply(b"own", x_accel_redirect=f"/_blobs/{ASSET}/original")
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "own")
    assert "x-accel-redirect" not in answer.headers


@pytest.mark.parametrize(
    "path", [f"/_blobs/{ASSET}/original", "/_blobs/", "/media/../_blobs/x", f"/%5fblobs/{ASSET}/original"]
)
def test_a_file_is_at_no_address(proxy: Nginx, upstream: Upstream, path: str) -> None:
    upstream.answer = redirecting
    for method in ("GET", "HEAD", "POST"):
        with RawConnection(proxy.port) as connection:
            connection.request(method, path, {"X-Accel-Mapping": "/_blobs/", "Content-Length": "0"})
            assert connection.head().status == 404
        assert upstream.asked[-1].target == path  # the service has said it, in its words


@pytest.mark.parametrize("key", ["../nginx/nginx.conf", f"{ASSET}/../../nginx.conf", "..%2Fnginx.conf"])
def test_no_other_file_is_sent_even_if_the_service_said_so(
    client: httpx.Client, upstream: Upstream, proxy: Nginx, key: str
) -> None:
    assert (proxy.directory / "nginx.conf").exists()
    upstream.answer = lambda handler: redirecting(handler, key)
    assert b"worker_processes" not in client.get(FILM).content


# --- when it cannot ---------------------------------------------------------------------------------------------------


def assert_the_service_was_asked_again(answer: httpx.Response, upstream: Upstream, target: str) -> None:
    first, second = upstream.asked
    assert (first.target, second.target) == (target, target)
    assert "x-accel-mapping" in first.headers
    assert "x-accel-mapping" not in second.headers
    assert second.headers.get("range") == first.headers.get("range")
    assert (answer.status_code, answer.text) == (404, "gone")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers.get_list("content-type") == ["text/plain"]
    for name in ("etag", "last-modified", "content-disposition", "accept-ranges"):
        assert name not in answer.headers


@pytest.mark.parametrize("target", [FILM, f"{FILM}?v=%2F1", f"/media//{ASSET}/%6friginal.mp4"])
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-9"}])
def test_a_file_that_is_deleted_in_this_moment_is_the_services_to_refuse(
    proxy: Nginx, upstream: Upstream, blobs: Path, target: str, headers: dict[str, str]
) -> None:
    (blobs / ASSET / "original").unlink()
    upstream.answer = redirecting
    with httpx.Client() as client:
        answer = client.get(proxy.url + target, headers=headers)
    assert_the_service_was_asked_again(answer, upstream, target)


@pytest.mark.parametrize("spoilt", ["absent volume", "link", "linked directory"])
def test_what_is_no_file_here_is_the_services_to_send(
    client: httpx.Client, upstream: Upstream, blobs: Path, spoilt: str
) -> None:
    elsewhere = blobs.with_name("elsewhere")
    if spoilt == "absent volume":
        blobs.rename(elsewhere)
    elif spoilt == "link":
        (blobs / ASSET / "original").rename(elsewhere)
        (blobs / ASSET / "original").symlink_to(elsewhere)
    else:
        (blobs / ASSET).rename(elsewhere)
        (blobs / ASSET).symlink_to(elsewhere)
    upstream.answer = redirecting
    assert_the_service_was_asked_again(client.get(FILM), upstream, FILM)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has workers that are somebody else")
def test_a_file_that_nginx_may_not_read_is_the_services_to_send(
    upstream: Upstream, tmp_path: Path, blobs: Path
) -> None:
    (blobs / ASSET / "original").chmod(0o600)
    upstream.answer = redirecting
    with running_nginx(tmp_path / "nginx", upstream.port, blobs=blobs, user="nobody nogroup") as proxy:
        assert_the_service_was_asked_again(httpx.get(proxy.url + FILM), upstream, FILM)


def test_a_service_that_dies_in_between_is_said_to_be_down(client: httpx.Client, upstream: Upstream) -> None:
    def dying(handler: Handler) -> None:
        if "X-Accel-Mapping" in handler.headers:
            redirecting(handler, f"{ASSET}/gone")
        else:
            handler.close_connection = True

    upstream.answer = dying
    answer = client.get(FILM)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers["access-control-allow-origin"] == "*"


# --- the log ----------------------------------------------------------------------------------------------------------


def test_the_log_has_what_was_asked_for_and_no_token(
    client: httpx.Client, proxy: Nginx, upstream: Upstream, blobs: Path
) -> None:
    upstream.answer = redirecting
    token = f"AQ{'secret' * 10}"
    client.get(FILM)
    client.get(f"/t/{token}{FILM}", headers={"Range": "bytes=0-1"})
    (blobs / ASSET / "original").unlink()
    client.get(f"/t/{token}{FILM}")
    wait_until(lambda: len(proxy.access_log()) == 3, 5, "all requests are logged")
    assert [(line["path"], line["status"]) for line in proxy.access_log()] == [
        (FILM, "200"),
        (f"/t/-{FILM}", "206"),
        (f"/t/-{FILM}", "404"),
    ]
    assert [" : " in line["service_seconds"] for line in proxy.access_log()] == [False, False, True]
    assert "secret" not in (proxy.directory / "access.log").read_text() + proxy.error_log()
