"""Appends: what fits, what does not, and what each leaves behind."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import (
    BeyondLength,
    ChecksumMismatch,
    DigestMismatch,
    FinalUpload,
    InconsistentLength,
    MediaServiceError,
    NotFound,
    OffsetMismatch,
    UploadCut,
    UploadEnded,
    UploadQuota,
    UploadTakenOver,
    UploadTooLarge,
)
from media_service.ingest import appending
from media_service.store.keys import original_key
from media_service.store.records import Upload
from media_service.wire.upload_requests import Checks
from tests.support.processes import until
from tests.support.upload_servers import (
    Body,
    UploadServer,
    be_quick,
    gated,
    opened_server,
    stopped_clock,
    whole,
)

CUT = UploadCut("The line broke.")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[UploadServer]:
    async with opened_server(tmp_path, max_bytes=1000) as opened:
        yield opened


async def stands(server: UploadServer, upload: Upload, content: bytes) -> Upload:
    """It has just these bytes, and nobody holds it."""
    row = await server.row(upload)
    assert row.offset == len(content)
    if content:
        assert server.content(upload) == content
    assert await server.is_free(upload)
    return row


# --- offsets and lengths --------------------------------------------------------------------------------------


async def test_bytes_come_one_append_behind_the_other(server: UploadServer) -> None:
    upload = await server.begin(12)
    for offset, data in ((0, b"abcd"), (4, b""), (4, b"efgh")):
        assert (await server.append(upload, offset, data)).offset == offset + len(data)
    row = await stands(server, upload, b"abcdefgh")
    assert not row.complete
    ended = await server.append(upload, 8, b"ijkl")
    assert (ended.state, ended.offset, ended.complete) == ("finished", 12, True)
    assert server.taker.admitted[upload.id] == b"abcdefghijkl"


@pytest.mark.parametrize("offset", [0, 2, 4, 11])
async def test_an_append_elsewhere_changes_nothing(server: UploadServer, offset: int) -> None:
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    with pytest.raises(OffsetMismatch) as caught:
        await server.append(upload, offset, b"xyz")
    assert (caught.value.expected, caught.value.provided) == (3, offset)
    await stands(server, upload, b"abc")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"content_length": 8}, BeyondLength),
        ({"length": 9}, InconsistentLength),
        ({"length": 11}, InconsistentLength),
        ({"length": 2}, InconsistentLength),
    ],
)
async def test_what_cannot_fit_is_refused_before_a_byte_is_read(
    server: UploadServer, wish: dict[str, Any], error: type[MediaServiceError]
) -> None:
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    body = Body()
    with pytest.raises(error):
        await server.append(upload, 3, body, **wish)
    assert not body.awaited.is_set()
    await stands(server, upload, b"abc")


async def test_a_body_that_goes_on_beyond_the_length_leaves_what_a_tus_upload_had(
    server: UploadServer,
) -> None:
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    with pytest.raises(BeyondLength):
        await server.append(upload, 3, whole(b"defg", b"hijk", b"lmno"))
    await stands(server, upload, b"abcdefg")


@pytest.mark.parametrize("known", [True, False])
async def test_an_ietf_upload_with_a_body_beyond_its_length_is_gone(
    server: UploadServer, known: bool
) -> None:
    """Draft s4.4.2."""
    upload = await server.begin(10, dialect="ietf")
    await server.append(upload, 0, b"abc", complete=False)
    with pytest.raises(BeyondLength):
        await server.append(
            upload, 3, whole(b"defghijkl"), complete=False, content_length=9 if known else None
        )
    with pytest.raises(NotFound):
        await server.row(upload)
    assert await server.blobs.trees() == []


@pytest.mark.parametrize("complete", [True, False])
async def test_a_length_that_comes_later_is_kept_whatever_becomes_of_the_body(
    server: UploadServer, complete: bool
) -> None:
    """A client that said it, and lost the line, does not say it again."""
    upload = await server.begin()
    await server.append(upload, 0, b"abc")
    body = Body(b"de")
    body.end(CUT)
    with pytest.raises(UploadCut):
        await server.append(upload, 3, body, length=6)
    assert (await stands(server, upload, b"abcde")).length == 6
    if not complete:
        with pytest.raises(InconsistentLength):
            await server.append(upload, 5, b"f", length=7)
        await stands(server, upload, b"abcde")
        return
    ended = await server.append(upload, 5, b"f")
    assert (ended.state, ended.length) == ("finished", 6)
    assert server.taker.admitted[upload.id] == b"abcdef"


async def test_no_upload_has_more_bytes_than_are_allowed(server: UploadServer) -> None:
    upload = await server.begin()
    tried: list[tuple[dict[str, Any], Body]] = [
        ({"content_length": 1001}, Body()),
        ({"length": 1001}, Body()),
        ({}, whole(b"a" * 600, b"b" * 401)),
    ]
    for wish, body in tried:
        with pytest.raises(UploadTooLarge):
            await server.append(upload, 0, body, **wish)
    await stands(server, upload, b"a" * 600)


async def test_what_has_no_length_takes_no_more_than_the_others_leave(tmp_path: Path) -> None:
    async with opened_server(tmp_path, max_reserved_bytes=100) as server:
        await server.begin(60)
        upload = await server.begin()
        with pytest.raises(UploadQuota):
            await server.append(upload, 0, b"a" * 41)
        with pytest.raises(UploadQuota):
            await server.append(upload, 0, whole(b"a" * 30, b"a" * 11))
        await stands(server, upload, b"a" * 30)
        with pytest.raises(UploadQuota):
            await server.append(upload, 30, b"", length=41)
        assert (await server.append(upload, 30, b"a" * 10, length=40)).state == "finished"


def looks_meet(monkeypatch: pytest.MonkeyPatch, server: UploadServer) -> None:
    """The next two that ask what is reserved go on when both have their answer: neither has told the catalog before."""
    looks, meeting = iter(range(2)), asyncio.Barrier(2)
    reserved_bytes = server.catalog.reserved_bytes

    async def look(owner: str, *, besides: str) -> int:
        reserved = await reserved_bytes(owner, besides=besides)
        if next(looks, None) is not None:
            await meeting.wait()
        return reserved

    monkeypatch.setattr(server.catalog, "reserved_bytes", look)


@pytest.mark.parametrize("length", [None, 80])
async def test_what_has_no_length_and_comes_at_once_does_not_pass_the_quota_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    be_quick(monkeypatch)
    monkeypatch.setattr(appending, "LOOK_SECONDS", 0.0)
    async with opened_server(tmp_path, max_reserved_bytes=100) as server:
        one, two = await server.begin(), await server.begin()
        looks_meet(monkeypatch, server)
        bodies = Body(), Body()
        first, second = (
            server.appending(upload, 0, body, length=length)
            for upload, body in zip((one, two), bodies, strict=True)
        )
        for body in bodies:
            await body.awaited.wait()  # each is promised room for 100 bytes
        if length is None:
            await bodies[0].send(b"a" * 60)

            async def is_told() -> bool:
                return (await server.row(one)).offset == 60

            await until(is_told, 5)
        sending = server.request(bodies[1].send(b"a" * 41))
        with pytest.raises(UploadQuota):
            await second
        sending.cancel()
        await stands(server, two, b"")
        bodies[0].end()
        await first


async def test_an_ietf_upload_ends_when_the_client_says_so(server: UploadServer) -> None:
    upload = await server.begin(dialect="ietf", deferred=False)
    await server.append(upload, 0, b"abc", complete=False)
    ended = await server.append(upload, 3, b"def", complete=True)
    assert (ended.state, ended.length) == ("finished", 6)
    assert server.taker.admitted[upload.id] == b"abcdef"


@pytest.mark.parametrize("data", [b"def", b""])
async def test_an_ietf_upload_that_ends_too_early_stays_open(server: UploadServer, data: bytes) -> None:
    upload = await server.begin(10, dialect="ietf")
    await server.append(upload, 0, b"abc", complete=False)
    with pytest.raises(InconsistentLength):
        await server.append(upload, 3, whole(data), complete=True)
    row = await stands(server, upload, b"abc" + data)
    assert (row.state, row.complete) == ("open", False)


# --- checks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tus", "error"), [(True, ChecksumMismatch), (False, DigestMismatch)])
async def test_a_body_with_another_checksum_is_as_if_it_had_not_come(
    server: UploadServer, tus: bool, error: type[MediaServiceError]
) -> None:
    upload = await server.begin(6)
    await server.append(upload, 0, b"abc")
    right = (("sha256", hashlib.sha256(b"def").digest()),)
    with pytest.raises(error):
        await server.append(upload, 3, b"deF", checks=Checks(content=right, tus_checksum=tus))
    await stands(server, upload, b"abc")
    ended = await server.append(upload, 3, b"def", checks=Checks(content=right, tus_checksum=tus))
    assert ended.sha256 == hashlib.sha256(b"abcdef").hexdigest()


# --- other requests meanwhile ---------------------------------------------------------------------------------


async def test_a_cancellation_of_the_upload_ends_an_append(server: UploadServer) -> None:
    upload = await server.begin(10)
    body = Body()
    writing = server.appending(upload, 0, body)
    await body.send(b"abc")
    await server.uploads.cancel(upload.id, upload.owner)
    with pytest.raises(UploadTakenOver):
        await writing
    with pytest.raises(NotFound):
        await server.append(upload, 3, b"def")
    assert await server.blobs.trees() == []


async def test_an_upload_does_not_expire_while_bytes_come(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_quick(monkeypatch)
    clock = stopped_clock(monkeypatch)
    upload = await server.begin(10)
    body = Body()
    clock.now += 3599
    writing = server.appending(upload, 0, body)
    await body.send(b"abc")
    clock.now += 2  # beyond the old date, and within the lease
    await server.sweep()
    await body.send(b"def")
    body.end()
    assert (await writing).offset == 6
    assert (await server.row(upload)).expires_at == int((clock.now + 3600) * 1000)


async def test_other_owners_can_do_nothing(server: UploadServer) -> None:
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    for work in (
        server.append(upload, 3, b"def", owner="somebody"),
        server.uploads.look(upload.id, "somebody"),
        server.uploads.retrieve(upload.id, "somebody"),
        server.uploads.cancel(upload.id, "somebody"),
    ):
        with pytest.raises(NotFound):
            await work
    await stands(server, upload, b"abc")


# --- uploads that have ended ----------------------------------------------------------------------------------


async def test_who_lost_the_answer_asks_again_with_an_empty_body(server: UploadServer) -> None:
    upload = await server.begin(3)
    ended = await server.append(upload, 0, b"abc")
    assert await server.append(upload, 3, b"") == ended
    for offset, body, error in (
        (3, whole(b""), UploadEnded),
        (3, b"d", UploadEnded),
        (0, b"abc", OffsetMismatch),
    ):
        with pytest.raises(error):
            await server.append(upload, offset, body)


async def test_who_comes_behind_the_last_byte_hears_of_the_same_finishing(
    server: UploadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request was cancelled between its last byte and its finishing, while the second waited."""
    be_quick(monkeypatch)
    upload = await server.begin(3)
    commit = server.catalog.set_upload
    committed = asyncio.Event()

    async def committing(*args: Any, **kwargs: Any) -> Upload:
        changed = await commit(*args, **kwargs)
        committed.set()
        await asyncio.Event().wait()
        return changed

    with monkeypatch.context() as patch:
        patch.setattr(server.catalog, "set_upload", committing)
        body = Body()
        first = server.appending(upload, 0, body)
        await body.send(b"abc")
        gate = gated(patch, server.holds, "take")
        waiting = server.request(server.append(upload, 3, b""))
        await gate.reached.wait()  # it has seen an open upload
        body.end()
        await committed.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gate.open()
        async with asyncio.timeout(5):
            assert (await waiting).state == "finished"
    assert server.taker.admitted[upload.id] == b"abc"


async def test_nothing_is_appended_to_a_final_upload(server: UploadServer) -> None:
    part = await server.begin(3, concat="partial")
    await server.append(part, 0, b"abc")
    final = await server.begin(
        concat="final", parts=(part.id,), concat_header=f"final;/api/v1/uploads/{part.id}", deferred=False
    )
    with pytest.raises(FinalUpload):
        await server.append(final, 3, b"")


async def test_an_upload_whose_bytes_are_gone_is_gone(server: UploadServer) -> None:
    upload = await server.begin(10)
    await server.append(upload, 0, b"abc")
    (server.root / original_key(upload.id)).write_bytes(b"a")  # an operator's doing
    with pytest.raises(NotFound):
        await server.append(upload, 3, b"def")
    with pytest.raises(NotFound):
        await server.row(upload)
    assert await server.blobs.trees() == []
