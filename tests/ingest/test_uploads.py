"""The story of an upload from its creation on: keys, quotas, sweeps; and a long random story against a model."""

from __future__ import annotations

import asyncio
import random
import tempfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import (
    BeyondLength,
    ChecksumMismatch,
    InconsistentLength,
    InvalidRequest,
    NotMedia,
    OffsetMismatch,
    StorageFull,
    UploadCut,
    UploadQuota,
    UploadTakenOver,
    UploadTooLarge,
)
from media_service.ingest import receiving
from media_service.ingest.holding import LEASE_SECONDS
from media_service.store.blobs import DISK_MARGIN_BYTES
from media_service.store.records import Upload
from media_service.wire.upload_requests import Checks
from tests.support.upload_servers import (
    OWNER,
    Body,
    Clock,
    Gate,
    UploadServer,
    be_quick,
    gated,
    opened_server,
    stopped_clock,
    whole,
)

CUT = UploadCut("The line broke.")
DATA = b"0123456789"


async def nothing_is_left(server: UploadServer) -> None:
    assert await server.catalog.upload_ids() == set()
    assert await server.blobs.trees() == []


def cut(data: bytes) -> Body:
    body = Body(data)
    body.end(CUT)
    return body


# --- creation -------------------------------------------------------------------------------------------------


async def test_a_new_upload_is_open_and_empty(server: UploadServer) -> None:
    upload = await server.begin(10, filename="a.mp4", title="A", metadata="filename YS5tcDQ=")
    assert (upload.state, upload.offset, upload.length, upload.complete) == ("open", 0, 10, False)
    assert (upload.owner, upload.filename, upload.title) == (OWNER, "a.mp4", "A")
    assert await server.uploads.retrieve(upload.id, OWNER) == upload == await server.row(upload)
    assert await server.blobs.trees() == []


async def test_a_title_is_one_line_of_printable_text_from_the_beginning(server: UploadServer) -> None:
    assert (await server.begin(10, title="a\x00\n film" + "!" * 9000)).title == ("a film" + "!" * 9000)[:200]


async def test_a_creation_may_bring_some_bytes_or_all(server: UploadServer) -> None:
    begun = await server.create(whole(b"0123"), length=10)
    assert (begun.state, begun.offset) == ("open", 4)
    assert (await server.append(begun, 4, b"456789")).state == "finished"
    ended = await server.create(whole(b"0123", b"456789"), length=10)
    assert (ended.state, ended.offset) == ("finished", 10)
    ietf = await server.create(whole(DATA), dialect="ietf", complete=True)
    assert (ietf.state, ietf.length) == ("finished", 10)
    assert [*server.taker.admitted.values()] == [DATA] * 3


async def test_an_ietf_upload_of_nothing_is_finished_at_once(server: UploadServer) -> None:
    ended = await server.create(whole(), dialect="ietf", complete=True, has_content=False)
    assert (ended.complete, ended.length) == (True, 0)
    assert ended.state == "rejected"


@pytest.mark.parametrize("dialect", ["tus", "ietf"])
async def test_a_creation_that_was_cut_off_is_forgotten_unless_it_has_a_key(
    server: UploadServer, dialect: str
) -> None:
    complete = True if dialect == "ietf" else None
    with pytest.raises(UploadCut):
        await server.create(cut(b"0123"), length=10, dialect=dialect, complete=complete)
    await nothing_is_left(server)
    with pytest.raises(UploadCut):
        await server.create(cut(b"0123"), length=10, dialect=dialect, complete=complete, key="k")
    kept = await server.create(Body(), length=10, dialect=dialect, complete=complete, key="k")
    assert (kept.state, kept.offset) == ("open", 4)
    assert (await server.append(kept, 4, b"456789", complete=complete)).state == "finished"


async def test_a_creation_whose_bytes_are_wrong_is_forgotten(server: UploadServer) -> None:
    wrong = Checks(content=(("crc32", b"0000"),), tus_checksum=True)
    with pytest.raises(ChecksumMismatch):
        await server.create(whole(DATA), length=10, checks=wrong)
    with pytest.raises(BeyondLength):
        await server.create(whole(DATA), length=9)
    with pytest.raises(BeyondLength):
        await server.create(whole(DATA), length=9, dialect="ietf", complete=False, key="k")
    await nothing_is_left(server)


