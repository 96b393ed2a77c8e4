"""A body on its way into a blob: what is told is durable, and the end, however it comes, leaves nothing half."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import (
    BeyondLength,
    ChecksumMismatch,
    MediaServiceError,
    StorageFull,
    UploadCut,
    UploadTakenOver,
)
from media_service.ingest import receiving
from media_service.ingest.digests import BodyDigests, FileDigest
from media_service.ingest.holding import Holding
from media_service.ingest.receiving import Receiving
from media_service.store import local_growing
from media_service.store.files import write_all
from media_service.store.keys import original_key
from media_service.store.local_growing import LocalGrowingBlob
from media_service.store.records import Upload
from tests.support.upload_servers import (
    OWNER,
    Body,
    ThreadGate,
    UploadServer,
    be_quick,
    gated_writes,
    opened_server,
    whole,
)

CUT = UploadCut("The line broke.")


class Reception:
    """One body being received; `outcome` is what `receive` gave."""

    def __init__(self, server: UploadServer, upload: Upload) -> None:
        self.server = server
        self.upload = upload
        self.body = Body()
        self.holding: Holding
        self.blob: LocalGrowingBlob
        self.receiving: Receiving
        self.ready = asyncio.Event()
        self.synced = asyncio.Event()

    async def run(self, *, checks: tuple[tuple[str, bytes], ...] = (), limit: int = 1000) -> int:
        async with await self.server.holds.take(self.upload.id, OWNER) as self.holding:
            self.holding.synced = self._synced  # type: ignore[method-assign] # to hear of it
            offset = self.holding.upload.offset
            async with await self.server.blobs.grow(original_key(self.upload.id), offset) as self.blob:
                self.receiving = Receiving(
                    self.holding,
                    self.blob,
                    self.server.digests.of(self.holding.upload),
                    checks=BodyDigests(checks),
                    check_error=ChecksumMismatch,
                    limit=limit,
                    beyond=BeyondLength("too much"),
                )
                self.ready.set()
                return await self.receiving.receive(self.body)

    def start(self, **options: Any) -> asyncio.Task[int]:
        return self.server.request(self.run(**options))

    def _synced(self, offset: int) -> None:
        Holding.synced(self.holding, offset)
        self.synced.set()

    async def left(self) -> tuple[int, bytes]:
        """The offset that is committed, and the bytes that are there."""
        assert await self.server.is_free(self.upload)
        return (await self.server.row(self.upload)).offset, self.server.content(self.upload)


@pytest.fixture
def reception(server: UploadServer, upload: Upload) -> Reception:
    return Reception(server, upload)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten bytes fill a piece."""
    monkeypatch.setattr(receiving, "PIECE_BYTES", 10)


def sha(data: bytes) -> tuple[tuple[str, bytes], ...]:
    return (("sha256", hashlib.sha256(data).digest()),)


