"""Where bytes go while they arrive: memory within the budget, else the disk; and that all of it is given back."""

from __future__ import annotations

import hashlib
import os
import random

import pytest

from media_service.errors import EmptyUpload, StorageFull, UploadTooLarge
from media_service.ingest import intake as module
from media_service.ingest.intake import (
    PIECE_BYTES,
    RESERVE_STEP_BYTES,
    Intake,
    new_asset_id,
)
from media_service.memory.budget import Budget
from media_service.store.blobs import DISK_MARGIN_BYTES, is_key_segment
from media_service.store.keys import original_key
from tests.support.full_disk import FullDisk
from tests.support.workshop import Workshop

MIB = 1 << 20
DATA = random.Random(3).randbytes(3 * MIB + 12345)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def make(workshop: Workshop, memory_bytes: int, max_bytes: int = 1 << 30) -> tuple[Intake, Budget]:
    budget = Budget(memory_bytes)
    return Intake(budget=budget, blobs=workshop.blobs, max_bytes=max_bytes), budget


@pytest.mark.parametrize("announced", [len(DATA), None], ids=["announced", "of unknown length"])
@pytest.mark.parametrize("memory", [64 * MIB, 0], ids=["memory", "disk"])
@pytest.mark.parametrize("size", [1000, 65536, PIECE_BYTES, len(DATA)])
async def test_every_byte_is_kept_in_order_and_its_digest_is_right(
    workshop: Workshop, announced: int | None, memory: int, size: int
) -> None:
    intake, budget = make(workshop, memory)
    async with intake.begin(announced) as incoming:
        for piece in pieces(DATA, size):
            await incoming.write(piece)
        await incoming.finish()
        assert incoming.in_memory == (memory > 0)
        assert os.pread(incoming.fd, len(DATA) + 1, 0) == DATA
        await incoming.keep()
    assert (incoming.size, incoming.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert (workshop.root / original_key(incoming.asset_id)).read_bytes() == DATA
    assert budget.free == budget.total


async def test_an_upload_of_unknown_length_moves_to_the_disk_when_the_budget_is_used_up(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESERVE_STEP_BYTES", MIB)
    intake, budget = make(workshop, 2 * MIB)
    async with intake.begin(None) as incoming:
        for piece in pieces(DATA[: 2 * MIB], 65536):
            await incoming.write(piece)
        places = [incoming.in_memory]
        assert budget.free == 0
        for piece in pieces(DATA[2 * MIB :], 65536):
            await incoming.write(piece)
        assert [*places, incoming.in_memory] == [True, False]
        assert budget.free == budget.total
        await incoming.finish()
        await incoming.keep()
    assert (workshop.root / original_key(incoming.asset_id)).read_bytes() == DATA
    assert incoming.sha256 == hashlib.sha256(DATA).hexdigest()


async def test_all_of_an_announced_upload_is_reserved_before_its_first_byte(workshop: Workshop) -> None:
    intake, budget = make(workshop, 10 * MIB)
    async with intake.begin(6 * MIB) as first:
        assert first.in_memory
        assert budget.free == 4 * MIB
        async with intake.begin(6 * MIB) as second:
            assert not second.in_memory  # it goes to the disk; nobody is refused for want of memory
            assert budget.free == 4 * MIB
    assert budget.free == budget.total


async def test_an_upload_of_unknown_length_reserves_step_by_step(workshop: Workshop) -> None:
    intake, budget = make(workshop, 100 * MIB)
    async with intake.begin(None):
        assert budget.free == budget.total - RESERVE_STEP_BYTES


@pytest.mark.parametrize("memory", [64 * MIB, 0], ids=["memory", "disk"])
async def test_an_upload_that_ends_early_leaves_nothing(workshop: Workshop, memory: int) -> None:
    intake, budget = make(workshop, memory)
    incoming = intake.begin(len(DATA))

    async def be_cut_off() -> None:
        async with incoming:
            await incoming.write(DATA[: 2 * MIB])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await be_cut_off()
    assert budget.free == budget.total
    assert not (workshop.root / original_key(incoming.asset_id)).exists()


async def test_what_was_finished_but_not_kept_is_gone(workshop: Workshop) -> None:
    intake, budget = make(workshop, 0)
    async with intake.begin(len(DATA)) as incoming:
        await incoming.write(DATA)
        await incoming.finish()
    assert not (workshop.root / original_key(incoming.asset_id)).exists()
    assert budget.free == budget.total


def test_an_announced_length_above_the_limit_is_refused_at_once(workshop: Workshop) -> None:
    intake, budget = make(workshop, 64 * MIB, max_bytes=1000)
    with pytest.raises(UploadTooLarge):
        intake.begin(1001)
    assert budget.free == budget.total


async def test_a_form_may_be_larger_than_the_limit_by_its_own_frame(workshop: Workshop) -> None:
    intake, _ = make(workshop, 64 * MIB, max_bytes=1000)
    async with intake.begin(1500, overhead=500) as incoming:
        await incoming.write(bytes(1000))
        await incoming.finish()
    with pytest.raises(UploadTooLarge):
        intake.begin(1501, overhead=500)


async def test_more_bytes_than_the_limit_are_cut_off_at_the_limit(workshop: Workshop) -> None:
    intake, _ = make(workshop, 64 * MIB, max_bytes=1000)
    async with intake.begin(None) as incoming:
        await incoming.write(bytes(1000))
        with pytest.raises(UploadTooLarge):
            await incoming.write(b"x")


async def test_an_empty_upload_is_refused(workshop: Workshop) -> None:
    intake, _ = make(workshop, 64 * MIB)
    async with intake.begin(0) as incoming:
        with pytest.raises(EmptyUpload):
            await incoming.finish()


def test_without_room_on_the_disk_nothing_is_begun(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake, budget = make(workshop, 64 * MIB)
    monkeypatch.setattr(workshop.blobs, "free_bytes", lambda: DISK_MARGIN_BYTES + 999)
    with pytest.raises(StorageFull):
        intake.begin(1000)
    assert budget.free == budget.total
    intake.begin(999)


@pytest.mark.parametrize("memory", [64 * MIB, 0], ids=["when it is kept", "while it arrives"])
async def test_a_disk_that_fills_up_meanwhile_leaves_nothing(workshop: Workshop, memory: int) -> None:
    budget = Budget(memory)
    disk = FullDisk(workshop.root, room=2 * MIB)
    intake = Intake(budget=budget, blobs=disk, max_bytes=1 << 30)
    incoming = intake.begin(len(DATA))

    async def arrive() -> None:
        async with incoming:
            for piece in pieces(DATA, MIB):
                await incoming.write(piece)
            await incoming.finish()
            await incoming.keep()

    with pytest.raises(StorageFull):
        await arrive()
    assert budget.free == budget.total
    assert not (workshop.root / original_key(incoming.asset_id)).exists()


def test_ids_are_unguessable_and_fit_into_urls_and_keys() -> None:
    ids = {new_asset_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 26 and is_key_segment(one) and one.isalnum() and one.islower() for one in ids)
