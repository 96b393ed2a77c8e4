"""What an application's messages become on the wire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from media_service.server.cycle import HELD_BYTES, Continued
from tests.server.messages import Message, Played, PlayedAtOnce, memory, piece, start
from tests.support.raw_http import RawConnection
from tests.support.served_app import LOOPS, served


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """Of both event loops each."""
    name: str = request.param
    return name


@pytest.mark.parametrize("kind", [Played, PlayedAtOnce])
def test_memory_and_files_alternate_in_one_response(
    loop: str, kind: type[Played], content: bytes, film: int
) -> None:
    wanted: list[bytes] = []
    messages: list[Message] = []
    for number, (offset, count) in enumerate([(0, 10), (5 << 20, 3 << 20), (7, 100_000), (1 << 20, 8 << 20)]):
        header = b"header %d" % number * (1 if number % 2 else 20_000)  # some of them are held, some are not
        messages += [memory(header), piece(film, offset, count), piece(film, 3, 0)]
        wanted += [header, content[offset : offset + count]]
    whole = b"".join(wanted)
    app = kind(mixed=[start(len(whole)), *messages, memory(b"", more=False)], after=_small(b"after"))
    with served(app, loop) as server, RawConnection(server.port) as client:
        for _ in range(3):
            client.request("GET", "/mixed")
            assert client.head().headers["content-length"] == str(len(whole))
            assert client.body(len(whole)) == whole
        client.request("GET", "/after")
        client.head()
        assert client.body(5) == b"after"
    assert not app.raised


def test_the_head_leaves_in_one_segment_with_what_follows(loop: str, content: bytes, film: int) -> None:
    app = Played(
        file=[start(1000), piece(film, 0, 1000, more=False)],
        both=[start(1005), memory(b"12345"), piece(film, 0, 1000, more=False)],
        memory=_small(b"x" * 1000),
    )
    with served(app, loop) as server, server.connect() as client:
        for path, body in (
            ("file", content[:1000]),
            ("both", b"12345" + content[:1000]),
            ("memory", b"x" * 1000),
        ):
            client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
            assert client.recv(1 << 16).partition(b"\r\n\r\n")[2] == body


def test_a_small_piece_does_not_wait_for_the_next_one(loop: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(10))
        await send(memory(b"first"))
        assert (await receive())["type"] == "http.request"
        await receive()  # ends when the client has gone

    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/")
        client.head()
        assert client.body(5) == b"first"


def test_a_body_of_unknown_length_is_chunked_and_never_a_file(
    loop: str, film: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = Played(
        chunked=[start(), memory(b"one"), memory(b""), memory(b"two!"), memory(b"", more=False)],
        file=[start(), piece(film, 0, 10, more=False)],
    )
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/chunked")
        assert client.head().headers["transfer-encoding"] == "chunked"
        assert client.until(b"0\r\n\r\n") == b"3\r\none\r\n4\r\ntwo!\r\n0\r\n\r\n"
        client.request("GET", "/file")
        client.head()
        assert client.rest() == b""
    assert app.raised == ["RuntimeError: A zero-copy response has a Content-Length"]


def test_head_has_the_lengths_and_no_body(loop: str, film: int) -> None:
    app = Played(
        file=[start(1000), memory(b"1234"), piece(film, 0, 996, more=False)],
        empty=[start(1000), memory(b"", more=False)],
        not_modified=[start(status=304), memory(b"", more=False)],
    )
    with served(app, loop) as server, RawConnection(server.port) as client:
        for method, path in (
            ("HEAD", "/file"),
            ("HEAD", "/empty"),
            ("GET", "/not_modified"),
            ("HEAD", "/empty"),
        ):
            client.request(method, path)
            assert client.head().headers.get("content-length") == (None if "not" in path else "1000")
        assert client.pending == b""
    assert not app.raised


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([start(5), memory(b"123456", more=False)], "longer than"),
        ([start(5), memory(b"123", more=False)], "shorter than"),
        ([start(5), "123456"], "longer than"),
        ([start(5), "1234."], "shorter than"),
        ([start(5), start(5)], "Expected ASGI message 'http.response.body'"),
    ],
)
def test_a_response_that_is_not_as_long_as_announced_is_cut(
    loop: str, messages: list[Any], said: str, film: int
) -> None:
    known = [
        piece(film, 0, len(one.rstrip(".")), more=not one.endswith(".")) if isinstance(one, str) else one
        for one in messages
    ]
    app = Played(wrong=known)
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/wrong")
        assert len(client.rest().partition(b"\r\n\r\n")[2]) < 5
    assert said in app.raised[0]


@pytest.mark.parametrize("first", ["memory", "file"])
def test_before_its_start_a_response_sends_nothing(loop: str, first: str, film: int) -> None:
    app = Played(wrong=[memory(b"x") if first == "memory" else piece(film, 0, 1)])
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/wrong")
        assert client.head().status == 500
    assert "Expected ASGI message 'http.response.start'" in app.raised[0]


def test_after_its_end_a_response_sends_nothing(loop: str, film: int) -> None:
    app = Played(wrong=[*_small(b"whole"), piece(film, 0, 10)])
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/wrong")
        client.head()
        assert client.rest() == b"whole"
    assert "after response already completed" in app.raised[0]


@pytest.mark.parametrize(
    ("messages", "status"), [([], 500), ([start(5)], 200), ([start(5), memory(b"123")], 200)]
)
def test_an_application_that_leaves_early_is_told_in_the_log(
    loop: str, messages: list[Message], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Played(early=messages), loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/early")
        assert client.head().status == status
        client.rest()
    assert "ASGI callable returned without" in caplog.text


def test_prepared_lines_stand_in_the_head(loop: str) -> None:
    app = Played(prepared=[start(2, prepared=b"x-one: 1\r\nx-two: 2\r\n"), memory(b"ok", more=False)])
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/prepared")
        headers = client.head().headers
        assert (headers["x-one"], headers["x-two"], headers["content-length"]) == ("1", "2", "2")
        assert client.body(2) == b"ok"


def test_a_large_piece_behind_a_held_one_is_in_order(loop: str) -> None:
    large = bytes(HELD_BYTES + 1)
    app = Played(both=[start(5 + len(large)), memory(b"small"), memory(large, more=False)])
    with served(app, loop) as server, RawConnection(server.port) as client:
        client.request("GET", "/both")
        client.head()
        assert client.body(5 + len(large)) == b"small" + large


async def test_a_coroutine_goes_on_in_a_task() -> None:
    seen: list[Any] = []
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def story() -> None:
        seen.append(asyncio.current_task())
        seen.append(await ready)
        await asyncio.sleep(0)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    begun: Coroutine[Any, Any, None] = story()
    here = asyncio.current_task()
    task = asyncio.create_task(Continued(begun, begun.send(None)))
    await asyncio.sleep(0)
    ready.set_result("told")
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [here, "told", "cancelled"]


def test_a_task_that_is_cancelled_before_its_first_step_cancels_the_coroutine(loop: str) -> None:
    seen: list[str] = []

    async def story() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except BaseException as error:
            seen.append(type(error).__name__)
            raise
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    async def cancelled() -> None:
        begun = story()
        task = asyncio.create_task(Continued(begun, begun.send(None)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(cancelled())
    assert seen == ["CancelledError", "closed"]


async def test_what_a_coroutine_raises_is_what_its_task_raises() -> None:
    async def story() -> None:
        await asyncio.sleep(0)
        raise ValueError("said")

    begun = story()
    with pytest.raises(ValueError, match="said"):
        await asyncio.create_task(Continued(begun, begun.send(None)))


def _small(body: bytes) -> list[Message]:
    return [start(len(body)), memory(body, more=False)]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Expected errors are looked at, not printed."""
    caplog.set_level(logging.ERROR)
