"""How bodies leave: in pieces, from few open blobs, and only as long as somebody is there."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import NotFound
from media_service.store.local_blobs import LocalBlobReader, LocalBlobs
from media_service.web.open_blobs import OPEN_BLOBS
from media_service.web.send import FILE_BYTES, PIECE_BYTES, ZERO_COPY, DeliveryResponse, while_there
from media_service.wire.delivery import plan
from media_service.wire.representation import BlobExtent, Extent, MemoryExtent, Representation


class Client:
    """The other side of an ASGI application: what it was sent, and when it goes."""

    def __init__(self, *, leaves_after: int | None = None, takes_files: bool = False) -> None:
        self.messages: list[dict[str, Any]] = []
        self.takes_files = takes_files
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
        if message["type"] == ZERO_COPY:
            assert self.takes_files
            if self.gone.is_set():
                raise ConnectionResetError
            message["body"] = os.pread(message["file"], message["count"], message["offset"])
        self.messages.append(message)
        if self._leaves_after is not None and len(self.messages) > self._leaves_after:
            self.gone.set()

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """The messages that carry the body: from a file or from memory, and how much."""
        sent = [message for message in self.messages if "body" in message]
        return [("file" if "file" in message else "memory", len(message["body"])) for message in sent]

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
    scope: Any = {"extensions": {ZERO_COPY: {}} if client.takes_files else {}}
    await DeliveryResponse(delivery, blobs.open)(scope, client.receive, client.send)
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
    assert blobs.most <= OPEN_BLOBS
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


async def test_files_leave_by_themselves_and_what_is_small_leaves_together(blobs: CountedBlobs) -> None:
    film = bytes(range(251)) * 4000
    await store(blobs, "a/film", film)
    long = BlobExtent("a/film", 5, 5 + 2 * PIECE_BYTES)
    small = [BlobExtent("a/film", start, start + 100) for start in range(0, 1000, 200)]
    client = await sent(
        blobs, MemoryExtent(b"head"), *small, long, *small, long, client=Client(takes_files=True)
    )
    few = b"".join(film[one.start : one.stop] for one in small)
    assert client.body == b"head" + few + film[long.start : long.stop] + few + film[long.start : long.stop]
    assert client.kinds == [("memory", 504), ("file", long.size), ("memory", 500), ("file", long.size)]
    assert [message["more_body"] for message in client.messages[1:]] == [True, True, True, False]
    assert all(one._closed for one in blobs.open_now)


async def test_a_file_of_which_little_is_wanted_is_read(blobs: CountedBlobs) -> None:
    film = await store(blobs, "a/film", bytes(FILE_BYTES))
    for size, kind in ((FILE_BYTES, "file"), (FILE_BYTES - 1, "memory")):
        client = await sent(blobs, BlobExtent(film.blob, 0, size), client=Client(takes_files=True))
        assert client.kinds == [(kind, size)]


async def test_a_client_that_goes_amid_a_file_is_no_error_and_nothing_stays_open(blobs: CountedBlobs) -> None:
    film = await store(blobs, "a/film", bytes(20 * PIECE_BYTES))
    client = Client(takes_files=True)
    client.gone.set()
    await sent(blobs, film, film, client=client)
    assert client.kinds == []
    assert all(one._closed for one in blobs.open_now)


class Unfiled(LocalBlobs):
    """Blobs that lie in no file, as in an object store: each reading waits."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_bytes = 0

    async def open(self, key: str) -> LocalBlobReader:
        store, reader = self, await super().open(key)

        class Reader(LocalBlobReader):
            file = None

            async def read(self, start: int, stop: int) -> memoryview:
                await asyncio.sleep(0)
                store.read_bytes += stop - start
                return await reader.read(start, stop)

            async def __aexit__(self, *_: object) -> None:
                await reader.__aexit__(None, None, None)

        return Reader(key, reader.fd, reader.size, store._readers, sendable=False)


async def test_what_lies_in_no_file_is_read_one_piece_ahead_of_the_client(tmp_path: Path) -> None:
    blobs = Unfiled(tmp_path)
    film = await store(blobs, "a/film", bytes(range(256)) * (20 * PIECE_BYTES // 256))

    class Slow(Client):
        async def send(self, message: Any) -> None:
            # As uvicorn does: what was sent before must have gone first.
            await asyncio.sleep(0)
            assert blobs.read_bytes <= len(self.body) + PIECE_BYTES
            await super().send(message)

    client = await sent(blobs, film, client=Slow(takes_files=True))
    assert client.body == bytes(range(256)) * (film.size // 256)
    blobs.read_bytes = 0
    left = await sent(blobs, film, client=Slow(leaves_after=3))
    assert len(left.body) < 5 * PIECE_BYTES


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
