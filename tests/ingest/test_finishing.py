"""From the last byte to the asset: whoever leaves, whatever dies, each upload has one outcome and no byte is left over."""

from __future__ import annotations

import asyncio
import hashlib
import os
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import (
    CatalogUnavailable,
    InvalidRequest,
    NotFound,
    NotMedia,
    StorageFull,
)
from media_service.ingest import finishing, sweeping
from media_service.ingest.digests import FileDigest
from media_service.ingest.finishing import Digests, digest_record, read_digest_record
from media_service.ingest.holding import LEASE_SECONDS
from media_service.store import local_growing
from media_service.store.blobs import DISK_MARGIN_BYTES
from media_service.store.files import write_all
from media_service.store.keys import original_key
from media_service.store.local_growing import LocalGrowingBlob
from media_service.store.records import Upload
from media_service.work.rows import facts_of
from tests.support.films import Film, Films
from tests.support.upload_servers import (
    OWNER,
    Body,
    Clock,
    Gate,
    UploadServer,
    gated,
    opened_server,
    whole,
)
from tests.support.workshop import Workshop

DATA = b"0123456789"


async def final_of(server: UploadServer, *parts: Upload) -> Upload:
    urls = " ".join(f"/api/v1/uploads/{part.id}" for part in parts)
    return await server.begin(
        concat="final",
        parts=tuple(part.id for part in parts),
        concat_header=f"final;{urls}",
        deferred=False,
    )


async def part_of(server: UploadServer, content: bytes) -> Upload:
    part = await server.begin(len(content), concat="partial")
    return await server.append(part, 0, content) if content else part


# --- with a real film -----------------------------------------------------------------------------------------


async def test_a_film_that_came_in_pieces_is_an_asset_whose_bytes_were_never_copied(
    workshop: Workshop, films: Films
) -> None:
    film = films.film(Film(seconds=1)).read_bytes()
    server = UploadServer(workshop.catalog, workshop.root, admission=workshop.admission())
    upload = await server.begin(len(film), filename="Bay.mp4", title="A bay")
    await server.append(upload, 0, film[:1000])
    inode = (workshop.root / original_key(upload.id)).stat().st_ino
    ended = await server.append(upload, 1000, film[1000:])
    assert (ended.state, ended.asset_id) == ("finished", upload.id)
    asset = await workshop.catalog.asset(upload.id)
    assert (asset.title, asset.filename, asset.sha256) == (
        "A bay",
        "Bay.mp4",
        hashlib.sha256(film).hexdigest(),
    )
    assert facts_of(asset).video is not None
    assert workshop.submitted == [asset.id]
    assert workshop.file(asset).stat().st_ino == inode
    assert workshop.file(asset).read_bytes() == film
    await server.uploads.cancel(upload.id, OWNER)
    assert workshop.file(asset).read_bytes() == film


@pytest.mark.parametrize(("content", "code"), [(b"no film " * 500, "not_media"), (b"", "empty_upload")])
async def test_what_is_no_film_is_remembered_and_its_bytes_are_gone(
    workshop: Workshop, content: bytes, code: str
) -> None:
    server = UploadServer(workshop.catalog, workshop.root, admission=workshop.admission())
    upload = await server.begin(len(content))
    ended = await server.append(upload, 0, content) if content else upload
    assert (ended.state, ended.error_code, ended.asset_id) == ("rejected", code, None)
    assert await server.append(ended, len(content), b"") == ended
    assert await workshop.blobs.trees() == []
    assert await workshop.catalog.asset_ids() == set()


async def test_a_film_with_another_digest_than_was_said_is_refused(workshop: Workshop, films: Films) -> None:
    film = films.film(Film(seconds=1)).read_bytes()
    server = UploadServer(workshop.catalog, workshop.root, admission=workshop.admission())
    wrong = (("sha256", hashlib.sha256(b"another").digest()),)
    ended = await server.create(whole(film), length=len(film), repr_digests=wrong)
    assert (ended.state, ended.error_code) == ("rejected", "digest_mismatch")
    right = (("sha512", hashlib.sha512(film).digest()),)
    ended = await server.create(whole(film), length=len(film), repr_digests=right)
    assert ended.state == "finished"