class Broken:
    """Calls of `os` that fail from the time `error` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.error: OSError | None = None
        self.calls = 0
        real = getattr(owner, name)

        def call(*args: Any) -> Any:
            self.calls += 1
            if self.error is not None:
                raise self.error
            return real(*args)

        monkeypatch.setattr(owner, name, call)


# --- what is told is durable ----------------------------------------------------------------------------------


async def test_what_comes_is_committed_while_more_is_awaited_and_never_before_it_is_durable(
    reception: Reception, server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)
    durable, told = [0], [0]
    grown = asyncio.Event()
    sync, renew = LocalGrowingBlob.sync, server.catalog.renew_hold

    async def syncing(blob: LocalGrowingBlob) -> int:
        durable.append(await sync(blob))
        return durable[-1]

    async def renewing(*args: Any, offset: int, **kwargs: Any) -> bool:
        assert offset <= durable[-1]
        if offset > told[-1]:
            told.append(offset)
            grown.set()
        return await renew(*args, offset=offset, **kwargs)

    monkeypatch.setattr(LocalGrowingBlob, "sync", syncing)
    monkeypatch.setattr(server.catalog, "renew_hold", renewing)
    task = reception.start()
    for step in range(1, 5):
        await reception.body.send(b"seven b")
        async with asyncio.timeout(5):
            await grown.wait()
        grown.clear()
        assert told[-1] == durable[-1] == 7 * step
    reception.body.end()
    assert await task == 28
    assert await reception.left() == (28, b"seven b" * 4)


async def test_nothing_new_is_not_synced_again(reception: Reception, monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)
    syncs = Broken(monkeypatch, os, "fdatasync")
    task = reception.start()
    await reception.body.send(b"a")
    await reception.synced.wait()
    for _ in range(5):
        await asyncio.sleep(receiving.SYNC_SECONDS)  # turns in which nothing comes
    reception.body.end()
    await task
    assert syncs.calls == 1


@pytest.mark.parametrize("error", [CUT, OSError("the socket broke")])
async def test_what_came_before_the_line_broke_stays(reception: Reception, error: Exception) -> None:
    task = reception.start()
    await reception.body.send(b"abc", b"def")
    reception.body.end(error)
    with pytest.raises(type(error)):
        await task
    assert await reception.left() == (6, b"abcdef")
    assert reception.receiving.digest.position == 6


async def test_who_is_asked_to_leave_commits_what_came_and_takes_no_more(
    reception: Reception, small_pieces: None
) -> None:
    task = reception.start()
    await reception.body.send(b"abc", b"0123456789", b"def")
    reception.holding.ask()
    with pytest.raises(UploadTakenOver):
        await task
    assert await reception.left() == (16, b"abc0123456789def")


async def test_a_chunk_that_comes_behind_the_asking_is_not_taken(reception: Reception) -> None:
    """Who asked because no byte had come begins at the same offset: the two must not both lose."""
    task = reception.start()
    await reception.ready.wait()
    reception.body._queue.put_nowait(b"late")
    reception.holding.ask()
    with pytest.raises(UploadTakenOver):
        await task
    assert await reception.left() == (0, b"")
    assert reception.holding.received == 0


async def test_bytes_beyond_the_limit_are_an_error_and_those_before_stay(reception: Reception) -> None:
    reception.body = whole(b"abc", b"def", b"g")
    with pytest.raises(BeyondLength):
        await reception.run(limit=5)
    assert await reception.left() == (3, b"abc")


async def test_a_body_without_a_byte_changes_nothing(reception: Reception) -> None:
    reception.body = whole()
    assert await reception.run() == 0
    assert await reception.left() == (0, b"")


# --- cancellations --------------------------------------------------------------------------------------------


async def test_a_cancelled_request_keeps_what_came(reception: Reception) -> None:
    task = reception.start()
    await reception.body.send(b"abc")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reception.left() == (3, b"abc")


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancellation_within_a_write_waits_for_it(
    reception: Reception, small_pieces: None, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    gate = gated_writes(monkeypatch)
    task = reception.start()
    reception.body._queue.put_nowait(b"0123456789")
    await gate.reached.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reception.left() == (10, b"0123456789")


async def test_nothing_is_written_behind_a_piece_that_was_lost_in_a_cancellation(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room for a large piece may have some for the smaller one behind it."""
    be_quick(monkeypatch)
    task = reception.start()
    await reception.ready.wait()

    def full(fd: int, data: memoryview, at: int) -> None:
        if len(data) > 5:
            raise OSError(errno.ENOSPC, "no space left on device")
        write_all(fd, data, at)

    gate = gated_writes(monkeypatch, full)
    await reception.body.send(b"0123456789")
    await gate.reached.wait()  # written by the task that syncs, so that the body is read on
    await reception.body.send(b"abc")
    task.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await reception.left() == (0, b"")


