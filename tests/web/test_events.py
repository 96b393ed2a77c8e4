"""Event streams where no real client can be made to behave so; and what docs/events.md promises."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from media_service.errors import StorageFull
from media_service.store.event_log import KEPT_EVENTS
from media_service.web import events as module
from media_service.web.events import HEARTBEAT_SECONDS, RETRY_MS, STALLED_SECONDS, EventStream
from media_service.web.tellings import Tellings
from media_service.work.events import BACKLOG, Events
from media_service.work.logged_events import STATE_SECONDS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "events.md"


class Client:
    """The other side: `silent` after so many messages, and gone when told to."""

    def __init__(self, *, silent_after: int = 1000) -> None:
        self.text = b""
        self.ended = False
        self.gone = asyncio.Event()
        self.taken: asyncio.Queue[bytes] = asyncio.Queue()
        self._takes = silent_after

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if not self._takes:
            await asyncio.Event().wait()
        self._takes -= 1
        self.text += message.get("body", b"")
        self.taken.put_nowait(message.get("body", b""))
        self.ended = message["type"] == "http.response.body" and not message["more_body"]


def stream_to(client: Client, events: Events, told: Told | None = None) -> asyncio.Task[None]:
    stream = EventStream(cast("Any", None), events, cast("Tellings", told), asset_id=None, after=None)
    return asyncio.create_task(stream(cast("Any", {}), client.receive, client.send))


@pytest.fixture(autouse=True)
def _everybody_may(monkeypatch: pytest.MonkeyPatch) -> None:
    async def may(*_: object) -> bool:
        return True

    monkeypatch.setattr(module, "may_still", may)


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED_SECONDS", 0.05)
    events, client = Events(), Client(silent_after=2)  # takes the head and the beginning
    async with asyncio.timeout(5):
        streaming = stream_to(client, events)
        await client.taken.get()
        events.publish("note", "film")
        await streaming
    assert not client.ended
    assert not events._subscriptions


async def test_silence_is_broken_by_comments_and_departure_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    events, client = Events(), Client()
    async with asyncio.timeout(5):
        streaming = stream_to(client, events)
        for _ in range(5):  # the head, the beginning and three signs of life
            await client.taken.get()
        client.gone.set()
        await streaming
    assert not events._subscriptions
    assert client.text.startswith(b"retry: 2000\nid: 0\n\n: still here\n\n")


async def test_one_who_reads_too_slowly_gets_what_it_has_room_for_and_is_told_to_come_back() -> None:
    events, client = Events(backlog=2), Client()
    async with asyncio.timeout(5):
        streaming = stream_to(client, events)
        await client.taken.get()
        for _ in range(4):
            events.publish("note", "film")
        await streaming
    assert client.ended
    told = [line for line in client.text.split(b"\n") if line.startswith((b"id", b"event"))]
    assert told == [b"id: 0", b"id: 1", b"event: note", b"id: 2", b"event: note", b"event: reconnect"]


class Told:
    """Tellings of a catalog that `refuses`, or from which the film is gone."""

    def __init__(self, *, refuses: bool) -> None:
        self._refuses = refuses

    async def asset(self, *_: object) -> None:
        if self._refuses:
            raise StorageFull("no room")


async def test_who_cannot_be_told_a_state_is_told_to_come_back_for_it() -> None:
    events, client = Events(), Client()
    async with asyncio.timeout(5):
        streaming = stream_to(client, events, Told(refuses=True))
        await client.taken.get()
        events.publish("asset", "film")
        await streaming
    assert client.ended
    assert client.text.endswith(b"id: 0\n\nevent: reconnect\ndata: {}\n\n")


async def test_to_listeners_of_all_films_it_is_told_once_that_one_is_gone() -> None:
    events, client = Events(), Client()
    async with asyncio.timeout(5):
        streaming = stream_to(client, events, Told(refuses=False))
        await client.taken.get()
        events.publish("asset", "film")
        events.publish("deleted", "film")
        events.publish("asset", "film")
        events.publish("note", "film")
        while b"note" not in client.text:
            await client.taken.get()
        client.gone.set()
        await streaming
    assert client.text.count(b"deleted") == 1


def test_the_document_is_true() -> None:
    text = " ".join(DOCUMENT.read_text().split())
    assert f"newest {KEPT_EVENTS:,} events" in text
    assert f"Up to {BACKLOG} unread events" in text
    assert f"comes every {HEARTBEAT_SECONDS:.0f} seconds" in text
    assert f"retry: {RETRY_MS} " in text
    assert (STATE_SECONDS, "at most four times a second" in text) == (0.25, True)
    assert (STALLED_SECONDS, "nothing at all for a minute" in text) == (60, True)
