"""Servers of resumable uploads without HTTP: bodies that tests drive chunk by chunk, a clock, kills, a broken disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import pytest

from media_service.errors import CatalogUnavailable
from media_service.ingest import holding, holds, receiving
from media_service.ingest.finishing import Digests, Finisher
from media_service.ingest.holding import Holding
from media_service.ingest.holds import Holds
from media_service.ingest.pipeline import Admission, Arrived, Label
from media_service.ingest.uploads import Uploads
from media_service.store import instants, local_growing
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.files import write_all
from media_service.store.instants import now_ms
from media_service.store.keys import original_key
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset, Upload
from media_service.wire.upload_requests import Append, Creation

OWNER = "admin"
MIB = 1 << 20
T = TypeVar("T")


class Body:
    """A request's body: what the test sends, when it sends it."""

    def __init__(self, *chunks: bytes) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self._given = False
        self.awaited = asyncio.Event()  # somebody reads
        for chunk in chunks:
            self._queue.put_nowait(chunk)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self.awaited.set()
        if self._given:
            self._queue.task_done()
            self._given = False
        item = await self._queue.get()
        self._given = True
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item

    async def send(self, *chunks: bytes) -> None:
        """Until whoever reads has dealt with them, and asks for more."""
        for chunk in chunks:
            self._queue.put_nowait(chunk)
        await self._queue.join()

    def end(self, error: Exception | None = None) -> None:
        """That was all; with `error`, the line broke."""
        self._queue.put_nowait(error)


def whole(*chunks: bytes) -> Body:
    """A body that is all there."""
    body = Body(*chunks)
    body.end()
    return body


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Holds calls up, in the event loop: `reached` tells that there is one, `open` lets it and all others pass."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self) -> None:
        self.reached.set()
        await self._open.wait()


class ThreadGate:
    """The same for calls in threads, which then do `act`."""

    def __init__(self, act: Callable[..., Any]) -> None:
        self.reached = asyncio.Event()
        self._act = act
        self._open = threading.Event()
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        self._open.set()

    def __call__(self, *args: Any) -> Any:
        self._loop.call_soon_threadsafe(self.reached.set)
        assert self._open.wait(10)
        return self._act(*args)


