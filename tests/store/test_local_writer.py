"""Files of this machine as blobs: copied by the kernel or by hand, linked, or neither."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from media_service.errors import StorageFull
from media_service.store import local_writer
from media_service.store.local_blobs import LocalBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "film").write_bytes(bytes(range(256)) * 40)
    fd = os.open(tmp_path / "film", os.O_RDONLY)
    yield fd
    os.close(fd)


def refuses(*_: object) -> int:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def copies_nothing(*_: object) -> int:
    return 0


@pytest.mark.parametrize(
    "kernel", [None, refuses, copies_nothing], ids=["kernel", "refuses", "copies nothing"]
)
async def test_all_that_is_there_is_copied_and_no_more(
    blobs: LocalBlobs, source: int, monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., int] | None
) -> None:
    monkeypatch.setattr(local_writer, "_PIECE_BYTES", 1000)
    monkeypatch.setattr(local_writer, "SYNC_EVERY_BYTES", 3000)
    if kernel is not None:
        monkeypatch.setattr(os, "copy_file_range", kernel)
    async with await blobs.create("asset/original") as writer:
        assert await writer.copy(source, 4321) == 4321
        assert await writer.copy(source, 1 << 20) == 256 * 40
        await writer.seal()
    async with await blobs.open("asset/original") as reader:
        assert bytes(await reader.read(0, reader.size)) == bytes(range(256)) * 40


async def test_another_error_of_the_kernel_is_no_reason_to_go_on(
    blobs: LocalBlobs, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "copy_file_range", broken)
    with pytest.raises(OSError, match="Input/output error"):
        async with await blobs.create("asset/original") as writer:
            await writer.copy(source, 100)
    assert await blobs.trees() == []


async def test_the_margin_of_the_disk_is_kept_by_copies_too(tmp_path: Path, source: int) -> None:
    full = LocalBlobs(tmp_path / "full", margin_bytes=1 << 62)
    with pytest.raises(StorageFull):
        async with await full.create("asset/original") as writer:
            await writer.copy(source, 100)
    assert await full.trees() == []


async def test_a_link_is_one_more_name_and_leaves_nothing_where_it_cannot_be(
    blobs: LocalBlobs, source: int, tmp_path: Path
) -> None:
    assert await blobs.link("asset/original", source)
    assert (blobs.root / "asset" / "original").samefile(tmp_path / "film")
    elsewhere = os.memfd_create("film")
    try:
        assert not await blobs.link("other/original", elsewhere)
    finally:
        os.close(elsewhere)
    assert await blobs.trees() == ["asset"]
