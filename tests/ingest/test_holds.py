"""Who may write to an upload: one at a time, over two servers; nobody is locked out, nobody is disturbed for nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from media_service.errors import (
    Busy,
    NotFound,
    OffsetMismatch,
    ShuttingDown,
    UploadTakenOver,
)
from media_service.ingest import holds
from media_service.ingest.holding import LEASE_SECONDS
from media_service.store.records import Upload
from tests.support.processes import until
from tests.support.upload_servers import (
    OWNER,
    Body,
    Clock,
    Renewals,
    UploadServer,
    be_quick,
    gated,
    take,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


async def wanted(server: UploadServer, upload: Upload) -> None:
    """Until somebody asks in the catalog for it."""

    async def asked() -> bool:
        return (await server.row(upload)).wanted

    await until(asked, 5)


# --- in one server --------------------------------------------------------------------------------------------


async def test_who_comes_second_waits_until_the_first_has_committed(
    server: UploadServer, upload: Upload
) -> None:
    async with await take(server, upload) as first:
        second = server.request(take(server, upload))
        await first.asked.wait()
        assert isinstance(first.leave, UploadTakenOver)
        first.synced(7)
        assert not second.done()
    async with await second as holding:
        assert holding.upload.offset == 7


async def test_an_append_elsewhere_disturbs_nobody(server: UploadServer, upload: Upload) -> None:
    async with await take(server, upload) as holding:
        holding.received, holding.committed = 10, 5
        for at in (0, 5, 9, 11):
            with pytest.raises(OffsetMismatch) as caught:
                await take(server, upload, at=at)
            assert (caught.value.expected, caught.value.provided) == (5, at)
        assert not holding.asked.is_set()
        assert not (await server.row(upload)).wanted
        second = server.request(take(server, upload, at=10))
        await holding.asked.wait()
        holding.synced(10)
    async with await second as later:
        assert later.upload.offset == 10


async def test_of_two_that_begin_at_once_before_either_holds_one_is_refused_and_one_goes_on(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(server, monkeypatch)
    gate = gated(monkeypatch, server.catalog, "hold_upload")
    one, two = (Body(data) for data in (b"one", b"two"))
    first = server.appending(upload, 0, one)
    second = server.appending(upload, 0, two)
    await gate.reached.wait()
    gate.open()
    done, (left,) = await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED, timeout=5)
    with pytest.raises(
        (OffsetMismatch, UploadTakenOver)
    ):  # the latter if the other came before its first byte
        await done.pop()
    await renewals.more(4)  # it was not asked to leave by the one that was refused
    winner = one if left is first else two
    await winner.send(b"more")
    winner.end()
    assert (await left).offset == 7
    assert server.content(upload) == (b"onemore" if left is first else b"twomore")


async def test_of_two_at_one_offset_the_second_wins_if_the_first_has_sent_nothing(
    server: UploadServer, upload: Upload
) -> None:
    silent = Body()
    first = server.appending(upload, 0, silent)
    await silent.awaited.wait()
    second = server.request(server.append(upload, 0, b"second"))
    with pytest.raises(UploadTakenOver):
        await first
    assert (await second).offset == 6
    assert server.content(upload) == b"second"


async def test_whoever_asks_where_it_stands_ends_who_writes(server: UploadServer, upload: Upload) -> None:
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"abc")
    assert (await server.holds.vacate(upload.id, OWNER)).offset == 3
    with pytest.raises(UploadTakenOver):
        await writing
    assert await server.is_free(upload)


async def test_nobody_is_asked_where_nobody_writes(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(*_: Any, **__: Any) -> None:
        pytest.fail("nothing is to be held for this")

    monkeypatch.setattr(server.catalog, "hold_upload", no)
    assert await server.holds.vacate(upload.id, OWNER) == upload


async def test_other_owners_find_nothing(server: UploadServer, upload: Upload) -> None:
    for work in (
        server.holds.take(upload.id, "somebody"),
        server.holds.vacate(upload.id, "somebody"),
        server.holds.take("unknown", OWNER),
    ):
        with pytest.raises(NotFound):
            await work
    assert await server.is_free(upload)


async def test_a_service_that_stops_asks_all_to_leave_and_lets_nobody_begin(
    server: UploadServer, upload: Upload
) -> None:
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"abc")
    server.uploads.stop()
    with pytest.raises(ShuttingDown):
        await writing
    with pytest.raises(ShuttingDown):
        await server.append(upload, 3, Body(b"def"))
    assert (await server.row(upload)).offset == 3
    assert server.content(upload) == b"abc"
    assert await server.is_free(upload)


async def test_patience_with_a_holder_that_does_not_leave_ends(
    server: UploadServer, other: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await take(server, upload):
        with monkeypatch.context() as patch:
            patch.setattr(holds, "PATIENCE_SECONDS", 0.05)
            for each in (server, other):
                with pytest.raises(Busy):
                    await take(each, upload)
                with pytest.raises(Busy):
                    await each.holds.vacate(upload.id, OWNER)
    for each in (server, other):
        async with await take(each, upload):
            assert not await other.is_free(upload)


# --- cancellations --------------------------------------------------------------------------------------------


async def test_a_hold_that_was_taken_for_nobody_is_given_back(
    server: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is cancelled while the catalog gives it the right."""
    hold = server.catalog.hold_upload
    held, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **kwargs: Any) -> Upload | None:
        found = await hold(*args, **kwargs)
        held.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(server.catalog, "hold_upload", slow)
    request = server.request(take(server, upload))
    await held.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert await server.is_free(upload)


# --- over two servers -----------------------------------------------------------------------------------------


async def test_who_is_asked_by_another_server_leaves(
    server: UploadServer, other: UploadServer, upload: Upload
) -> None:
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"abc")
    assert (await other.holds.vacate(upload.id, OWNER)).offset == 3
    with pytest.raises(UploadTakenOver):
        await writing


async def test_at_one_offset_whose_bytes_have_come_goes_on_also_against_another_server(
    server: UploadServer, other: UploadServer, upload: Upload
) -> None:
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"abc")
    with pytest.raises(OffsetMismatch):
        await other.append(upload, 0, b"ABC")
    await body.send(b"def")
    body.end()
    assert (await writing).offset == 6
    assert server.content(upload) == b"abcdef"


async def test_a_silent_holder_in_another_server_is_asked_after_a_while(
    server: UploadServer, other: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "SILENCE_SECONDS", 0.05)
    silent = Body()
    writing = server.appending(upload, 0, silent)
    await silent.awaited.wait()
    second = other.request(other.append(upload, 0, b"ABC"))
    with pytest.raises(UploadTakenOver):
        await writing
    assert (await second).offset == 3
    assert server.content(upload) == b"ABC"


@pytest.mark.parametrize("append", [True, False], ids=["by who writes", "by who asks"])
async def test_a_dead_holder_is_forgotten_with_its_lease_and_not_before(
    server: UploadServer, other: UploadServer, upload: Upload, clock: Clock, *, append: bool
) -> None:
    body = Body()
    server.appending(upload, 0, body)
    await body.send(b"abc")
    await server.kill()
    waiting = other.request(
        other.append(upload, 0, b"ABCDEF") if append else other.holds.vacate(upload.id, OWNER)
    )
    await wanted(other, upload)
    assert not waiting.done()
    clock.now += LEASE_SECONDS
    assert (await waiting).offset == (6 if append else 0)
