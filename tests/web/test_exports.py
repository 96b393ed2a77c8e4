"""An export that cannot be sent to its end: what is told, and when the connection is broken instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from litestar.types import Message, Scope

from media_service.errors import CatalogUnavailable, ShuttingDown, StorageFull, TooManyExports
from media_service.web import exports
from media_service.web.exports import Exports, ExportStream

SCOPE: Any = {"type": "http"}


async def stay() -> Any:
    """`receive` of a client that stays."""
    await asyncio.Event().wait()
    raise AssertionError


async def leave() -> Any:
    """`receive` of a client that has gone."""
    return {"type": "http.disconnect"}


class Sent:
    """What was sent: `send` of a client that reads, or takes nothing any more from the `stuck`-th message on."""

    def __init__(self, *, stuck: int | None = None) -> None:
        self.messages: list[Any] = []
        self.begun = asyncio.Event()
        self._stuck = stuck

    async def __call__(self, message: Message) -> None:
        if len(self.messages) == self._stuck:
            await asyncio.Event().wait()
        self.messages.append(message)
        self.begun.set()

    @property
    def whole(self) -> bool:
        return bool(self.messages) and not self.messages[-1].get("more_body", True)

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


class Text:
    """Pieces, and whether whoever made them was told to stop."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces
        self.closed = False

    async def __call__(self) -> AsyncGenerator[bytes]:
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed = True


async def send(text: Text, sent: Sent, *, under: Exports | None = None, receive: Any = stay) -> None:
    scope: Scope = SCOPE
    await ExportStream(under or Exports(60), [(b"x", b"y")], text())(scope, receive, sent)


async def test_all_pieces_are_sent_and_the_last_byte_after_them() -> None:
    text, sent = Text(b"a", b"b"), Sent()
    await send(text, sent)
    assert sent.messages[0] == {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}
    assert (sent.text, sent.whole, text.closed) == (b"ab", True, True)


async def test_an_error_before_the_first_byte_is_told() -> None:
    text, sent = Text(StorageFull("No room.")), Sent()
    with pytest.raises(StorageFull):
        await send(text, sent)
    assert not sent.messages


async def test_an_error_after_the_first_byte_breaks_the_connection() -> None:
    for error in (CatalogUnavailable("Gone."), TimeoutError()):
        text, sent = Text(b"a", error), Sent()
        await send(text, sent)
        assert (sent.text, sent.whole, text.closed) == (b"a", False, True)


async def test_a_mistake_of_ours_after_the_first_byte_is_not_hidden() -> None:
    text, sent = Text(b"a", ValueError("ours")), Sent()
    with pytest.raises(ValueError, match="ours"):
        await send(text, sent)
    assert not sent.whole


async def test_a_client_that_takes_nothing_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "STALLED_SECONDS", 0.01)
    text, sent = Text(b"a", b"b"), Sent(stuck=2)
    await send(text, sent)
    assert (sent.text, sent.whole, text.closed) == (b"a", False, True)


async def test_an_export_ends_when_its_time_is_up() -> None:
    text, sent = Text(*[b"a"] * 1_000_000), Sent()
    await send(text, sent, under=Exports(0.05))
    assert sent.text
    assert (sent.whole, text.closed) == (False, True)


async def test_an_export_whose_client_has_gone_ends() -> None:
    text, sent = Text(*[b"a"] * 1_000_000), Sent()
    await send(text, sent, receive=leave)
    assert len(sent.messages) < 1_000
    assert text.closed


async def test_exports_end_when_the_service_stops_and_no_other_begins() -> None:
    under, text, sent = Exports(60), Text(b"a", b"b"), Sent(stuck=2)
    going = asyncio.create_task(send(text, sent, under=under))
    await sent.begun.wait()
    under.stop()
    await going
    assert (sent.whole, text.closed) == (False, True)
    with pytest.raises(ShuttingDown):
        await send(Text(b"a"), Sent(), under=under)


async def test_the_service_may_stop_while_an_export_whose_time_is_up_waits_for_the_catalog() -> None:
    under, waits, lets_go = Exports(0.01), asyncio.Event(), asyncio.Event()

    async def held() -> AsyncGenerator[bytes]:
        try:
            await asyncio.Event().wait()
        finally:
            waits.set()
            await lets_go.wait()
        yield b""

    stream = ExportStream(under, [], held())
    going = asyncio.create_task(stream(SCOPE, stay, Sent()))
    await waits.wait()
    under.stop()
    under.stop()
    lets_go.set()
    with pytest.raises(CatalogUnavailable):
        await going


async def test_there_are_only_so_many_at_the_same_time() -> None:
    under = Exports(60)
    stuck = [
        asyncio.create_task(send(Text(b"a"), Sent(stuck=1), under=under)) for _ in range(exports.AT_ONCE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyExports):
        await send(Text(b"a"), Sent(), under=under)
    stuck[0].cancel()
    await asyncio.gather(stuck[0], return_exceptions=True)
    sent = Sent()
    await send(Text(b"a"), sent, under=under)
    assert sent.whole
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