@pytest.mark.parametrize("step", ["add_upload", "hold_upload", "set_upload", "release_upload"])
async def test_a_creation_that_is_cancelled_is_forgotten_at_any_step(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    change = getattr(server.catalog, step)
    gate, first = Gate(), [True]

    async def changing(*args: object, **kwargs: object) -> object:
        done = await change(*args, **kwargs)
        if first.pop() if first else False:
            await gate()
        return done

    monkeypatch.setattr(server.catalog, step, changing)
    length = 10 if step == "set_upload" else 11
    request = server.request(server.create(whole(DATA), length=length))
    await gate.reached.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await nothing_is_left(server)


async def test_what_is_too_large_or_has_no_room_is_not_begun(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UploadTooLarge):
        await server.begin(server.uploads.max_bytes + 1)
    monkeypatch.setattr(server.blobs, "free_bytes", lambda: DISK_MARGIN_BYTES + 9)
    for key in (None, "k"):
        with pytest.raises(StorageFull):
            await server.begin(10, key=key)
    await nothing_is_left(server)
    assert (await server.begin(9)).state == "open"


async def test_each_owner_has_a_quota(tmp_path: Path) -> None:
    async with opened_server(tmp_path, max_open=2, max_reserved_bytes=100) as server:
        one = await server.begin(60)
        with pytest.raises(UploadQuota):
            await server.begin(41)
        await server.begin(40)
        with pytest.raises(UploadQuota):
            await server.begin(0)
        await server.begin(100, owner="somebody")
        await server.append(one, 0, b"a" * 60)  # what is finished counts no more
        await server.begin(60)


async def test_parts_that_are_none_make_no_final_upload(server: UploadServer) -> None:
    with pytest.raises(InvalidRequest):
        await server.begin(concat="final", parts=("unknown",), concat_header="final;uploads/unknown")
    await nothing_is_left(server)


# --- keys -----------------------------------------------------------------------------------------------------


async def test_a_key_that_is_repeated_means_the_same_upload(server: UploadServer) -> None:
    upload = await server.begin(10, key="k")
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"0123")
    unread = Body(DATA)
    again = await server.create(unread, length=10, key="k")
    assert (again.id, again.offset) == (upload.id, 0)  # what is committed; and nobody is disturbed
    assert not unread.awaited.is_set()
    await body.send(b"456789")
    body.end()
    ended = await writing
    assert await server.create(Body(), length=10, key="k") == ended
    other = await server.begin(10, key="k", owner="somebody")
    assert other.id != upload.id


async def test_a_key_that_is_repeated_for_a_file_of_another_length_is_refused(server: UploadServer) -> None:
    upload = await server.begin(10, key="k")
    with pytest.raises(InconsistentLength):
        await server.begin(11, key="k")
    assert await server.begin(key="k") == upload == await server.row(upload)
    await server.append(upload, 0, DATA)
    with pytest.raises(InconsistentLength):
        await server.begin(11, key="k")
    unknown = await server.begin(key="later")
    assert await server.begin(11, key="later") == unknown


