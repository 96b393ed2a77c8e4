"""The service on a Unix socket: the same as by TCP, for who may open it, and whoever comes that way is believed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.assets import assert_problem, await_state, upload
from tests.support.nginx import Nginx, free_port, running_nginx
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server

SESSION = "/admin/session"
WRONG = {"token": "nobody has this one"}
GUESSES = 10  # of one client in a minute (web.attempts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service on a Unix socket; PORT is set as well, and says nothing then."""
    directory = tmp_path_factory.mktemp("service")
    with running_server(
        directory, unix_socket=directory / "socket", port=free_port(), transcode_workers=0
    ) as running:
        yield running


def path_of(server: Server) -> Path:
    assert server.url.startswith("unix:/")
    return Path(server.url.removeprefix("unix:"))


def client_of(server: Server, *, authorized: bool = True) -> httpx.Client:
    """An HTTP client on the service's socket (to be closed: use `with`)."""
    headers = {"Authorization": f"Bearer {server.token}"} if authorized else {}
    transport = httpx.HTTPTransport(uds=str(path_of(server)))
    return httpx.Client(transport=transport, base_url="http://localhost", headers=headers, timeout=30)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with client_of(server) as connected:
        yield connected


def test_films_go_in_and_out(client: httpx.Client, film: bytes) -> None:
    asset = upload(client, film)
    await_state(client, asset["id"], "ready", "playable")
    address = f"/media/{asset['id']}/original.mp4"
    whole = client.get(address)
    assert whole.status_code == 200
    assert len(whole.content) == int(whole.headers["content-length"]) > len(film) // 2
    for start in (0, 1, 4095, len(whole.content) // 2, len(whole.content) - 1):
        part = client.get(address, headers={"Range": f"bytes={start}-"})
        assert part.status_code == 206
        assert part.content == whole.content[start:]


def test_nobody_listens_on_a_port_besides(server: Server) -> None:
    sockets = Path(f"/proc/{server.pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {f"socket:[{line.split()[9]}]" for line in sockets if line.split()[3] == "0A"}  # TCP_LISTEN
    links = {str(one.readlink()) for one in Path(f"/proc/{server.pid}/fd").iterdir()}
    assert not inodes & links


def test_a_proxy_there_says_whether_it_is_https(client: httpx.Client, server: Server) -> None:
    answer = client.post(
        SESSION, json={"token": server.token}, headers={"X-Forwarded-Proto": "https", "Host": "films.example"}
    )
    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith("__Host-media_service_session=")
    plain = client.post(SESSION, json={"token": server.token})
    assert plain.headers["set-cookie"].startswith("media_service_session=")


def test_a_proxy_there_says_who_the_client_is(server: Server) -> None:
    with client_of(server, authorized=False) as client:

        def guess(address: str) -> int:
            return client.post(SESSION, json=WRONG, headers={"X-Forwarded-For": address}).status_code

        assert [guess("198.51.100.7") for _ in range(GUESSES + 1)] == [401] * GUESSES + [429]
        assert guess("198.51.100.8") == 401
        # What the client itself has written stands before what the proxy has.
        assert guess("192.0.2.1, 198.51.100.7") == 429


@pytest.fixture(scope="module")
def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), path_of(server)) as running:
        yield running


def test_behind_nginx_films_go_in_and_out(server: Server, nginx: Nginx, film: bytes) -> None:
    with server.client(url=nginx.url) as client:
        asset = upload(client, film)
        await_state(client, asset["id"], "ready", "playable")
        address = f"/media/{asset['id']}/original.mp4"
        whole = client.get(address)
        part = client.get(address, headers={"Range": "bytes=70000-"})
        assert (whole.status_code, part.status_code) == (200, 206)
        assert part.content == whole.content[70000:]
        assert part.headers["etag"] == whole.headers["etag"]


def test_behind_nginx_events_come_as_they_happen(server: Server, nginx: Nginx) -> None:
    with server.client(url=nginx.url) as client, client.stream("GET", "/api/v1/events") as stream:
        assert stream.status_code == 200
        assert next(stream.iter_lines())  # while the response is still open


def test_behind_nginx_each_client_is_counted_by_itself(server: Server, nginx: Nginx) -> None:
    """nginx says 127.0.0.1, the address of its client; who comes from elsewhere still has his own attempts."""
    with server.client(url=nginx.url, authorized=False) as near, client_of(server, authorized=False) as far:
        answers = [near.post(SESSION, json=WRONG) for _ in range(GUESSES + 1)]
        assert answers[-1].status_code == 429
        elsewhere = far.post(SESSION, json=WRONG, headers={"X-Forwarded-For": "203.0.113.5"})
        assert elsewhere.status_code == 401


def test_behind_nginx_a_service_that_is_down_is_said_to_come_back(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running_nginx(tmp_path / "nginx", path) as nginx, httpx.Client(base_url=nginx.url) as client:
        assert_problem(client.get("/livez"), 503, "unavailable")  # there is no socket
        with running_server(tmp_path, unix_socket=path, transcode_workers=0) as server:
            wait_until(lambda: client.get("/livez").status_code == 200, 5, "nginx finds it")
            server.kill()
        assert path.is_socket()
        assert_problem(client.get("/livez"), 503, "unavailable")  # there is nobody behind it
        with running_server(tmp_path, unix_socket=path, transcode_workers=0):
            wait_until(lambda: client.get("/livez").status_code == 200, 5, "nginx finds the next one")


def test_it_goes_with_the_service_and_comes_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running_server(tmp_path, unix_socket=path, transcode_workers=0):
        assert path.is_socket()
    assert not path.exists()
    with running_server(tmp_path, unix_socket=path, transcode_workers=0) as server:
        server.kill()
    assert path.is_socket()  # nobody was there to remove it
    with (
        running_server(tmp_path, unix_socket=path, transcode_workers=0) as server,
        client_of(server) as client,
    ):
        assert client.get("/livez").status_code == 200
    assert not path.exists()


def test_two_services_do_not_take_each_others_socket(server: Server, tmp_path: Path) -> None:
    environment = {
        "MEDIA_SERVICE_UNIX_SOCKET": str(path_of(server)),
        "MEDIA_SERVICE_DATA_DIR": str(tmp_path / "media"),
    }
    argv = [sys.executable, "-m", "media_service", "serve"]
    done = subprocess.run(
        argv, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr == f"Error: Cannot listen on {server.url}: another service listens there.\n"
    with client_of(server) as client:
        assert client.get("/livez").status_code == 200


def test_several_processes_share_it(tmp_path: Path, film: bytes) -> None:
    path = tmp_path / "socket"
    with running_server(tmp_path, unix_socket=path, workers=2, transcode_workers=0) as server:
        assert server.url == f"unix:{path}"
        with client_of(server) as client:
            asset = upload(client, film)
            await_state(client, asset["id"], "ready", "playable")
        address = f"/media/{asset['id']}/original.mp4"
        answers = []
        for _ in range(8):  # by a connection of its own each: whichever process takes it
            with client_of(server, authorized=False) as viewer:
                answers.append(viewer.get(address).raise_for_status().content)
                told = {"X-Forwarded-Proto": "https"}
                signed_in = viewer.post(SESSION, json={"token": server.token}, headers=told)
                assert signed_in.headers["set-cookie"].startswith("__Host-")
        assert len(answers[0]) > len(film) // 2
        assert answers == answers[:1] * len(answers)
    assert not path.exists()
