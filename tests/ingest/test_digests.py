"""Digests of what arrives: those of hashlib and zlib, however the bytes are cut, and never of other bytes than asked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import ChecksumMismatch, DigestMismatch, MediaServiceError
from media_service.ingest import digests
from media_service.ingest.digests import BodyDigests, FileDigest, check_digests

DATA = bytes(range(256)) * 12 + b"the end"
ALGORITHMS = ["crc32", "sha1", "sha256", "sha512"]


def judge(name: str, data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big") if name == "crc32" else hashlib.new(name, data).digest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "film"
    path.write_bytes(DATA)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.fixture
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in pieces, and in several steps: as films of many GB are."""
    monkeypatch.setattr(digests, "_READ_BYTES", 100)
    monkeypatch.setattr(digests, "_STEP_BYTES", 1000)


# --- of one body --------------------------------------------------------------------------------------------------


@given(pieces=st.lists(st.binary(max_size=100), max_size=10))
def test_a_body_s_digests_are_those_of_its_bytes_however_they_are_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    body = BodyDigests([(name, judge(name, whole)) for name in ALGORITHMS])
    for piece in pieces:
        body.update(piece)
    body.check(DigestMismatch)


@pytest.mark.parametrize("error", [ChecksumMismatch, DigestMismatch])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_one_wrong_digest_among_right_ones_is_an_error_in_the_asked_words(
    name: str, error: type[MediaServiceError]
) -> None:
    expected = [(each, judge(each, DATA[:-1] if each == name else DATA)) for each in ALGORITHMS]
    body = BodyDigests(expected)
    body.update(DATA)
    with pytest.raises(error, match=name):
        body.check(error)


def test_a_body_of_which_nothing_is_said_is_not_looked_at() -> None:
    body = BodyDigests(())
    assert not body
    body.update(DATA)
    body.check(DigestMismatch)


@pytest.mark.parametrize(
    ("data", "crc"), [(b"123456789", "cbf43926"), (b"62", "0012d20a"), (b"", "00000000")]
)
def test_a_crc_is_four_bytes_the_highest_first(data: bytes, crc: str) -> None:
    """The check value of CRC-32 is written like this, and clients of tus send it so; one may begin with zeros."""
    body = BodyDigests([("crc32", bytes.fromhex(crc))])
    body.update(data)
    body.check(ChecksumMismatch)


# --- of a file that arrives in several requests -------------------------------------------------------------------


@pytest.mark.usefixtures("small_reads")
@pytest.mark.parametrize("seen", [0, 1, 999, 1000, 1001, len(DATA)])
async def test_a_file_s_digest_catches_up_with_what_it_has_not_seen(fd: int, seen: int) -> None:
    running = FileDigest()
    running.update(DATA[:seen])
    assert await running.catch_up(fd, len(DATA)) == sha256(DATA)
    assert running.position == len(DATA)


async def test_bytes_that_were_seen_are_not_read_again(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    pread = os.pread

    def noting(descriptor: int, size: int, offset: int) -> bytes:
        read.append((offset, size))
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", noting)
    running = FileDigest()
    running.update(DATA[:3000])
    assert await running.catch_up(fd, len(DATA)) == sha256(DATA)
    assert read == [(3000, len(DATA) - 3000)]


async def test_what_lies_behind_the_size_is_not_in_the_digest(fd: int) -> None:
    assert await FileDigest().catch_up(fd, 1000) == sha256(DATA[:1000])


async def test_a_copy_goes_its_own_way(fd: int) -> None:
    running = FileDigest()
    running.update(DATA[:1000])
    before = running.copy()
    running.update(b"bytes that are dropped")
    assert (before.position, running.position) == (1000, 1022)
    assert await before.catch_up(fd, len(DATA)) == sha256(DATA)


async def test_a_file_that_is_shorter_than_it_should_be_is_an_error(fd: int) -> None:
    with pytest.raises(OSError, match=f"ends at {len(DATA)}"):
        await FileDigest().catch_up(fd, len(DATA) + 1)


async def test_a_cancelled_digest_ends_within_its_step_and_reads_no_further(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The descriptor may be somebody else's a moment later."""
    monkeypatch.setattr(digests, "_STEP_BYTES", 1000)
    began, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    read: list[int] = []
    pread = os.pread

    def halting(descriptor: int, size: int, offset: int) -> bytes:
        loop.call_soon_threadsafe(began.set)
        go_on.wait(10)
        read.append(offset)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", halting)
    catching_up = asyncio.create_task(FileDigest().catch_up(fd, len(DATA)))
    await began.wait()
    catching_up.cancel()
    await asyncio.sleep(0)
    assert not catching_up.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await catching_up
    assert read == [0]


# --- of a whole file ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_reads")
@pytest.mark.parametrize("size", [len(DATA), 1000, 0])
async def test_a_whole_file_has_the_digests_that_it_has(fd: int, size: int) -> None:
    expected = [(name, judge(name, DATA[:size])) for name in ALGORITHMS]
    await check_digests(fd, size, {}, expected)
    await check_digests(fd, size, {"sha256": sha256(DATA[:size])}, expected)


@pytest.mark.parametrize("name", ALGORITHMS)
async def test_a_whole_file_with_another_digest_is_an_error_that_tells_both(fd: int, name: str) -> None:
    with pytest.raises(DigestMismatch, match=f"have the {name} .+=*, not .+") as caught:
        await check_digests(fd, len(DATA), {}, [(name, judge(name, b"else"))])
    assert caught.value.status == 400


async def test_a_digest_that_is_known_is_not_computed(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> bytes:
        raise AssertionError("nothing needs to be read")

    monkeypatch.setattr(os, "pread", never)
    known = {"sha256": sha256(DATA)}
    await check_digests(fd, len(DATA), known, [("sha256", judge("sha256", DATA))])
    with pytest.raises(DigestMismatch):
        await check_digests(fd, len(DATA), known, [("sha256", judge("sha256", b"else"))])
