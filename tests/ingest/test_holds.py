"""Who may write to an upload: one at a time, over two servers; nobody is locked out, nobody is disturbed for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import (
    Busy,
    CatalogUnavailable,
    NotFound,
    OffsetMismatch,
    ShuttingDown,
    StorageFull,
    UploadTakenOver,
)
from media_service.ingest import holds
from media_service.ingest.holds import Holding
from media_service.store.disk import to_its_end
from media_service.store.records import Upload
from tests.support.upload_servers import (
    OWNER,
    Body,
    Clock,
    Gate,
    UploadServer,
    be_quick,
    gated,
    opened_server,
    until,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[UploadServer]:
    async with opened_server(tmp_path) as opened:
        yield opened


@pytest.fixture
async def other(tmp_path: Path, server: UploadServer) -> AsyncIterator[UploadServer]:
    async with opened_server(tmp_path) as opened:
        yield opened


@pytest.fixture
async def upload(server: UploadServer) -> Upload:
    return await server.begin(100)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(holds, "time", clock)
    return clock


async def take(server: UploadServer, upload: Upload, *, at: int | None = None) -> Holding:
    return await server.holds.take(upload.id, OWNER, at=at)


async def wanted(server: UploadServer, upload: Upload) -> None:
    """Until somebody asks in the catalog for it."""

    async def asked() -> bool:
        return (await server.row(upload)).wanted

    await until(asked)


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


# --- in one server --------------------------------------------------------------------------------------------


async def test_who_leaves_gives_the_right_back(server: UploadServer, upload: Upload) -> None:
    async with await take(server, upload) as holding:
        assert server.holds.here(upload.id) is holding
        assert (await server.row(upload)).holder is not None
    assert await server.is_free(upload)
    assert holding.gone.is_set()


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
    with pytest.raises(OffsetMismatch):
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


async def test_the_first_reason_to_leave_counts(server: UploadServer, upload: Upload) -> None:
    async with await take(server, upload) as holding:
        server.holds.stop()
        holding.ask()
        assert isinstance(holding.leave, ShuttingDown)


async def test_patience_with_a_holder_that_does_not_leave_ends(
    server: UploadServer, other: UploadServer, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "PATIENCE_SECONDS", 0.05)
    async with await take(server, upload):
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


async def test_a_dead_holder_is_forgotten_with_its_lease_and_not_before(
    server: UploadServer, other: UploadServer, upload: Upload, clock: Clock
) -> None:
    body = Body()
    server.appending(upload, 0, body)
    await body.send(b"abc")
    await server.kill()
    waiting = other.request(other.append(upload, 0, b"ABCDEF"))
    asking = other.request(other.holds.vacate(upload.id, OWNER))
    await wanted(other, upload)
    assert not waiting.done()
    assert not asking.done()
    clock.now += holds.LEASE_SECONDS
    assert (await waiting).offset == 6
    assert (await asking).offset in {0, 6}
    assert other.content(upload) == b"ABCDEF"


async def test_a_living_holder_keeps_its_lease_for_as_long_as_it_likes(
    server: UploadServer, other: UploadServer, upload: Upload, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = Renewals(server, monkeypatch)
    async with await take(server, upload) as holding:
        for _ in range(3):
            clock.now += holds.LEASE_SECONDS - 1
            await renewals.more()
            row = await other.row(upload)
            assert row.held_until == int((clock.now + holds.LEASE_SECONDS) * 1000)
            assert row.expires_at == int((clock.now + 3600) * 1000)
        assert not holding.asked.is_set()


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
        clock.now += holds.LEASE_SECONDS
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
    clock.now += holds.LEASE_SECONDS
    assert (await other.append(upload, 0, b"fast!")).offset == 5
    renewals.error = None
    with pytest.raises(UploadTakenOver):
        await slow
    assert (await server.row(upload)).offset == 5
    assert server.content(upload) == b"fast!"
    assert server.holds.here(upload.id) is None


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