async def test_twins_share_an_asset_and_the_second_ones_bytes_go(workshop: Workshop, films: Films) -> None:
    film = films.film(Film(seconds=1)).read_bytes()
    admission = workshop.admission()
    admission._deduplicate = True
    server = UploadServer(workshop.catalog, workshop.root, admission=admission)
    first = await server.create(whole(film), length=len(film))
    second = await server.create(whole(film), length=len(film))
    assert (second.state, second.asset_id) == ("finished", first.id)
    assert await workshop.blobs.trees() == [first.id]


# --- who leaves meanwhile -------------------------------------------------------------------------------------


async def test_finishing_goes_on_when_its_request_is_cancelled(server: UploadServer) -> None:
    gate = server.taker.gate = Gate()
    upload = await server.begin(10)
    request = server.request(server.append(upload, 0, DATA))
    await gate.reached.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    repeated = server.request(server.append(upload, 10, b""))
    asked = await server.uploads.retrieve(upload.id, OWNER)  # who asks meanwhile is told at once
    assert (asked.state, asked.offset) == ("open", 10)
    gate.open()
    assert (await repeated).state == "finished"
    assert server.taker.admitted == {upload.id: DATA}
    assert len(server.taker.labels) == 1


async def test_who_gives_up_while_it_is_finished_loses_only_the_upload(server: UploadServer) -> None:
    gate = server.taker.gate = Gate()
    upload = await server.begin(10)
    request = server.request(server.append(upload, 0, DATA))
    await gate.reached.wait()
    giving_up = server.request(server.uploads.cancel(upload.id, OWNER))
    there = server.holding(upload)
    assert there is not None
    await there.asked.wait()
    gate.open()
    assert (await request).state == "finished"
    await giving_up
    with pytest.raises(NotFound):
        await server.row(upload)
    assert server.content(upload) == DATA


async def test_a_service_that_ends_gives_back_what_it_was_finishing(
    server: UploadServer, tmp_path: Path
) -> None:
    gate = server.taker.gate = Gate()
    upload = await server.begin(10)
    request = server.request(server.append(upload, 0, DATA))
    await gate.reached.wait()
    await server.finisher.end()
    await asyncio.gather(request, return_exceptions=True)
    assert await server.is_free(upload)
    async with opened_server(tmp_path) as later:
        await later.sweep()
        assert (await later.row(upload)).state == "finished"
        assert later.taker.admitted == {upload.id: DATA}


async def test_a_finishing_that_ends_before_it_began_gives_back_its_hold(server: UploadServer) -> None:
    upload = await server.begin(10)
    ends: list[asyncio.Task[None]] = []
    start = server.finisher.start

    def starting(*args: Any) -> asyncio.Task[Upload]:
        ends.append(asyncio.ensure_future(server.finisher.end()))  # which has its turn before the task has
        return start(*args)

    server.finisher.start = starting  # type: ignore[method-assign,assignment] # to be there at once
    request = server.request(server.append(upload, 0, DATA))
    await asyncio.gather(request, return_exceptions=True)
    await ends[0]
    assert await server.is_free(upload)