async def test_who_repeats_what_has_come_needs_no_room(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = await server.create(whole(DATA), length=10, key="k")
    monkeypatch.setattr(server.blobs, "free_bytes", lambda: 0)
    assert await server.create(Body(), length=10, key="k") == ended


async def test_a_key_is_free_again_when_nothing_came_of_it(server: UploadServer, clock: Clock) -> None:
    server.taker.error = NotMedia("no film")
    rejected = await server.create(whole(DATA), length=10, key="k")
    assert rejected.state == "rejected"
    server.taker.error = None
    expired = await server.begin(10, key="k")
    clock.now += 3600
    cancelled = await server.begin(10, key="k")
    await server.uploads.cancel(cancelled.id, OWNER)
    made = await server.create(whole(DATA), length=10, key="k")
    assert made.state == "finished"
    await server.catalog.delete_asset(made.id)
    last = await server.begin(10, key="k")
    assert len({rejected.id, expired.id, cancelled.id, made.id, last.id}) == 5


async def test_a_key_whose_asset_is_there_is_never_free(server: UploadServer, clock: Clock) -> None:
    made = await server.create(whole(DATA), length=10, key="k")
    clock.now += 3600
    await server.sweep()
    again = await server.create(Body(), length=10, key="k")
    assert (again.state, again.asset_id, again.offset) == ("finished", made.id, 10)
    await server.uploads.cancel(again.id, OWNER)
    assert server.content(made) == DATA


async def test_a_request_that_settles_an_upload_gives_it_back_when_cancelled(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await server.begin(10)
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"0123")
    gate = gated(monkeypatch, server.catalog, "release_upload")
    asking = server.request(server.uploads.retrieve(upload.id, OWNER))
    await gate.reached.wait()
    asking.cancel()
    gate.open()
    await asyncio.gather(asking, writing, return_exceptions=True)
    row = await server.row(upload)
    assert (row.offset, await server.is_free(upload)) == (4, True)


# --- a long story ---------------------------------------------------------------------------------------------


class Story:
    """A client that means `content`, two servers that die now and then, and what has been acknowledged."""

    def __init__(self, directory: Path, chance: random.Random, clock: Clock) -> None:
        self._directory = directory
        self._chance = chance
        self._clock = clock
        self._content = chance.randbytes(chance.choice([1, 50, 400]))
        self._acknowledged = 0
        self._upload: Upload

    async def tell(self) -> None:
        """Until the asset is there, and its bytes are what the client meant."""
        async with opened_server(self._directory) as server:
            self._upload = await server.begin(self._chance.choice([len(self._content), None]))
        while not await self._until_both_die():
            self._clock.now += LEASE_SECONDS
        async with opened_server(self._directory) as server:
            await server.sweep()
            row = await server.row(self._upload)
            assert (row.state, row.offset, row.length) == ("finished", len(self._content), len(self._content))
            assert server.content(self._upload) == self._content
            assert await server.is_free(self._upload)

    async def _until_both_die(self) -> bool:
        """Whether all has come."""
        async with opened_server(self._directory) as one, opened_server(self._directory) as other:
            for _ in range(self._chance.randint(1, 6)):
                here, there = self._chance.sample([one, other], 2)
                if await self._turn(here, there):
                    return True
            start = self._told(await one.uploads.retrieve(self._upload.id, OWNER))
            await self._begun(one, start, self._some(start))
            for each in (one, other):
                await each.kill()
        return False

    async def _turn(self, here: UploadServer, there: UploadServer) -> bool:
        """One thing that may happen; whether all has come."""
        start = self._told(await here.uploads.retrieve(self._upload.id, OWNER))
        data = self._some(start)
        rest = len(self._content) - start
        length: dict[str, Any] = {"length": len(self._content)} if len(data) == rest else {}
        match self._chance.choice(["whole", "checked", "wrong", "elsewhere", "cut", "asked", "rivalled"]):
            case "whole":
                self._told(await here.append(self._upload, start, data, **length))
                return len(data) == rest
            case "checked":
                self._told(await here.append(self._upload, start, data, checks=crc(data), **length))
                return len(data) == rest
            case "wrong":
                with pytest.raises(ChecksumMismatch):
                    await here.append(self._upload, start, data, checks=crc(b"\1" + data))
            case "elsewhere":
                with pytest.raises(OffsetMismatch):
                    await here.append(self._upload, start + 1, data)
            case "cut":
                body, writing = await self._begun(here, start, data)
                body.end(CUT)
                with pytest.raises(UploadCut):
                    await writing
            case "asked":
                _, writing = await self._begun(here, start, data)
                asked = self._chance.choice([here, there])
                assert self._told(await asked.uploads.retrieve(self._upload.id, OWNER)) == start + len(data)
                with pytest.raises(UploadTakenOver):
                    await writing
            case _ if data:
                body, writing = await self._begun(here, start, data, **length)
                for server in (here, there):
                    with pytest.raises(OffsetMismatch):
                        await server.append(self._upload, start, bytes(min(rest, 5)))
                body.end()
                self._told(await writing)
                return len(data) == rest
        return False

    async def _begun(
        self, server: UploadServer, start: int, data: bytes, **wish: int
    ) -> tuple[Body, asyncio.Task[Upload]]:
        """An append that has sent its data in pieces, and not said that this was all."""
        body = Body()
        writing = server.appending(self._upload, start, body, **wish)
        await body.awaited.wait()
        size = self._chance.randint(1, 100)
        await body.send(*(data[at : at + size] for at in range(0, len(data), size)))
        return body, writing

    def _some(self, start: int) -> bytes:
        return self._content[start : start + self._chance.randrange(len(self._content) + 1)]

    def _told(self, upload: Upload) -> int:
        """What is acknowledged never gets less."""
        assert self._acknowledged <= upload.offset <= len(self._content)
        self._acknowledged = upload.offset
        return upload.offset


def crc(data: bytes) -> Checks:
    return Checks(content=(("crc32", zlib.crc32(data).to_bytes(4)),), tus_checksum=True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 32))
async def test_whatever_happens_the_file_is_what_the_client_meant_and_no_offset_is_taken_back(
    seed: int,
) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        be_quick(patch)
        patch.setattr(receiving, "PIECE_BYTES", 64)
        clock = stopped_clock(patch)
        async with asyncio.timeout(60):
            await Story(Path(directory), random.Random(seed), clock).tell()
