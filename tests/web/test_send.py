"""How bodies leave: in pieces, from few open blobs, and only as long as somebody is there."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import NotFound
from media_service.store.local_blobs import LocalBlobReader, LocalBlobs
from media_service.web import send as module
from media_service.web.send import PIECE_BYTES, DeliveryResponse, while_there
from media_service.wire.delivery import plan
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent, Representation


class Client:
    """The other side of an ASGI application: what it was sent, and when it goes."""

    def __init__(self, *, leaves_after: int | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._leaves_after = leaves_after
        self._asked: deque[dict[str, Any]] = deque(
            [{"type": "http.request", "body": b"", "more_body": False}]
        )

    async def receive(self) -> Any:
        if self._asked:
            return self._asked.popleft()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if self._leaves_after is not None and len(self.messages) > self._leaves_after:
            self.gone.set()

    @property
    def pieces(self) -> list[bytes]:
        return [bytes(message["body"]) for message in self.messages if "body" in message]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


class CountedBlobs(LocalBlobs):
    """Knows how many blobs are open at once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.open_now: set[LocalBlobReader] = set()
        self.most = 0

    async def open(self, key: str) -> LocalBlobReader:
        reader = await super().open(key)
        self.open_now = {one for one in self.open_now if not one._closed} | {reader}
        self.most = max(self.most, len(self.open_now))
        return reader


@pytest.fixture
def blobs(tmp_path: Path) -> CountedBlobs:
    return CountedBlobs(tmp_path)


async def store(blobs: LocalBlobs, key: str, data: bytes) -> BlobExtent:
    async with await blobs.create(key) as writer:
        await writer.write(data)
        await writer.seal()
    return BlobExtent(key, 0, len(data))


async def sent(blobs: LocalBlobs, *extents: Extent, client: Client | None = None) -> Client:
    client = client or Client()
    delivery = plan("GET", [], Representation(extents, "video/mp4", "tag"))
    await DeliveryResponse(delivery, blobs)({}, client.receive, client.send)  # type: ignore[arg-type]
    return client


async def test_a_hundred_places_of_a_film_leave_as_one_piece(blobs: CountedBlobs) -> None:
    data = bytes(range(256)) * 40
    await store(blobs, "a/film", data)
    spans = [BlobExtent("a/film", start, start + 50) for start in range(0, 10_000, 100)]
    client = await sent(blobs, MemoryExtent(b"head"), *spans)
    assert client.body == b"head" + b"".join(data[span.start : span.stop] for span in spans)
    assert len([piece for piece in client.pieces if piece]) == 1


async def test_no_piece_is_larger_than_a_piece(blobs: CountedBlobs) -> None:
    film = await store(blobs, "a/film", bytes(range(251)) * 4000)
    client = await sent(blobs, MemoryExtent(b"x" * 1000), film, MemoryExtent(b"y" * (PIECE_BYTES + 1)))
    assert max(map(len, client.pieces)) == PIECE_BYTES
    assert len(client.body) == film.size + 1000 + PIECE_BYTES + 1
    assert client.body.endswith(b"y" * (PIECE_BYTES + 1))


async def test_a_file_of_a_thousand_blobs_has_few_of_them_open(blobs: CountedBlobs) -> None:
    film = await store(blobs, "a/film", b"sound")
    segments = [await store(blobs, f"a/{number}", b"picture %d" % number) for number in range(60)]
    mixed = [extent for segment in segments for extent in (segment, film)]
    client = await sent(blobs, *mixed)
    assert client.body == b"".join(b"picture %dsound" % number for number in range(60))
    assert blobs.most <= module.OPEN_BLOBS
    assert all(one._closed for one in blobs.open_now)


async def test_a_missing_blob_is_said_before_the_first_byte(blobs: CountedBlobs) -> None:
    film = await store(blobs, "a/film", b"there")
    client = Client()
    with pytest.raises(NotFound):
        await sent(blobs, film, BlobExtent("a/absent", 0, 5), client=client)
    assert client.messages == []
    assert all(one._closed for one in blobs.open_now)


async def test_nothing_more_is_read_when_the_client_has_gone(blobs: CountedBlobs) -> None:
    film = await store(blobs, "a/film", bytes(20 * PIECE_BYTES))
    client = await sent(blobs, film, client=Client(leaves_after=3))
    assert len(client.messages) <= 5
    assert client.messages[-1]["more_body"]


async def waits(begun: asyncio.Event, ended: asyncio.Event) -> str:
    begun.set()
    try:
        await asyncio.sleep(3600)
    finally:
        ended.set()
    return "made"


async def test_what_nobody_waits_for_any_more_is_cancelled() -> None:
    client, begun, ended = Client(), asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(while_there(client.receive, waits(begun, ended)))
        await begun.wait()
        assert not ended.is_set()
        client.gone.set()
    assert waiting.result() is None
    assert ended.is_set()


async def test_what_is_made_in_time_is_given_and_what_fails_is_raised() -> None:
    async def made() -> str:
        return "made"

    async def failed() -> str:
        raise NotFound("nothing")

    assert await while_there(Client().receive, made()) == "made"
    with pytest.raises(NotFound):
        await while_there(Client().receive, failed())


async def test_a_service_that_stops_ends_the_wait() -> None:
    client, begun, ended = Client(), asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(while_there(client.receive, waits(begun, ended)))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
