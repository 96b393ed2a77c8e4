"""A right to write while somebody has it: kept by a lease, given back however the holder ends, lost without harm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from media_service.errors import (
    CatalogUnavailable,
    ShuttingDown,
    StorageFull,
    UploadTakenOver,
)
from media_service.ingest.holding import LEASE_SECONDS
from media_service.store.disk import to_its_end
from media_service.store.records import Upload
from tests.support.upload_servers import (
    Body,
    Clock,
    Gate,
    Renewals,
    UploadServer,
    be_quick,
    gated,
    take,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


async def test_who_leaves_gives_the_right_back(server: UploadServer, upload: Upload) -> None:
    async with await take(server, upload) as holding:
        assert server.holding(upload) is holding
        assert (await server.row(upload)).holder is not None
    assert await server.is_free(upload)
    assert holding.gone.is_set()


async def test_the_first_reason_to_leave_counts(server: UploadServer, upload: Upload) -> None:
    async with await take(server, upload) as holding:
        server.holds.stop()
        holding.ask()
        assert isinstance(holding.leave, ShuttingDown)


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_who_is_cancelled_while_leaving_leaves_all_the_same(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    gate = gated(monkeypatch, server.catalog, "release_upload")

    async def hold() -> None:
        async with await take(server, upload) as holding:
            holding.synced(5)

    request = server.request(hold())
    await gate.reached.wait()
    for _ in range(times):
        request.cancel()
        await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await server.is_free(upload)
    assert (await server.row(upload)).offset == 5


async def test_who_is_cancelled_while_the_last_renewal_ends_leaves_all_the_same(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, leave = Gate(), asyncio.Event()

    async def renewing(*_: Any, **__: Any) -> bool:
        await to_its_end(gate())  # as every change of the catalog goes
        return False

    monkeypatch.setattr(server.catalog, "renew_hold", renewing)

    async def hold() -> None:
        async with await take(server, upload):
            await leave.wait()

    request = server.request(hold())
    await gate.reached.wait()
    leave.set()
    for _ in range(3):
        await asyncio.sleep(0)
        request.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await server.is_free(upload)


async def test_a_living_holder_keeps_its_lease_for_as_long_as_it_likes(
    server: UploadServer, other: UploadServer, upload: Upload, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(server, monkeypatch)
    async with await take(server, upload) as holding:
        for _ in range(3):
            clock.now += LEASE_SECONDS - 1
            await renewals.more()
            row = await other.row(upload)
            assert row.held_until == int((clock.now + LEASE_SECONDS) * 1000)
        assert not holding.asked.is_set()


@pytest.mark.parametrize("renewed", [True, False])
async def test_bytes_keep_an_upload_from_expiring_and_a_hold_alone_does_not(
    server: UploadServer, clock: Clock, upload: Upload, monkeypatch: pytest.MonkeyPatch, renewed: bool
) -> None:
    renewals = Renewals(server, monkeypatch)
    last_byte = clock.now
    for count in (0, 3, 0):
        async with await take(server, upload) as holding:
            clock.now += 1
            if count:
                holding.received += count
                last_byte = clock.now
            if renewed:
                await renewals.more()
        assert (await server.row(upload)).expires_at == int((last_byte + 3600) * 1000)


async def test_a_catalog_that_fails_for_a_moment_costs_no_lease(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(server, monkeypatch)
    async with await take(server, upload) as holding:
        for renewals.error in (CatalogUnavailable("busy"), StorageFull("full"), None):
            await renewals.more(3)
        assert not holding.asked.is_set()
        holding.synced(3)
        await renewals.more(3)
        assert holding.committed == 3


async def test_who_lost_the_lease_finds_out_and_changes_nothing(
    server: UploadServer, other: UploadServer, upload: Upload, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(server, monkeypatch)
    renewals.error = CatalogUnavailable("gone")
    async with await take(server, upload) as slow:
        await renewals.more()
        clock.now += LEASE_SECONDS
        async with await take(other, upload) as fast:
            renewals.error = None
            await slow.asked.wait()
            assert slow.lost
            slow.synced(50)
            for work in (slow.commit({"offset": 50}), slow.release({"offset": 50}), slow.delete()):
                with pytest.raises(UploadTakenOver):
                    await work
            assert (await other.row(upload)).offset == 0
            await fast.commit({"offset": 9})
    assert (await other.row(upload)).offset == 9
    assert await server.is_free(upload)


async def test_who_lost_the_lease_commits_nothing_of_a_body(
    server: UploadServer, other: UploadServer, upload: Upload, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(server, monkeypatch)
    renewals.error = CatalogUnavailable("gone")
    body = Body()
    slow = server.appending(upload, 0, body)
    await body.send(b"slow")
    await renewals.more()
    clock.now += LEASE_SECONDS
    assert (await other.append(upload, 0, b"fast!")).offset == 5
    renewals.error = None
    with pytest.raises(UploadTakenOver):
        await slow
    assert (await server.row(upload)).offset == 5
    assert server.content(upload) == b"fast!"
    assert server.holding(upload) is None


async def test_a_commit_is_not_taken_back_by_a_renewal_beside_it(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets: list[int] = []
    renewed = asyncio.Event()
    renew, change = server.catalog.renew_hold, server.catalog.set_upload

    async def renewing(*args: Any, offset: int, **kwargs: Any) -> bool:
        offsets.append(offset)
        renewed.set()
        return await renew(*args, offset=offset, **kwargs)

    async def committing(*args: Any, **kwargs: Any) -> Upload:
        changed = await change(*args, **kwargs)
        for _ in range(2):
            renewed.clear()
            await renewed.wait()
        return changed

    monkeypatch.setattr(server.catalog, "renew_hold", renewing)
    monkeypatch.setattr(server.catalog, "set_upload", committing)
    async with await take(server, upload) as holding:
        await holding.commit({"offset": 8})
        assert offsets[-2:] == [8, 8]
    assert (await server.row(upload)).offset == 8