# --- what goes wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StorageFull("full"), CatalogUnavailable("gone"), OSError("input/output")])
async def test_what_could_not_be_finished_is_tried_again(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(sweeping, "REST_SECONDS", 0.0)
    upload = await server.begin(10)
    server.taker.error = error
    with pytest.raises(type(error)):
        await server.append(upload, 0, DATA)
    await server.sweep()
    assert (await server.row(upload)).state == "open"
    assert await server.is_free(upload)
    server.taker.error = None
    await server.sweep()
    assert (await server.row(upload)).state == "finished"
    assert server.taker.admitted == {upload.id: DATA}


async def test_who_tries_again_neither_reads_nor_copies_again(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = await part_of(server, DATA)
    upload = await server.begin(10)
    server.digests.forget(part.id)
    server.taker.error = StorageFull("full")
    with pytest.raises(StorageFull):
        await server.append(upload, 0, DATA)
    with pytest.raises(StorageFull):
        await final_of(server, part)
    server.taker.error = None

    def reading(*_: object) -> bytes:
        pytest.fail("the file is read again")

    monkeypatch.setattr(os, "pread", reading)
    monkeypatch.setattr(server.blobs, "open", reading)
    await server.sweep()
    assert [*server.taker.admitted.values()] == [DATA, DATA]
    assert [*server.digests._running] == []


async def test_an_upload_whose_bytes_are_gone_when_it_is_finished_is_gone(server: UploadServer) -> None:
    upload = await server.begin(10)
    server.taker.error = StorageFull("full")
    with pytest.raises(StorageFull):
        await server.append(upload, 0, DATA)
    (server.root / original_key(upload.id)).write_bytes(b"a")
    await server.sweep()
    with pytest.raises(NotFound):
        await server.row(upload)
    assert await server.blobs.trees() == []


# --- crashes --------------------------------------------------------------------------------------------------


async def test_a_crash_between_the_last_byte_and_the_asset_costs_nothing(
    server: UploadServer, clock: Clock, tmp_path: Path
) -> None:
    gate = server.taker.gate = Gate()
    upload = await server.begin(10)
    server.request(server.append(upload, 0, DATA))
    await gate.reached.wait()
    await server.kill()
    async with opened_server(tmp_path) as later:
        await later.sweep()  # the lease lasts: it may be alive
        assert later.taker.admitted == {}
        clock.now += LEASE_SECONDS
        await later.sweep()
        assert later.taker.admitted == {upload.id: DATA}
        row = await later.row(upload)
        assert (row.state, row.sha256) == ("finished", hashlib.sha256(DATA).hexdigest())
        assert await later.append(upload, 10, b"") == row


async def test_a_crash_between_the_asset_and_the_end_costs_nothing(
    server: UploadServer, clock: Clock, tmp_path: Path
) -> None:
    behind = server.taker.behind = Gate()
    upload = await server.begin(10)
    server.request(server.append(upload, 0, DATA))
    await behind.reached.wait()
    await server.kill()
    async with opened_server(tmp_path) as later:
        clock.now += LEASE_SECONDS
        await later.sweep()
        assert later.taker.labels == []
        row = await later.row(upload)
        assert (row.state, row.asset_id) == ("finished", upload.id)
        await later.uploads.cancel(upload.id, OWNER)
        assert later.content(upload) == DATA


async def test_a_crash_between_a_rejection_and_the_removal_leaves_bytes_that_no_upload_claims(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.taker.error = NotMedia("no film")
    gate = gated(monkeypatch, server.blobs, "delete_tree")
    upload = await server.begin(10)
    server.request(server.append(upload, 0, DATA))
    await gate.reached.wait()
    await server.kill()
    async with opened_server(tmp_path) as later:
        row = await later.row(upload)
        assert (row.state, row.error_code) == ("rejected", "not_media")
        assert await later.catalog.upload_ids() == set()  # the sweep of the next start takes them
        assert await later.append(upload, 10, b"") == row


async def test_of_two_servers_that_finish_one_upload_at_once_one_makes_the_asset(
    server: UploadServer, other: UploadServer, clock: Clock
) -> None:
    """The first was too slow for its lease, and does not know."""
    gate = server.taker.gate = Gate()
    upload = await server.begin(10)
    slow = server.request(server.append(upload, 0, DATA))
    await gate.reached.wait()
    clock.now += LEASE_SECONDS
    await other.sweep()
    assert other.taker.admitted == {upload.id: DATA}
    finished = await other.row(upload)
    gate.open()
    await asyncio.gather(slow, return_exceptions=True)
    assert server.taker.admitted == {}
    assert await other.row(upload) == finished
    assert await other.append(upload, 10, b"") == finished
    assert other.content(upload) == DATA


async def test_after_a_restart_the_digest_is_that_of_the_file(server: UploadServer, tmp_path: Path) -> None:
    upload = await server.begin(10)
    await server.append(upload, 0, b"0123")
    async with opened_server(tmp_path) as later:
        await later.append(upload, 4, b"45")
        await server.append(upload, 6, b"67")  # whose digest has not seen what came by the other
        ended = await later.append(upload, 8, b"89")
    assert ended.sha256 == hashlib.sha256(DATA).hexdigest()


async def test_digests_of_uploads_side_by_side_are_their_own(server: UploadServer) -> None:
    uploads = [await server.begin(6) for _ in range(3)]
    bodies = [Body() for _ in uploads]
    contents = [bytes([65 + number]) * 6 for number in range(3)]
    requests = [server.appending(*each) for each in zip(uploads, [0] * 3, bodies, strict=True)]
    for position in range(6):
        for body, content in zip(bodies, contents, strict=True):
            await body.send(content[position : position + 1])
    for body in bodies:
        body.end()
    for request, content in zip(requests, contents, strict=True):
        assert (await request).sha256 == hashlib.sha256(content).hexdigest()


async def test_digests_are_forgotten_with_their_uploads_and_the_oldest_go_first(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "MAX_DIGESTS", 2)
    uploads = [await server.begin(10) for _ in range(3)]
    for upload in uploads:
        await server.append(upload, 0, b"01234")
    assert [*server.digests._running] == [upload.id for upload in uploads[1:]]
    for upload in uploads[:2]:
        ended = await server.append(upload, 5, b"56789")
        assert ended.sha256 == hashlib.sha256(DATA).hexdigest()
    await server.uploads.cancel(uploads[2].id, OWNER)
    assert not server.digests._running


def test_the_record_of_digests_says_what_was_put_in() -> None:
    digests = (("sha256", bytes(range(32))), ("sha512", bytes(64)))
    assert read_digest_record(digest_record(digests)) == digests
    assert read_digest_record(digest_record(())) == ()


def test_a_digest_that_has_seen_too_much_is_not_gone_on_with(server: UploadServer) -> None:
    digests = Digests()
    digest = FileDigest()
    digest.update(b"12345")
    upload = Upload(
        id="a", owner=OWNER, dialect="tus", filename="", offset=4, created_at=0, updated_at=0, expires_at=0
    )
    digests.keep("a", digest)
    assert digests.of(upload).position == 0


# --- putting together -----------------------------------------------------------------------------------------


async def test_parts_are_put_together_in_the_order_that_is_asked_for(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finishing, "COPY_BYTES", 3)
    parts = [await part_of(server, content) for content in (b"0123", b"", b"456789a")]
    final = await final_of(server, parts[2], parts[0], parts[1])
    assert (final.state, final.length, final.offset) == ("finished", 11, 11)
    assert server.taker.admitted == {final.id: b"456789a0123"}
    assert final.sha256 == hashlib.sha256(b"456789a0123").hexdigest()
    assert await server.blobs.trees() == [final.id]
    for part in parts:
        row = await server.uploads.retrieve(part.id, OWNER)
        assert (row.state, row.asset_id, row.offset) == ("finished", final.id, part.length)


async def test_what_was_digested_while_it_was_copied_is_not_read_again(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = await part_of(server, DATA)

    def reading(*_: object) -> bytes:
        pytest.fail("the file is read again")

    monkeypatch.setattr(os, "pread", reading)
    assert (await final_of(server, part)).sha256 == hashlib.sha256(DATA).hexdigest()


async def test_a_part_may_be_there_twice(server: UploadServer) -> None:
    part = await part_of(server, b"ab")
    final = await final_of(server, part, part)
    assert server.taker.admitted == {final.id: b"abab"}


async def test_a_final_upload_that_is_asked_for_again_is_the_same(server: UploadServer) -> None:
    part = await part_of(server, b"ab")
    final = await final_of(server, part)
    assert await final_of(server, part) == final
    assert server.taker.admitted == {final.id: b"ab"}


async def test_only_parts_of_ones_own_that_are_complete_can_be_put_together(server: UploadServer) -> None:
    done = await part_of(server, b"ab")
    halfway = await server.begin(3, concat="partial")
    await server.append(halfway, 0, b"a")
    endless = await server.begin(concat="partial")
    alone = await server.begin(3)
    foreign = await server.begin(2, concat="partial", owner="somebody")
    await server.append(foreign, 0, b"ab", owner="somebody")
    for bad in (halfway, endless, alone, foreign):
        with pytest.raises(InvalidRequest, match=bad.id):
            await final_of(server, done, bad)
    assert server.taker.admitted == {}
    assert (await server.row(done)).state == "open"


async def test_nothing_is_made_of_a_part_alone(server: UploadServer) -> None:
    part = await part_of(server, b"ab")
    assert (part.state, part.complete) == ("open", True)
    await server.sweep()
    assert server.taker.admitted == {}
    assert await server.uploads.outcome(part) == part
    assert await server.append(part, 2, b"") == await server.row(part)


async def test_a_crash_in_the_middle_of_putting_together_costs_nothing(
    server: UploadServer, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [await part_of(server, content) for content in (b"0123", b"456789")]
    with monkeypatch.context() as patch:
        copied = asyncio.Event()
        opening = server.blobs.open

        async def second(key: str) -> Any:
            if key == original_key(parts[1].id):
                copied.set()
                await asyncio.Event().wait()
            return await opening(key)

        patch.setattr(server.blobs, "open", second)
        server.request(final_of(server, *parts))
        await copied.wait()
        await server.kill()
    async with opened_server(tmp_path) as later:
        clock.now += LEASE_SECONDS
        await later.sweep()
        assert [*later.taker.admitted.values()] == [DATA]
        (final,) = later.taker.admitted
        assert await later.blobs.trees() == [final]


async def test_a_final_upload_whose_part_is_gone_is_gone(server: UploadServer) -> None:
    parts = [await part_of(server, content) for content in (b"0123", b"456789")]
    await server.blobs.delete_tree(parts[1].id)
    with pytest.raises(NotFound):
        await final_of(server, *parts)
    assert await server.blobs.trees() == [parts[0].id]
    assert await server.catalog.upload_ids() == {part.id for part in parts}


async def test_a_final_upload_whose_part_was_cut_is_gone(server: UploadServer) -> None:
    part = await part_of(server, DATA)
    (server.root / original_key(part.id)).write_bytes(b"0123")
    with pytest.raises(NotFound):
        await final_of(server, part)
    assert server.taker.admitted == {}


async def test_parts_of_what_is_no_film_go_as_well(server: UploadServer) -> None:
    part = await part_of(server, DATA)
    server.taker.error = NotMedia("no film")
    final = await final_of(server, part)
    assert (final.state, final.error_code) == ("rejected", "not_media")
    assert await server.blobs.trees() == []
    assert (await server.row(part)).state == "rejected"


async def test_what_was_put_together_before_cannot_be_once_more(server: UploadServer) -> None:
    part = await part_of(server, DATA)
    server.taker.error = NotMedia("no film")
    await final_of(server, part)
    with pytest.raises(InvalidRequest, match=part.id):
        await final_of(server, part)
    assert await server.catalog.upload_ids() == set()


@pytest.mark.parametrize("begun", [False, True])
async def test_a_disk_without_room_for_the_whole_has_no_half_of_it(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    parts = [await part_of(server, content) for content in (b"0123", b"456789")]

    def write(fd: int, data: memoryview, at: int) -> None:
        if at:
            raise OSError(ENOSPC, "full")
        write_all(fd, data, at)

    monkeypatch.setattr(sweeping, "REST_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(local_growing, "write_all", write)
        with pytest.raises(StorageFull):
            await final_of(server, *parts)
        (final,) = await server.catalog.upload_ids() - {part.id for part in parts}
        if begun:
            patch.setattr(server.blobs, "free_bytes", lambda: DISK_MARGIN_BYTES + 9)
            patch.setattr(server.blobs, "grow", None)  # nothing is copied in vain
        await server.sweep()
        assert (server.root / original_key(final)).stat().st_size == 0
    await server.sweep()
    assert server.taker.admitted == {final: DATA}


async def test_what_is_put_together_is_durable_before_the_catalog_says_so(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = await part_of(server, DATA)
    durable = 0
    sync, change = LocalGrowingBlob.sync, server.catalog.set_upload

    async def syncing(blob: LocalGrowingBlob) -> int:
        nonlocal durable
        durable = await sync(blob)
        return durable

    async def changing(*args: Any, **changes: Any) -> Upload:
        assert changes["offset"] == durable == len(DATA)
        return await change(*args, **changes)

    monkeypatch.setattr(LocalGrowingBlob, "sync", syncing)
    monkeypatch.setattr(server.catalog, "set_upload", changing)
    assert (await final_of(server, part)).state == "finished"
