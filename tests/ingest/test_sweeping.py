"""What a sweep takes up and what it removes; what it leaves alone; and that nothing keeps it from going on."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest

from media_service.errors import (
    NotFound,
    StorageFull,
)
from media_service.ingest import sweeping
from tests.support.processes import until
from tests.support.upload_servers import (
    Body,
    Clock,
    Gate,
    UploadServer,
    gated,
    stopped_clock,
)

DATA = b"0123456789"


async def test_a_service_sweeps_from_its_start_on_and_goes_on_after_a_failure(
    server: UploadServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_SECONDS", 0.005)
    server.taker.error = StorageFull("full")
    upload = await server.begin(10)
    expired = await server.begin(10)
    with pytest.raises(StorageFull):
        await server.append(upload, 0, DATA)
    server.taker.error = None
    complete = server.catalog.complete_uploads
    failures: list[Exception] = [StorageFull("full"), OSError("input/output")]

    async def failing(now: int) -> list[str]:
        if failures:
            raise failures.pop()
        return await complete(now)

    monkeypatch.setattr(server.catalog, "complete_uploads", failing)

    async def is_finished() -> bool:
        return (await server.row(upload)).state == "finished"

    async def is_gone() -> bool:
        return expired.id not in await server.catalog.upload_ids()

    async with server.uploads:
        await until(is_finished, 5)
        assert not await is_gone()
        clock.now += 3600
        await until(is_gone, 5)
    assert server.content(upload) == DATA


async def test_what_cannot_be_removed_now_keeps_no_others_waiting(
    server: UploadServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [await server.begin(10) for _ in range(3)]
    clock.now += 3600
    delete = server.catalog.delete_upload

    async def deleting(upload_id: str, holder: str) -> None:
        if upload_id == held[0].id:
            raise OSError("input/output")
        await delete(upload_id, holder)

    monkeypatch.setattr(server.catalog, "delete_upload", deleting)
    await server.sweep()
    assert await server.catalog.upload_ids() == {held[0].id}


async def test_a_sweep_leaves_alone_what_is_written_to(server: UploadServer, clock: Clock) -> None:
    upload = await server.begin(10)
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"0123")
    clock.now += 3  # within the lease
    await server.catalog.set_upload(
        upload.id, str((await server.row(upload)).holder), expires_at=int(clock.now * 1000)
    )
    await server.sweep()
    body.end()
    assert (await writing).offset == 4


async def test_the_end_of_the_service_waits_for_its_sweep(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = server.taker.gate = Gate()
    server.taker.error = StorageFull("full")
    gate.open()
    upload = await server.begin(10)
    with pytest.raises(StorageFull):
        await server.append(upload, 0, DATA)
    gate = server.taker.gate = Gate()
    async with server.uploads:
        await gate.reached.wait()
    assert await server.is_free(upload)


async def test_of_an_expired_upload_nothing_is_left(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = stopped_clock(monkeypatch)
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    clock.now += 3600
    for work in (
        server.append(upload, 3, b"def"),
        server.uploads.look(upload.id, upload.owner),
        server.uploads.retrieve(upload.id, upload.owner),
    ):
        with pytest.raises(NotFound):
            await work
    await server.sweep()
    with pytest.raises(NotFound):
        await server.row(upload)
    assert await server.blobs.trees() == []


async def test_who_goes_on_just_before_the_sweep_comes_keeps_the_upload(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep has seen it expired and free; by the time it holds it, it is neither."""
    clock = stopped_clock(monkeypatch)
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    clock.now += 3600
    gate = gated(monkeypatch, server.uploads._sweeper, "_expire")
    under_way = server.request(server.sweep())
    await gate.reached.wait()
    async with await server.holds.take(upload.id, upload.owner) as holding:
        await holding.commit({"expires_at": server.holds.expiry()})
    gate.open()
    await under_way
    assert (await server.row(upload)).state == "open"
    assert server.content(upload) == b"abc"


@pytest.mark.parametrize("error", [OSError("input/output"), RuntimeError("a mistake"), StorageFull("full")])
async def test_one_that_cannot_be_finished_keeps_no_others_waiting(
    server: UploadServer, clock: Clock, error: Exception
) -> None:
    expired = await server.begin(1)
    clock.now += 3000
    bad = await server.begin(10)
    server.taker.error = error
    for data in (DATA, b"9876543210"):
        with pytest.raises(type(error)):
            await server.append(bad if data == DATA else await server.begin(10), 0, data)
    admit = server.taker.admit
    server.taker.error = None

    async def admitting(arrived: Any, label: Any) -> Any:
        if arrived.asset_id == bad.id:
            raise error
        return await admit(arrived, label)

    server.taker.admit = admitting  # type: ignore[method-assign] # but for one
    clock.now += 600
    await server.sweep()
    assert [*server.taker.admitted.values()] == [b"9876543210"]
    with pytest.raises(NotFound):
        await server.row(expired)


async def test_what_could_not_be_finished_rests_before_it_is_tried_again(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic()
    monkeypatch.setattr(sweeping, "monotonic", lambda: now)
    upload = await server.begin(10)
    server.taker.error = StorageFull("full")
    with pytest.raises(StorageFull):
        await server.append(upload, 0, DATA)
    tried = len(server.taker.labels)
    for _ in range(3):
        await server.sweep()
    assert len(server.taker.labels) == tried + 1
    server.taker.error = None
    now += sweeping.REST_SECONDS
    await server.sweep()
    assert (await server.row(upload)).state == "finished"
    await server.sweep()
    assert server.uploads._sweeper._resting == {}
