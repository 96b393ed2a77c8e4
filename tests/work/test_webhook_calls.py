"""Calls to real receivers, and what must never be called."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import certifi
import pytest
from httpcore import AsyncMockStream, AsyncNetworkBackend, AsyncNetworkStream, ConnectError

from media_service.errors import TargetRefused
from media_service.wire.webhook_targets import IPAddress, read_target
from media_service.work.webhook_calls import Caller, Outcome, Resolve
from tests.support.receiver import running_receiver

HEADERS = {"content-type": "application/json", "webhook-id": "msg_1"}
BODY = b'{"type": "asset.ready"}'
PUBLIC = ip_address("93.184.216.34")
HERE = ip_address("127.0.0.1")


class Line(AsyncMockStream):
    """A connection on which whatever is sent is answered with 204, and kept."""

    def __init__(self) -> None:
        super().__init__([b"HTTP/1.1 204 No Content\r\n\r\n"])
        self.sent = b""
        self.certified: str | None = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        self.sent += buffer

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> AsyncNetworkStream:
        assert ssl_context.check_hostname
        assert ssl_context.verify_mode == ssl.CERT_REQUIRED
        self.certified = server_hostname
        return self


class Network(AsyncNetworkBackend):
    """Takes note of connections instead of making them; those to addresses in `dead` are refused."""

    def __init__(self, *dead: str) -> None:
        self.connected: list[str] = []
        self.line = Line()
        self._dead = dead

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: object = None,
    ) -> AsyncNetworkStream:
        assert timeout is not None
        self.connected.append(f"{host} {port}")
        if host in self._dead:
            raise ConnectError("refused")
        return self.line


def answering(*answers: Sequence[IPAddress]) -> tuple[Resolve, list[str]]:
    """A name server that answers otherwise each time, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        asked.append(f"{host}:{port}")
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


async def call(url: str, **options: object) -> Outcome:
    known: dict[str, object] = {"private_targets": True, "call_seconds": 1.0, **options}
    async with Caller(**known) as caller:  # type: ignore[arg-type]  # what tests say of it, by name
        return await caller.call(read_target(url), HEADERS, BODY)


# --- what receivers do ----------------------------------------------------------------------------------------


async def test_a_receiver_gets_the_body_and_the_headers_under_its_own_name() -> None:
    with running_receiver() as receiver:
        outcome = await call(receiver.url("/hook?key=1", host="localhost"))
    assert outcome == Outcome(204, None)
    assert outcome.delivered
    [got] = receiver.got
    assert (got.path, got.body) == ("/hook?key=1", BODY)
    assert got.headers["host"] == f"localhost:{receiver.port}"
    assert got.headers["webhook-id"] == "msg_1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["content-length"] == str(len(BODY))


@pytest.mark.parametrize("status", [100, 199, 300, 304, 400, 404, 410, 429, 500, 503])
async def test_only_2xx_is_delivered(status: int) -> None:
    with running_receiver(lambda _: status) as receiver:
        outcome = await call(receiver.url())
    assert not outcome.delivered
    assert outcome.error


async def test_a_redirect_is_not_followed() -> None:
    with running_receiver() as aim, running_receiver(lambda _: (307, {"location": aim.url()})) as receiver:
        outcome = await call(receiver.url())
    assert outcome == Outcome(307, "The answer was 307.")
    assert not aim.got


async def test_cookies_are_not_kept_and_no_proxy_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_receiver() as proxy, running_receiver(lambda _: (200, {"set-cookie": "a=b"})) as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        async with Caller(private_targets=True) as caller:
            for _ in range(2):
                assert (await caller.call(read_target(receiver.url()), HEADERS, BODY)).delivered
    assert len(receiver.got) == 2
    assert not proxy.got
    assert "cookie" not in receiver.got[1].headers