class Taker:
    """Stands for `Admission` where it does not matter what is in a film. `admitted` has the files that became assets.

    `gate` is passed before the asset is made, `behind` after it; `error` is raised in between, and no asset is made.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.admitted: dict[str, bytes] = {}
        self.labels: list[Label] = []
        self.gate: Gate | None = None
        self.behind: Gate | None = None
        self.error: Exception | None = None

    async def admit(self, arrived: Arrived, label: Label) -> Asset:
        """See `Admission.admit`."""
        await arrived.finish()
        self.labels.append(label)
        if self.gate is not None:
            await self.gate()
        if self.error is not None:
            raise self.error
        content = Path(f"/proc/self/fd/{arrived.fd}").read_bytes()[: arrived.size]  # noqa: ASYNC240 - small
        assert sha256(content).hexdigest() == arrived.sha256
        await arrived.keep()
        asset = Asset(
            id=arrived.asset_id,
            title="a film",
            filename="film.mp4",
            extension="mp4",
            media_type="video/mp4",
            size=arrived.size,
            sha256=arrived.sha256,
            state="probing",
            created_at=now_ms(),
            updated_at=now_ms(),
        )
        known = await self.catalog.add_asset(asset, owner=label.owner, idempotency_key=label.idempotency_key)
        if known.id == asset.id:
            self.admitted[asset.id] = content
        if self.behind is not None:
            await self.behind()
        return known


class UploadServer:
    """One server: a catalog, a store, uploads that nobody sweeps but the test. Its requests are tasks in `requests`."""

    def __init__(
        self,
        catalog: Catalog,
        root: Path,
        *,
        admission: Admission | None = None,
        max_bytes: int = 64 * MIB,
        max_open: int = 100,
        max_reserved_bytes: int = 1 << 30,
        expires_seconds: int = 3600,
    ) -> None:
        self.catalog = catalog
        self.root = root
        self.blobs = LocalBlobs(root, margin_bytes=0)
        self.taker = Taker(catalog)
        self.uploads = Uploads(
            catalog=catalog,
            blobs=self.blobs,
            admission=admission or cast("Admission", self.taker),
            max_bytes=max_bytes,
            max_open=max_open,
            max_reserved_bytes=max_reserved_bytes,
            expires_seconds=expires_seconds,
        )
        self.requests: list[asyncio.Task[Any]] = []

    @property
    def holds(self) -> Holds:
        return self.uploads._holds

    @property
    def digests(self) -> Digests:
        return self.uploads._digests

    @property
    def finisher(self) -> Finisher:
        return self.uploads._finisher

    def request(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.requests.append(task)
        return task

    async def begin(
        self, length: int | None = None, *, owner: str = OWNER, key: str | None = None, **wish: Any
    ) -> Upload:
        """A new upload without content."""
        creation = Creation(**{"dialect": "tus", "length": length, "deferred": length is None, **wish})
        return await self.uploads.create(owner, creation, whole(), idempotency_key=key)

    async def create(self, body: Body, *, key: str | None = None, **wish: Any) -> Upload:
        """A new upload with content."""
        creation = Creation(**{"dialect": "tus", "has_content": True, **wish})
        return await self.uploads.create(OWNER, creation, body, idempotency_key=key)

    async def append(
        self, upload: Upload, offset: int, body: Body | bytes, *, owner: str = OWNER, **wish: Any
    ) -> Upload:
        """Append; bytes have a Content-Length."""
        if isinstance(body, bytes):
            wish = {"content_length": len(body), **wish}
            body = whole(body)
        append = Append(**{"dialect": upload.dialect, "offset": offset, **wish})
        return await self.uploads.append(upload.id, owner, append, body)

    def appending(self, upload: Upload, offset: int, body: Body, **wish: Any) -> asyncio.Task[Upload]:
        return self.request(self.append(upload, offset, body, **wish))

    async def row(self, upload: Upload) -> Upload:
        """What the catalog says of it."""
        return await self.catalog.upload(upload.id, None)

    async def is_free(self, upload: Upload) -> bool:
        """Nobody holds it, here or anywhere."""
        return self.holding(upload) is None and (await self.row(upload)).holder is None

    def holding(self, upload: Upload) -> Holding | None:
        """Who writes to it in this very server."""
        return self.holds._here.get(upload.id)

    def content(self, upload: Upload) -> bytes:
        """The bytes that its blob has."""
        return (self.root / original_key(upload.id)).read_bytes()

    async def sweep(self) -> None:
        await self.uploads._sweeper.sweep()

    async def kill(self) -> None:
        """End as `kill -9` would: nothing more reaches the catalog, and whoever held something holds it on."""
        self.catalog._write = self._dead  # type: ignore[assignment] # of this server alone
        for task in self.requests:
            task.cancel()
        await asyncio.gather(*self.requests, return_exceptions=True)
        await self.finisher.end()

    async def _dead(self, _: object) -> None:
        raise CatalogUnavailable("This server was killed.")


@asynccontextmanager
async def opened_server(directory: Path, **options: Any) -> AsyncIterator[UploadServer]:
    """A server with its data in `directory`, which others may share."""
    async with open_catalog(sqlite_url(directory / "catalog.sqlite3")) as catalog:
        server = UploadServer(catalog, directory / "blobs", **options)
        yield server
        await server.finisher.end()


def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What leases and expiries go by from now on."""
    clock = Clock()
    monkeypatch.setattr(instants, "time", clock)
    return clock


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens each second happens each few milliseconds."""
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.005)
    monkeypatch.setattr(holds, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(receiving, "SYNC_SECONDS", 0.005)


def gated(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Gate:
    """A gate in front of the coroutine method `name` of `owner`."""
    gate, method = Gate(), getattr(owner, name)

    async def call(*args: Any, **kwargs: Any) -> Any:
        await gate()
        return await method(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)
    return gate


def gated_writes(monkeypatch: pytest.MonkeyPatch, act: Callable[..., Any] = write_all) -> ThreadGate:
    """A gate in front of every write to a blob that grows, which `act` then makes."""
    gate = ThreadGate(act)
    monkeypatch.setattr(local_growing, "write_all", gate)
    return gate


class Renewals:
    """The renewals of a server: counted, and broken on demand."""

    def __init__(self, server: UploadServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.tried = 0
        self._renew = server.catalog.renew_hold
        self._turn = asyncio.Event()
        monkeypatch.setattr(server.catalog, "renew_hold", self)

    async def __call__(self, *args: Any, **kwargs: Any) -> bool:
        self.tried += 1
        try:
            if self.error is not None:
                raise self.error
            return await self._renew(*args, **kwargs)
        finally:
            self._turn.set()

    async def more(self, count: int = 2) -> None:
        """Until there have been so many more."""
        async with asyncio.timeout(5):
            for _ in range(count):
                self._turn.clear()
                await self._turn.wait()


async def take(server: UploadServer, upload: Upload, *, at: int | None = None) -> Holding:
    """The right to write, for the client that the tests play."""
    return await server.holds.take(upload.id, OWNER, at=at)