async def test_a_sync_that_fails_in_a_cancellation_is_not_tried_again(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of lost pages once: the second sync would say that all is well."""
    be_quick(monkeypatch)
    failures = [OSError(errno.EIO, "input/output error")]
    real = os.fdatasync

    def sync(fd: int) -> None:
        if failures:
            raise failures.pop()
        real(fd)

    gate = ThreadGate(sync)
    monkeypatch.setattr(os, "fdatasync", gate)
    task = reception.start()
    await reception.body.send(b"abc")
    await gate.reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await reception.left())[0] == 0
    assert reception.receiving.digest.position == 0


# --- broken disks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_reader", [True, False])
async def test_a_full_disk_ends_the_body_and_keeps_what_was_written(
    reception: Reception, monkeypatch: pytest.MonkeyPatch, by_reader: bool
) -> None:
    if by_reader:
        monkeypatch.setattr(receiving, "PIECE_BYTES", 10)
    else:
        be_quick(monkeypatch)
    writes = Broken(monkeypatch, local_growing, "write_all")
    task = reception.start()
    await reception.body.send(b"0123456789")
    if not by_reader:
        await reception.synced.wait()
    writes.error = OSError(errno.ENOSPC, "no space left on device")
    reception.body._queue.put_nowait(b"abcdefghij")
    with pytest.raises(StorageFull):
        await task
    assert await reception.left() == (10, b"0123456789")
    assert reception.receiving.digest.position in {0, 10}


async def test_a_full_disk_at_the_very_end_is_told(
    reception: Reception, monkeypatch: pytest.MonkeyPatch
) -> None:
    Broken(monkeypatch, local_growing, "write_all").error = OSError(errno.ENOSPC, "no space left on device")
    reception.body = whole(b"abc")
    with pytest.raises(StorageFull):
        await reception.run()
    assert await reception.left() == (0, b"")
    assert reception.receiving.digest.position == 0


@pytest.mark.parametrize("at_the_end", [True, False])
async def test_a_sync_that_fails_never_moves_the_offset(
    reception: Reception, monkeypatch: pytest.MonkeyPatch, at_the_end: bool
) -> None:
    if not at_the_end:
        be_quick(monkeypatch)
    syncs = Broken(monkeypatch, os, "fdatasync")
    syncs.error = OSError(errno.EIO, "input/output error")
    task = reception.start()
    reception.body._queue.put_nowait(b"abc")
    if at_the_end:
        reception.body.end()
    with pytest.raises(OSError, match="input/output"):
        await task
    assert syncs.calls == 1
    assert (await reception.left())[0] == 0
    assert reception.receiving.digest.position == 0


# --- bodies with a checksum -----------------------------------------------------------------------------------


async def test_a_checked_body_that_is_right_stays(reception: Reception) -> None:
    reception.body = whole(b"abc", b"def")
    assert await reception.run(checks=sha(b"abcdef")) == 6
    assert await reception.left() == (6, b"abcdef")
    assert reception.receiving.digest.position == 6


@pytest.mark.parametrize("end", ["wrong", "cut", "asked", "cancelled", "full", "beyond", "unsynced"])
async def test_a_checked_body_that_is_not_whole_and_right_leaves_all_as_it_was(
    reception: Reception, small_pieces: None, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    be_quick(monkeypatch)
    await reception.server.append(reception.upload, 0, b"before")
    task = reception.start(checks=sha(b"0123456789abcd"), limit=30)
    await reception.body.send(b"0123456789", b"abc")
    expected: type[BaseException]
    match end:
        case "wrong":
            reception.body._queue.put_nowait(b"D")
            reception.body.end()
            expected = ChecksumMismatch
        case "cut":
            reception.body.end(CUT)
            expected = UploadCut
        case "asked":
            reception.holding.ask()
            expected = UploadTakenOver
        case "full":
            Broken(monkeypatch, local_growing, "write_all").error = OSError(errno.ENOSPC, "no space")
            reception.body._queue.put_nowait(b"d")
            reception.body.end()
            expected = StorageFull
        case "unsynced":
            Broken(monkeypatch, os, "fdatasync").error = OSError(errno.EIO, "input/output error")
            reception.body._queue.put_nowait(b"d")
            reception.body.end()
            expected = OSError
        case "beyond":
            reception.body._queue.put_nowait(b"d" * 20)
            expected = BeyondLength
        case _:
            task.cancel()
            expected = asyncio.CancelledError
    with pytest.raises(expected):
        await task
    offset, content = await reception.left()
    assert (offset, content[:6]) == (6, b"before")
    if end == "unsynced":  # the bytes lie there, and nobody is told
        assert reception.receiving.digest.position == 0
        return
    assert content == b"before"
    assert reception.receiving.digest.position == 6


async def test_a_checked_body_is_not_told_of_before_it_is_whole(
    reception: Reception, server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)
    renewed = asyncio.Event()
    renew = server.catalog.renew_hold

    async def renewing(*args: Any, offset: int, **kwargs: Any) -> bool:
        assert offset == 0
        try:
            return await renew(*args, offset=offset, **kwargs)
        finally:
            renewed.set()

    monkeypatch.setattr(server.catalog, "renew_hold", renewing)
    task = reception.start(checks=sha(b"abc"))
    await reception.body.send(b"abc")
    for _ in range(3):
        await renewed.wait()
        renewed.clear()
    reception.body.end()
    assert await task == 3


# --- leases ---------------------------------------------------------------------------------------------------


async def test_who_lost_the_lease_writes_and_commits_no_more(reception: Reception, tmp_path: Path) -> None:
    task = reception.start()
    await reception.body.send(b"abc")
    async with opened_server(tmp_path) as other:
        holder = (await other.row(reception.upload)).holder
        assert holder is not None
        await other.catalog.release_upload(reception.upload.id, holder)  # as the other one's taking does
        await other.append(reception.upload, 0, b"ABCDEF")
        reception.holding._ended = True  # what the next renewal finds out
        reception.holding.ask()
        with pytest.raises(UploadTakenOver):
            await task
        assert await reception.left() == (6, b"ABCDEF")


async def test_who_is_overtaken_in_the_very_store_is_told_so(reception: Reception) -> None:
    task = reception.start()
    await reception.body.send(b"abc")
    async with await reception.server.blobs.grow(original_key(reception.upload.id), 0):
        reception.body.end()
        with pytest.raises(UploadTakenOver):
            await task
    assert await reception.left() == (0, b"")


async def test_the_digest_of_the_file_goes_on_over_bodies(reception: Reception) -> None:
    for offset, data in ((0, b"abc"), (3, b"defg")):
        reception.body = whole(data)
        assert await reception.run() == offset + len(data)
        reception.server.digests.keep(reception.upload.id, reception.receiving.digest)
        reception.upload = await reception.server.row(reception.upload)
    digest: FileDigest = reception.receiving.digest
    assert await digest.catch_up(-1, 7) == hashlib.sha256(b"abcdefg").hexdigest()


async def test_an_error_of_the_check_is_one_that_clients_know(reception: Reception) -> None:
    reception.body = whole(b"abc")
    with pytest.raises(MediaServiceError, match="sha256") as caught:
        await reception.run(checks=sha(b"abd"))
    assert caught.value.status == 460
