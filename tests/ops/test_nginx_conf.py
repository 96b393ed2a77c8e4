"""k8s/nginx.conf on the real nginx, in front of a service that says what it was asked: what the proxy lets through, in
which form and when. What our own service does behind it is tested with the service.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_service.settings import Settings
from tests.support.nginx import CONF, Nginx, configuration, free_port, listens, program, running_nginx
from tests.support.processes import wait_until
from tests.support.upstream import Handler, Upstream

MIB = 1 << 20


@pytest.fixture
def client(proxy: Nginx) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=10) as opened:
        yield opened


def test_nginx_accepts_the_file_as_it_is(tmp_path: Path) -> None:
    argv = [program(), "-p", str(tmp_path), "-e", "stderr", "-c", str(CONF), "-t"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_all_that_it_writes_is_below_its_prefix(proxy: Nginx) -> None:
    for directive in (
        "pid ",
        "client_body_temp_path ",
        "proxy_temp_path ",
        "fastcgi_temp_path ",
        "uwsgi_temp_path ",
    ):
        [value] = [
            line.split()[1] for line in CONF.read_text().splitlines() if line.strip().startswith(directive)
        ]
        assert not value.startswith("/"), directive
    assert (proxy.directory / "nginx.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_runs_as_a_user_without_rights() -> None:
    # As in the pod: uid 10001, a prefix that belongs to it, standard output that the container runtime gave to it.
    with tempfile.TemporaryDirectory() as name:
        prefix = Path(name)
        prefix.chmod(0o755)
        port = free_port()
        (prefix / "nginx.conf").write_text(configuration(port=port, upstream=free_port()))
        (prefix / "run").mkdir()
        for path in (prefix / "run", prefix / "log"):
            path.touch(exist_ok=True)
            os.chown(path, 10001, 10001)
        become = [
            "setpriv",
            "--reuid=10001",
            "--regid=10001",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
        ]
        argv = [
            *become,
            program(),
            "-p",
            str(prefix / "run"),
            "-e",
            "stderr",
            "-c",
            str(prefix / "nginx.conf"),
        ]
        with (prefix / "log").open("ab") as log:
            process = subprocess.Popen(
                [*argv, "-g", "daemon off;"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until(lambda: process.poll() is not None or listens(port), 10, "nginx listens")
            assert process.poll() is None, (prefix / "log").read_text()
            assert httpx.patch(f"http://127.0.0.1:{port}/", content=bytes(MIB)).status_code == 503
        finally:
            process.terminate()
            process.wait()


def test_only_the_addresses_differ_from_the_file_in_production() -> None:
    text = configuration(port=1, upstream=2, blobs=Path("/3"))
    for own, shipped in (
        ("listen 127.0.0.1:1", "listen 8080"),
        ("server 127.0.0.1:2;", "include service_address.conf;"),
        ("alias /3/;", "alias /data/blobs/;"),
    ):
        text = text.replace(own, shipped)
    assert text == CONF.read_text()


# --- requests ---------------------------------------------------------------------------------------------------------


def test_range_and_conditions_reach_the_service_unchanged(client: httpx.Client, upstream: Upstream) -> None:
    conditions = {
        "range": "bytes=0-1, 5-6,-7",
        "if-range": '"abc"',
        "if-match": '"abc", "def"',
        "if-none-match": 'W/"abc"',
        "if-modified-since": "Fri, 20 Nov 2026 11:33:00 GMT",
        "if-unmodified-since": "Fri, 20 Nov 2026 11:33:00 GMT",
    }
    client.get("/media/1/original.mp4", headers=conditions)
    assert {name: upstream.asked[0].headers[name] for name in conditions} == conditions


def test_the_path_reaches_the_service_byte_for_byte(client: httpx.Client, upstream: Upstream) -> None:
    client.get("/media/a%2Fb//c%20d/../x.mp4?t=1%2F2")
    raw = b"GET /media/a%2Fb//%41/x.mp4?t=%2F HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with socket.create_connection(
        (client.base_url.host, client.base_url.port or 0), timeout=10
    ) as connection:
        connection.sendall(raw)
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200")
    assert upstream.asked[1].target == "/media/a%2Fb//%41/x.mp4?t=%2F"


def test_the_service_learns_who_asks(client: httpx.Client, upstream: Upstream, proxy: Nginx) -> None:
    answer = client.get("/watch/1", headers={"X-Forwarded-For": "10.0.0.9", "X-Request-ID": "forged"})
    headers = upstream.asked[0].headers
    assert headers["host"] == f"127.0.0.1:{proxy.port}"
    assert headers["x-forwarded-for"] == "10.0.0.9, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == f"127.0.0.1:{proxy.port}"
    assert len(headers["x-request-id"]) == 32
    assert answer.headers["x-request-id"] == headers["x-request-id"]
    assert "nginx/" not in answer.headers["server"]


def test_https_ended_before_it_is_still_https(client: httpx.Client, upstream: Upstream) -> None:
    client.get("/", headers={"X-Forwarded-Proto": "https"})
    client.get("/", headers={"X-Forwarded-Proto": "javascript"})
    assert [asked.headers["x-forwarded-proto"] for asked in upstream.asked] == ["https", "http"]


def test_requests_share_a_connection_to_the_service_and_uploads_get_a_fresh_one(
    client: httpx.Client, upstream: Upstream
) -> None:
    def answer(handler: Handler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        handler.reply(b"")

    upstream.answer = answer
    for _ in range(3):
        client.get("/media/1/original.mp4")
    client.post("/api/v1/assets", content=b"x")
    seeks, upload = upstream.asked[:3], upstream.asked[3]
    assert len({asked.connection for asked in seeks}) == 1
    assert all("connection" not in asked.headers for asked in seeks)
    assert upload.connection != seeks[0].connection


def test_idle_connections_end_before_the_service_ends_them() -> None:
    # The promise of the comment in nginx.conf: the service keeps idle connections for 75 s.
    assert "keepalive_timeout 30s;" in CONF.read_text()


def test_a_transform_that_takes_too_long_is_the_services_to_end() -> None:
    uploads = (
        CONF.read_text().partition("location ~ ^/api/v1/((assets|transform)$")[2].partition("proxy_pass")[0]
    )
    [line] = [line for line in uploads.splitlines() if "proxy_read_timeout" in line]
    assert float(line.split()[1].removesuffix("s;")) > Settings().transform_max_seconds


def test_a_stalled_upload_is_the_services_to_end() -> None:
    [line] = [line for line in CONF.read_text().splitlines() if "client_body_timeout" in line]
    assert float(line.split()[1].removesuffix("s;")) > Settings().upload_idle_seconds


# --- bytes on their way out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/media/1/original.mp4", "/api/v1/events", "/api/v1/assets/1/events", "/watch/1"]
)
def test_bytes_go_out_as_they_come_in(client: httpx.Client, upstream: Upstream, path: str) -> None:
    def answer(handler: Handler) -> None:
        handler.head(content_length="10", content_type="video/mp4")
        handler.wfile.write(b"first")
        handler.wfile.flush()
        upstream.wait(upstream.go_on)
        handler.wfile.write(b"later")

    upstream.answer = answer
    with client.stream("GET", path) as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"first"  # while the service still holds the rest back
        upstream.go_on.set()
        assert b"".join(pieces) == b"later"


def test_a_client_that_leaves_is_gone_for_the_service_too(client: httpx.Client, upstream: Upstream) -> None:
    def answer(handler: Handler) -> None:
        handler.head(content_length=str(1 << 40))
        try:
            while True:
                handler.wfile.write(bytes(MIB))
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True
            upstream.done.set()

    upstream.answer = answer
    with client.stream("GET", "/media/1/original.mp4") as response:
        next(response.iter_raw())
    upstream.wait(upstream.done)


def test_nothing_is_written_to_disk_for_a_slow_reader(
    client: httpx.Client, upstream: Upstream, proxy: Nginx
) -> None:
    upstream.answer = lambda handler: handler.reply(bytes(16 * MIB), x_accel_buffering="yes")
    with client.stream("GET", "/media/1/original.mp4") as response:
        pieces = response.iter_raw()
        read = len(next(pieces))
        assert [path for path in proxy.directory.glob("*_temp/**/*") if path.is_file()] == []
        assert read + sum(len(piece) for piece in pieces) == 16 * MIB


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/media/1/original.mp4", "video/mp4"),
        ("/media/1/hls/master.m3u8", "application/vnd.apple.mpegurl"),
        ("/media/1/storyboard.json", "application/json"),
        ("/api/v1/assets", "application/json"),
        ("/api/v1/events", "text/event-stream"),
    ],
)
def test_media_and_api_are_never_compressed(
    client: httpx.Client, upstream: Upstream, path: str, content_type: str
) -> None:
    upstream.answer = lambda handler: handler.reply(b" " * 9000, content_type=content_type, etag='"strong"')
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"] == '"strong"'
    assert answer.headers["content-length"] == "9000"


def test_pages_and_scripts_are_compressed(client: httpx.Client, upstream: Upstream) -> None:
    upstream.answer = lambda handler: handler.reply(
        b" " * 9000, content_type="text/javascript; charset=utf-8"
    )
    answer = client.get("/ui/vendor/hls.mjs", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == b" " * 9000


def test_partial_content_comes_through_as_the_service_made_it(
    client: httpx.Client, upstream: Upstream
) -> None:
    upstream.answer = lambda handler: handler.reply(
        b"ab", 206, content_range="bytes 0-1/9", accept_ranges="bytes"
    )
    answer = client.get("/media/1/original.mp4", headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.content) == (206, b"ab")
    assert answer.headers["content-range"] == "bytes 0-1/9"


def test_a_whole_answer_to_a_range_is_not_cut_by_nginx(client: httpx.Client, upstream: Upstream) -> None:
    # The service ignores a Range it does not know, or after a failed If-Range; nginx must not answer it in its place.
    upstream.answer = lambda handler: handler.reply(b"whole", accept_ranges="bytes", etag='"new"')
    answer = client.get("/media/1/original.mp4", headers={"Range": "bytes=0-1", "If-Range": '"old"'})
    assert (answer.status_code, answer.content) == (200, b"whole")
    answer = client.get("/media/1/original.mp4", headers={"If-None-Match": '"new"'})
    assert answer.status_code == 200


# --- uploads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v1/assets?filename=a.mp4", "/api/v1/uploads/1", "/api/v1/transform"])
@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_reach_the_service_while_they_are_sent(
    client: httpx.Client, upstream: Upstream, path: str, chunked: bool
) -> None:
    def answer(handler: Handler) -> None:
        first = handler.rfile.readline() + handler.rfile.readline() if chunked else handler.rfile.read(5)
        assert b"first" in first
        upstream.halfway.set()
        handler.rfile.read(5)  # the last chunk, or the other half
        handler.close_connection = True
        handler.reply(b"{}", 201)

    def body() -> Iterator[bytes]:
        yield b"first"
        upstream.wait(upstream.halfway)  # the service has it, though the body is not complete
        if not chunked:
            yield b"later"

    upstream.answer = answer
    headers = {} if chunked else {"Content-Length": "10"}
    assert client.put(path, content=body(), headers=headers).status_code == 201


def test_an_upload_may_have_any_size(client: httpx.Client, upstream: Upstream) -> None:
    upstream.answer = lambda handler: handler.reply(str(len(handler.rfile.read(8 * MIB))).encode())
    assert client.post("/api/v1/assets", content=bytes(8 * MIB)).text == str(8 * MIB)


def test_an_upload_that_the_service_refuses_at_once_gets_its_answer(
    client: httpx.Client, upstream: Upstream
) -> None:
    def answer(handler: Handler) -> None:
        handler.reply(b'{"code":"unauthorized"}', 401, content_type="application/problem+json")
        while handler.rfile.read(65536):  # a server that closes on unread bytes resets the connection instead
            pass

    upstream.answer = answer
    answered = client.post("/api/v1/assets", content=bytes(4 * MIB))
    assert (answered.status_code, answered.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("path", ["/api/v1/assets/1", "/media/1/original.mp4", "/api/v1/assets/1/seek"])
def test_what_is_no_upload_is_small(client: httpx.Client, upstream: Upstream, path: str) -> None:
    answer = client.patch(path, content=bytes(MIB + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "request_too_large"
    assert upstream.asked == []


def test_a_small_body_is_never_written_to_disk(
    client: httpx.Client, upstream: Upstream, proxy: Nginx
) -> None:
    def answer(handler: Handler) -> None:
        handler.rfile.read(MIB)
        files = [path for path in proxy.directory.glob("*_temp/**/*") if path.is_file()]
        handler.reply(str(len(files)).encode())

    upstream.answer = answer
    assert client.patch("/api/v1/assets/1", content=bytes(MIB)).text == "0"


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_service_that_is_down_is_said_in_its_own_form(tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", free_port()) as proxy, httpx.Client(base_url=proxy.url) as client:
        for path in (
            "/",
            "/media/1/original.mp4",
            "/media/1/poster.jpg",
            "/api/v1/assets",
            "/api/v1/events",
            "/readyz",
        ):
            answer = client.get(path)
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "5"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            is_film = path.startswith("/media/")
            assert answer.headers.get("access-control-allow-origin") == ("*" if is_film else None)
            assert answer.headers.get("access-control-expose-headers") == ("Retry-After" if is_film else None)
            problem = answer.json()
            assert (problem["status"], problem["code"]) == (503, "unavailable")


def test_the_services_own_failures_come_through_as_they_are(client: httpx.Client, upstream: Upstream) -> None:
    for status in (404, 413, 500, 502, 503, 507):
        upstream.answer = lambda handler, status=status: handler.reply(b"own words", status, retry_after="77")  # type: ignore[misc]
        answer = client.get("/media/1/original.mp4")
        assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (status, "own words", "77")


@pytest.mark.parametrize("name", ["Range", "Cookie", "X-Anything"])
def test_a_flood_in_a_header_ends_at_the_door(client: httpx.Client, upstream: Upstream, name: str) -> None:
    answer = client.get("/media/1/original.mp4", headers={name: "bytes=" + "0-0," * 3000})
    assert answer.status_code == 431
    assert answer.json()["code"] == "header_too_large"
    assert upstream.asked == []


def test_the_longest_header_that_is_allowed_gets_through(client: httpx.Client, upstream: Upstream) -> None:
    client.get("/media/1/original.mp4", headers={"Range": "bytes=" + "0-0," * 2000})
    assert len(upstream.asked[0].headers["range"]) == 8006


# --- the log ----------------------------------------------------------------------------------------------------------


def test_no_credential_reaches_the_log(client: httpx.Client, proxy: Nginx) -> None:
    secret = "s3cr3t"
    headers = {"Authorization": f"Bearer {secret}", "Cookie": secret, "Referer": f"http://h/?token={secret}"}
    client.get(f"/api/v1/assets?token={secret}", headers=headers)
    wait_until(lambda: len(proxy.access_log()) == 1, 5, "the request is logged")
    [line] = proxy.access_log()
    assert line["path"] == "/api/v1/assets"
    assert line["status"] == "200"
    assert secret not in json.dumps(line)
    assert secret not in proxy.error_log()


def test_probes_are_not_logged(client: httpx.Client, proxy: Nginx) -> None:
    for path in ("/livez", "/readyz", "/admin"):
        client.get(path)
    wait_until(lambda: bool(proxy.access_log()), 5, "the request is logged")
    assert [line["path"] for line in proxy.access_log()] == ["/admin"]
