"""What the local disk adds to the contract: threads, descriptors, full disks, kills."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from media_service import errors
from media_service.store import files, local_blobs, local_writer
from media_service.store.blobs import BlobCut, BlobExists
from media_service.store.local_blobs import LocalBlobs


def open_descriptors() -> set[str]:
    return {f"{fd}:{fd.readlink()}" for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}


def below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "deep" / "blobs")


async def put(blobs: LocalBlobs, key: str, data: bytes) -> None:
    async with await blobs.create(key) as writer:
        await writer.write(data)
        await writer.seal()


async def test_no_descriptor_is_left_on_any_path(blobs: LocalBlobs) -> None:
    before = {entry for entry in open_descriptors() if str(blobs.root) in entry}
    await put(blobs, "asset/a", b"x")
    async with await blobs.create("asset/b") as writer:
        await writer.write(b"x")
    async with await blobs.open("asset/a") as reader:
        await reader.read(0, 1)
    with pytest.raises(errors.NotFound):
        await blobs.open("asset/absent")
    with pytest.raises(BlobExists):
        await blobs.create("asset/a")
    assert {entry for entry in open_descriptors() if str(blobs.root) in entry} == before


async def test_a_cold_read_goes_to_a_thread_and_is_exact(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(blobs, "asset/a", bytes(range(256)) * 1024)

    def cold(fd: int, into: memoryview, position: int) -> int:
        return files.read_cached(fd, into[:3], position)  # the cache holds a little of it only

    monkeypatch.setattr(local_blobs, "read_cached", cold)
    async with await blobs.open("asset/a") as reader:
        assert bytes(await reader.read(254, 1024)) == (bytes(range(256)) * 1024)[254:1024]
        with pytest.raises(BlobCut):
            await reader.read(0, 256 * 1024 + 1)


async def test_what_nobody_can_tell_to_be_in_memory_is_not_for_the_kernel_to_send(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(blobs, "asset/a", b"0123456789")
    real = os.preadv

    def without_nowait(fd: int, into: list[memoryview], position: int, flags: int = 0) -> int:
        if flags:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(fd, into, position)

    async with await blobs.open("asset/a") as reader:
        assert reader.file == reader.fd
    monkeypatch.setattr(os, "preadv", without_nowait)
    monkeypatch.setattr(files, "file_system_of", lambda device: "nfs4")
    async with await blobs.open("asset/a") as reader:
        assert reader.file is None
        assert bytes(await reader.read(2, 7)) == b"23456"  # by a thread


async def test_a_reader_that_left_lets_its_slow_read_end_on_an_open_descriptor(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(blobs, "asset/a", b"0123456789")
    started, go_on, closed = threading.Event(), threading.Event(), asyncio.Event()
    outcome: list[bytes] = []
    close = os.close

    def slow(fd: int, into: memoryview, position: int) -> int:
        started.set()
        go_on.wait(10)
        count = files.read_all(fd, into, position)
        outcome.append(bytes(into))
        return count

    def close_and_tell(fd: int) -> None:
        name = str(Path(f"/proc/self/fd/{fd}").readlink())
        close(fd)
        if name.endswith("asset/a"):
            closed.set()

    monkeypatch.setattr(local_blobs, "read_cached", lambda *_: 0)
    monkeypatch.setattr(local_blobs, "read_all", slow)

    async def watch() -> None:
        async with await blobs.open("asset/a") as reader:
            await reader.read(0, 10)

    viewer = asyncio.create_task(watch())
    await asyncio.to_thread(started.wait, 10)
    monkeypatch.setattr(os, "close", close_and_tell)
    viewer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await viewer  # at once, not after the disk
    assert not closed.is_set()
    assert any("asset/a" in entry for entry in open_descriptors())
    go_on.set()
    await asyncio.wait_for(closed.wait(), 10)
    assert outcome == [b"0123456789"]
    assert not any("asset/a" in entry for entry in open_descriptors())


async def test_a_cancelled_write_ends_before_its_descriptor_closes(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def slow(fd: int, data: memoryview, position: int) -> None:
        started.set()
        go_on.wait(10)
        files.write_all(fd, data, position)  # EBADF if it were closed
        order.append("written")

    monkeypatch.setattr(local_writer, "write_all", slow)

    async def upload() -> None:
        async with await blobs.create("asset/a") as writer:
            try:
                await writer.write(b"x")
            finally:
                order.append("left")

    task = asyncio.create_task(upload())
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    asyncio.get_running_loop().call_later(0.01, task.cancel)  # impatient: a second time
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == ["written", "left"]
    assert below(blobs.root) == []


async def test_a_cancelled_create_leaves_nothing(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()
    real = os.open

    def slow(path: Path, flags: int, mode: int = 0o777) -> int:
        fd = real(path, flags, mode)
        started.set()
        go_on.wait(10)
        return fd

    monkeypatch.setattr(os, "open", slow)
    task = asyncio.create_task(blobs.create("asset/a"))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert below(blobs.root) == []
    assert not any(str(blobs.root) in entry for entry in open_descriptors())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_storage_full_and_appends_nothing(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.pwrite
    full = True

    def pwrite(fd: int, data: memoryview, position: int) -> int:
        if full and len(data) <= 6:
            raise OSError(number, os.strerror(number))
        return real(fd, data[:4], position)

    monkeypatch.setattr(os, "pwrite", pwrite)
    async with await blobs.create("asset/a") as writer:
        with pytest.raises(errors.StorageFull):
            await writer.write(b"0123456789")
        assert writer.size == 0
        full = False
        await writer.write(b"ab")
        await writer.seal()
    async with await blobs.open("asset/a") as reader:
        assert reader.size == 2
        assert bytes(await reader.read(0, 2)) == b"ab"


async def test_another_error_of_the_disk_is_not_hidden(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int, data: memoryview, position: int) -> int:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "pwrite", broken)
    async with await blobs.create("asset/a") as writer:
        with pytest.raises(OSError, match="input/output") as caught:
            await writer.write(b"x")
        assert caught.value.errno == errno.EIO


async def test_sealing_syncs_the_file_and_every_directory_up_to_the_root(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    async with await blobs.create("asset/renditions/720p.m4s") as writer:
        await writer.write(b"x")
        await writer.seal()
    root = str(blobs.root)
    assert synced == [
        f"{root}/asset/renditions/720p.m4s",
        f"{root}/asset/renditions",
        f"{root}/asset",
        root,
    ]


async def test_a_long_write_syncs_now_and_then(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    monkeypatch.setattr(local_writer, "SYNC_EVERY_BYTES", 100)
    async with await blobs.create("asset/a") as writer:
        for _ in range(25):
            await writer.write(bytes(10))
    assert synced == [100, 200]


async def test_the_writers_descriptor_can_be_opened_again_for_ffmpeg(blobs: LocalBlobs) -> None:
    async with await blobs.create("asset/a") as writer:
        await writer.write(b"moov at the end")
        again = os.open(f"/proc/self/fd/{writer.fd}", os.O_RDONLY)
        try:
            assert os.read(again, 100) == b"moov at the end"
        finally:
            os.close(again)


async def test_files_and_foreign_names_in_the_root_are_no_trees(blobs: LocalBlobs) -> None:
    (blobs.root / "catalog.sqlite3").write_bytes(b"x")
    (blobs.root / ".cache").mkdir()
    (blobs.root / "with space").mkdir()
    (blobs.root / "link").symlink_to("/")
    await put(blobs, "asset/a", b"x")
    assert await blobs.trees() == ["asset"]
    assert (blobs.root / "catalog.sqlite3").exists()


async def test_a_deletion_that_was_cut_short_is_finished_when_asked(blobs: LocalBlobs) -> None:
    left_over = blobs.root / ".deleted-0123456789abcdef" / "renditions"
    left_over.mkdir(parents=True)
    (left_over / "a").write_bytes(b"x")
    assert await blobs.trees() == []  # looking is quick: it removes nothing
    assert left_over.exists()
    await put(blobs, "asset/a", b"x")
    await asyncio.gather(*(blobs.finish_deletions() for _ in range(3)), blobs.delete_tree("asset"))
    assert below(blobs.root) == []


async def test_what_a_crash_kept_from_being_sealed_is_removed_when_asked(blobs: LocalBlobs) -> None:
    crashed = LocalBlobs(blobs.root)
    writer = await crashed.replace("asset/a")
    await writer.write(b"half")
    assert len(below(blobs.root)) == 1
    await blobs.finish_deletions()
    assert below(blobs.root) == []
    async with writer:
        pass


async def test_the_bytes_of_a_replacement_last_before_its_name_does(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    async with await blobs.replace("asset/a") as writer:
        await writer.write(b"x")
        await writer.seal()
    assert synced[0].startswith(".unseen-")
    assert synced[1:] == ["asset", blobs.root.name]


async def test_a_symbolic_link_is_not_followed(blobs: LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (blobs.root / "asset").mkdir()
    (blobs.root / "asset" / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        await blobs.open("asset/a")


async def test_writers_and_readers_at_once_do_not_meet(blobs: LocalBlobs) -> None:
    async def story(number: int) -> None:
        data = bytes([number]) * 10_000
        async with await blobs.create(f"asset{number}/a") as writer:
            for start in range(0, 10_000, 1000):
                await writer.write(data[start : start + 1000])
            await writer.seal()
        async with await blobs.open(f"asset{number}/a") as reader:
            assert bytes(await reader.read(0, 10_000)) == data
        await blobs.delete_tree(f"asset{number}")

    await asyncio.gather(*map(story, range(40)))
    assert below(blobs.root) == []


def test_what_was_sealed_survives_a_kill(tmp_path: Path) -> None:
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from media_service.store.blobs import BlobCut, BlobExists
from media_service.store.local_blobs import LocalBlobs
async def main():
    blobs = LocalBlobs(Path(sys.argv[1]))
    async with await blobs.create("sealed/a") as writer:
        await writer.write(b"whole")
        await writer.seal()
    async with await blobs.create("growing/a") as writer:
        await writer.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL

    async def after() -> None:
        blobs = LocalBlobs(tmp_path)
        async with await blobs.open("sealed/a") as reader:
            assert bytes(await reader.read(0, reader.size)) == b"whole"
        assert await blobs.trees() == ["growing", "sealed"]  # the sweeper sees what nobody owns

    asyncio.run(after())