async def test_one_that_hangs_is_left_after_its_time() -> None:
    with running_receiver(lambda _: None) as receiver:
        began = time.monotonic()
        outcome = await call(receiver.url(), call_seconds=0.3)
        assert time.monotonic() - began < 5
    assert outcome == Outcome(None, "There was no answer within 0.3 s.")


@asynccontextmanager
async def speaking(*pieces: bytes, pause: float = 0.0) -> AsyncIterator[str]:
    """A server that takes one connection and says `pieces` again and again, however it was asked; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while True:
                        for piece in pieces:
                            connection.sendall(piece)
                            time.sleep(pause)
                except OSError:
                    return

        served = asyncio.get_running_loop().run_in_executor(None, serve)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        await served  # the other end is closed by now


@pytest.mark.parametrize(
    ("pieces", "pause"),
    [
        ((b"H", b"T", b"T", b"P"), 0.05),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), 0.01),
        ((b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",), 0.0),
        ((b"A" * 65536,), 0.0),
        ((b"HTTP/1.1 204 No Content\r\n", *([b"x: " + b"y" * 60000 + b"\r\n"] * 100)), 0.0),
        ((b"\x16\x03\x01\x00\x05",), 0.0),
    ],
    ids=["drips", "continues", "hints", "chatters", "headers without end", "TLS"],
)
async def test_an_answer_that_never_ends_or_is_none_takes_no_more_than_its_time(
    pieces: tuple[bytes, ...], pause: float
) -> None:
    began = time.monotonic()
    async with speaking(*pieces, pause=pause) as url:
        outcome = await call(url)
    assert time.monotonic() - began < 5
    assert outcome.status is None
    assert outcome.error


async def test_of_an_answer_only_the_status_is_read() -> None:
    endless = (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n", b"x" * 65536)
    async with speaking(*endless) as url:
        # What follows the body is never asked for: the connection is closed.
        assert (await call(url)).status == 200


async def test_a_port_where_nobody_listens_is_an_outcome() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = await call(f"http://127.0.0.1:{port}/secret-path")
    assert outcome.status is None
    assert "could not be made" in str(outcome.error)
    assert "secret-path" not in str(outcome.error)


async def test_certificate_authorities_that_cannot_be_read_are_an_outcome_until_they_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running_receiver() as receiver, monkeypatch.context() as without:
        async with Caller(private_targets=True) as caller:
            without.setattr(certifi, "where", lambda: str(tmp_path / "none.pem"))
            outcome = await caller.call(read_target(receiver.url()), HEADERS, BODY)
            assert outcome.status is None
            assert (
                outcome.error == "The certificate authorities could not be read: No such file or directory."
            )
            without.undo()
            assert await caller.call(read_target(receiver.url()), HEADERS, BODY) == Outcome(204, None)


async def test_a_name_that_is_none_is_an_outcome() -> None:
    outcome = await call("http://no-such-name.invalid/", call_seconds=10.0)
    assert outcome.status is None
    assert outcome.error


# --- what must never be called --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1.",
        "2130706433.",
        "0x7f000001.",
        "169.254.169.254.",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::1]",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
    ],
)
async def test_no_spelling_of_a_private_address_is_called(host: str) -> None:
    network = Network()
    async with Caller(private_targets=False, network=network) as caller:
        target = read_target(f"http://{host}:9/")
        outcome = await caller.call(target, HEADERS, BODY)
        assert outcome.status is None
        assert outcome.error
        assert not network.connected
        if not host.lower().startswith("localhost"):
            with pytest.raises(TargetRefused):
                await caller.check(target)


async def test_what_is_refused_says_why() -> None:
    outcome = await call("http://169.254.169.254/latest/meta-data/", private_targets=False)
    assert outcome.error == "169.254.169.254 is link-local. WEBHOOK_PRIVATE_TARGETS would allow it."


async def test_names_and_public_addresses_pass_the_first_look_and_private_ones_where_they_are_allowed() -> (
    None
):
    async with Caller(private_targets=False, network=Network()) as caller:
        for host in ("example.com", "localhost", "8.8.8.8", "[2606:4700::1]"):
            await caller.check(read_target(f"http://{host}/"))
    async with Caller(private_targets=True, network=Network()) as caller:
        await caller.check(read_target("http://127.0.0.1/"))


async def test_a_name_that_is_private_the_second_time_was_asked_once_and_called_where_it_was_public() -> None:
    network, (resolve, questions) = Network(), answering([PUBLIC], [HERE])
    outcome = await call("https://example.com/x", private_targets=False, resolve=resolve, network=network)
    assert outcome.delivered
    assert questions == ["example.com:443"]
    assert network.connected == ["93.184.216.34 443"]
    assert network.line.certified == "example.com"
    assert network.line.sent.startswith(b"POST /x HTTP/1.1\r\nhost: example.com\r\n")


async def test_the_connection_goes_to_the_very_address_that_was_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_receiver() as first, running_receiver(host="127.0.0.2", port=first.port) as second:
        resolve, questions = answering([HERE], [ip_address("127.0.0.2")])
        answers = asyncio.get_running_loop().getaddrinfo

        async def lying(host: str, port: int, **options: int) -> object:
            """What anybody who asks again would be told."""
            return await answers("127.0.0.2" if host == "rebinds.example" else host, port, **options)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lying, raising=False)
        assert (await call(first.url(host="rebinds.example"), resolve=resolve)).delivered
    assert len(first.got) == 1
    assert len(questions) == 1
    assert not second.got


@pytest.mark.parametrize("addresses", [[PUBLIC, HERE], [HERE, PUBLIC], [ip_address("::ffff:93.184.216.34")]])
async def test_a_name_that_is_private_in_part_is_not_called_at_all(addresses: list[IPAddress]) -> None:
    network, (resolve, _) = Network(), answering(addresses)
    outcome = await call("https://example.com/", private_targets=False, resolve=resolve, network=network)
    assert outcome.status is None
    assert not network.connected


async def test_an_address_that_cannot_be_reached_leaves_the_next_its_turn() -> None:
    network = Network("2606:4700::1")
    resolve, questions = answering([ip_address("2606:4700::1"), PUBLIC])
    outcome = await call("https://example.com/", private_targets=False, resolve=resolve, network=network)
    assert outcome.delivered
    assert network.connected == ["2606:4700::1 443", "93.184.216.34 443"]
    assert len(questions) == 1


async def test_a_name_server_that_hangs_is_left_after_its_time() -> None:
    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        await asyncio.Event().wait()
        return []

    outcome = await call("https://example.com/", resolve=resolve, call_seconds=0.2, network=Network())
    assert outcome == Outcome(None, "There was no answer within 0.2 s.")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of hooks.example, which vouches for itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent")
    place = tmp_path_factory.mktemp("certificate")
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=hooks.example",
    ]
    argv += ["-addext", "subjectAltName=DNS:hooks.example", "-out", "cert.pem", "-keyout", "key.pem"]
    subprocess.run(argv, cwd=place, check=True, capture_output=True)
    return place / "cert.pem", place / "key.pem"


@pytest.mark.parametrize(
    ("host", "trusted", "delivered"),
    [
        ("hooks.example", True, True),
        ("hooks.example.", True, True),
        ("other.example", True, False),
        ("127.0.0.1", True, False),
        ("hooks.example", False, False),
    ],
)
async def test_over_https_the_certificate_must_be_trusted_and_the_names(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, delivered: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    resolve, _ = answering([HERE])
    with running_receiver(tls=context) as receiver:
        outcome = await call(receiver.url(host=host).replace("http:", "https:"), resolve=resolve)
    assert outcome.delivered == delivered, outcome
    assert len(receiver.got) == delivered
    if not delivered:
        assert "certificate" in str(outcome.error).lower()
