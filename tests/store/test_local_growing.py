"""What the local disk adds to blobs that grow over several requests: syncs in their order, full disks, kills, threads."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.errors import StorageFull
from media_service.store import files, local_growing
from media_service.store.blobs import BlobCut, BlobTaken
from media_service.store.local_blobs import LocalBlobs
from media_service.store.local_growing import LocalGrowingBlob
from media_service.store.local_writer import MEASURE_EVERY_BYTES

MIB = 1 << 20


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


async def get(blobs: LocalBlobs, key: str) -> bytes:
    async with await blobs.open(key) as reader:
        return bytes(await reader.read(0, reader.size))


def descriptors(blobs: LocalBlobs) -> list[str]:
    links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return [str(link) for link in links if link.is_relative_to(blobs.root)]


@pytest.fixture
def synced(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, in order, as paths below the root; data syncs have their size."""
    done: list[str] = []

    def name(fd: int) -> str:
        return Path(f"/proc/self/fd/{fd}").readlink().relative_to(blobs.root).as_posix()

    monkeypatch.setattr(os, "fsync", lambda fd: done.append(name(fd)))
    monkeypatch.setattr(os, "fdatasync", lambda fd: done.append(f"{name(fd)}: {os.fstat(fd).st_size}"))
    return done


async def test_the_first_sync_makes_the_bytes_last_then_every_directory_up_to_the_root(
    blobs: LocalBlobs, synced: list[str]
) -> None:
    async with await blobs.grow("asset/deep/a", 0) as blob:
        await blob.write(b"12345")
        assert synced == []
        await blob.sync()
        assert synced == ["asset/deep/a: 5", "asset/deep", "asset", "."]
        await blob.write(b"6")
        await blob.sync()
        assert synced[4:] == ["asset/deep/a: 6"]
        await blob.seal()
        assert synced[5:] == ["asset/deep/a"]


async def test_names_that_are_durable_are_not_synced_by_the_next_request(
    blobs: LocalBlobs, synced: list[str]
) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"12345")
        await blob.sync()
    synced.clear()
    async with await blobs.grow("asset/a", 5) as blob:
        await blob.write(b"6")
        await blob.sync()
    assert synced == ["asset/a: 6"]


async def test_names_that_may_not_be_durable_are_synced_again(blobs: LocalBlobs, synced: list[str]) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"12345")
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.seal()
    assert synced == ["asset/a", "asset", "."]


async def test_no_descriptor_is_left_on_any_path(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"12345")
        async with await blobs.grow("asset/a", 3):
            pass
    with pytest.raises(BlobCut):
        await blobs.grow("asset/a", 10)
    with pytest.raises(BlobCut):
        await blobs.grow("asset/a/b", 10)

    def broken(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "ftruncate", broken)
    with pytest.raises(OSError, match="input/output"):
        await blobs.grow("asset/a", 1)
    assert descriptors(blobs) == []


async def test_a_cancelled_opening_leaves_no_descriptor(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()
    real = os.open

    def slow(path: Path, flags: int, mode: int = 0o777) -> int:
        fd = real(path, flags, mode)
        started.set()
        go_on.wait(10)
        return fd

    monkeypatch.setattr(os, "open", slow)
    task = asyncio.create_task(blobs.grow("asset/a", 0))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert descriptors(blobs) == []


async def test_whoever_takes_over_waits_for_a_write_that_the_disk_still_has(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(fd: int, data: memoryview, position: int) -> None:
        if bytes(data) == b"late":
            started.set()
            go_on.wait(10)
        files.write_all(fd, data, position)

    monkeypatch.setattr(local_growing, "write_all", slow)
    async with await blobs.grow("asset/a", 0) as old:
        await old.write(b"committed ")
        await old.sync()
        writing = asyncio.create_task(old.write(b"late"))
        await asyncio.to_thread(started.wait, 10)
        taking = asyncio.create_task(blobs.grow("asset/a", 10))
        waiting = asyncio.create_task(old.write(b"never"))  # behind the slow one, before the new one
        done, _ = await asyncio.wait({taking}, timeout=0.05)
        assert not done
        go_on.set()
        await writing
        with pytest.raises(BlobTaken):
            await waiting
        async with await taking as new:
            await new.write(b"new")
            await new.seal()
    assert await get(blobs, "asset/a") == b"committed new"


async def test_a_slow_sync_stops_no_writes_and_counts_what_was_there_before(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        os.fstat(fd)  # EBADF if it were closed
        started.set()
        go_on.wait(10)
        os.fstat(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"before ")
        syncing = asyncio.create_task(blob.sync())
        await asyncio.to_thread(started.wait, 10)
        await blob.write(b"and after")
        assert blob.size == 16
    go_on.set()
    assert await syncing == 7
    assert descriptors(blobs) == []


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, OSError), (errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull)]
)
async def test_a_sync_that_failed_is_not_made_good_by_another(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def broken(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"safe ")
        await blob.sync()
        await blob.write(b"lost")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            with pytest.raises(kind):
                await blob.sync()
        for change in (blob.sync(), blob.write(b"x"), blob.cut(0), blob.seal()):
            with pytest.raises(kind):
                await change
    async with await blobs.grow("asset/a", 5) as blob:
        await blob.write(b"again")
        await blob.seal()
    assert await get(blobs, "asset/a") == b"safe again"


async def test_a_sync_that_failed_while_its_caller_was_cancelled_is_not_forgotten(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears of the cancellation only; whoever syncs next must hear of the rest."""
    started, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def broken(fd: int) -> None:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(10)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"lost")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            syncing = asyncio.create_task(blob.sync())
            await started.wait()
            syncing.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await syncing
        with pytest.raises(StorageFull):
            await blob.sync()


async def test_a_full_disk_appends_nothing_and_takes_more_when_there_is_room(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    full = True

    def pwrite(fd: int, data: memoryview, position: int) -> int:
        if full and len(data) <= 6:
            raise OSError(errno.ENOSPC, "no room")
        return real(fd, data[:4], position)

    monkeypatch.setattr(os, "pwrite", pwrite)
    async with await blobs.grow("asset/a", 0) as blob:
        with pytest.raises(StorageFull):
            await blob.write(b"0123456789")
        assert (blob.size, await blob.sync()) == (0, 0)
        assert await get(blobs, "asset/a") == b""
        full = False
        await blob.write(b"ab")
        await blob.seal()
    assert await get(blobs, "asset/a") == b"ab"


async def fill(blob: LocalGrowingBlob) -> None:
    for number in range(96):
        await blob.write(bytes([number]) * MIB)


async def test_on_a_disk_that_is_really_full_the_bytes_before_are_kept_and_growing_goes_on_later(
    small_disk: Path,
) -> None:
    blobs = LocalBlobs(small_disk / "blobs")
    async with await blobs.create("other/original") as other:
        await other.write(bytes(8 * MIB))
        async with await blobs.grow("asset/a", 0) as blob:
            with pytest.raises(StorageFull):
                await fill(blob)
            kept = await blob.sync()
            assert kept == blob.size
            assert 8 * MIB < kept < 32 * MIB
        with pytest.raises(StorageFull):
            async with await blobs.grow("asset/a", kept) as blob:
                await blob.write(bytes(MEASURE_EVERY_BYTES))
    async with await blobs.grow("asset/a", kept) as blob:  # the other one is gone
        await blob.write(b"the end")
        await blob.seal()
    whole = await get(blobs, "asset/a")
    assert whole == b"".join(bytes([number]) * MIB for number in range(kept // MIB)) + b"the end"


async def test_where_the_margin_begins_nothing_is_written(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path, margin_bytes=LocalBlobs(tmp_path).free_bytes() * 2)
    async with await blobs.grow("asset/a", 0) as blob:
        with pytest.raises(StorageFull):
            await blob.write(b"x")
        await blob.cut(0)
        with pytest.raises(StorageFull):
            await blob.write(b"x")
        assert blob.size == 0


async def test_a_symbolic_link_is_not_followed(blobs: LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (blobs.root / "asset").mkdir()
    (blobs.root / "asset" / "a").symlink_to(tmp_path / "secret")
    for at in (0, 3):
        with pytest.raises(OSError, match="symbolic links"):
            await blobs.grow("asset/a", at)
    assert (tmp_path / "secret").read_bytes() == b"secret"


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from media_service.store.local_blobs import LocalBlobs
async def main():
    blobs = LocalBlobs(Path(sys.argv[1]))
    at = int(sys.argv[2])
    async with await blobs.grow("asset/a", at) as blob:
        await blob.write(b"%d" % at * 1000)
        print(await blob.sync(), flush=True)
        await blob.write(b"never told to anybody")
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_what_was_synced_survives_kills_and_what_was_not_is_dropped(tmp_path: Path) -> None:
    told, expected = 0, b""
    for _ in range(4):
        argv = [sys.executable, "-c", KILLED, str(tmp_path), str(told)]
        ended = await asyncio.to_thread(subprocess.run, argv, check=False, capture_output=True, timeout=60)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        expected += b"%d" % told * 1000
        told = int(ended.stdout)
        assert told == len(expected)
    blobs = LocalBlobs(tmp_path)
    async with await blobs.grow("asset/a", told) as blob:
        await blob.seal()
    assert await get(blobs, "asset/a") == expected


STEPS = st.lists(
    st.one_of(
        st.binary(max_size=300).map(lambda data: ("write", data)),
        st.integers(0, 1000).map(lambda size: ("cut", size)),
        st.just(("sync", None)),
        st.just(("grow", None)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_the_order_of_changes_a_blob_has_the_bytes_that_it_was_told(
    steps: list[tuple[str, object]],
) -> None:
    async def story(blobs: LocalBlobs) -> None:
        expected = b""
        durable = 0
        blob = await blobs.grow("asset/a", 0)
        for name, value in steps:
            if isinstance(value, bytes):
                await blob.write(value)
                expected += value
            elif isinstance(value, int):
                expected = expected[: max(durable, value)]
                await blob.cut(len(expected))
            elif name == "sync":
                durable = await blob.sync()
            else:
                async with blob:
                    after = await blobs.grow("asset/a", durable)
                blob = after
                expected = expected[:durable]
            assert blob.size == len(expected)
        await blob.seal()
        assert await get(blobs, "asset/a") == expected
        async with blob:
            pass

    with tempfile.TemporaryDirectory() as root:
        asyncio.run(story(LocalBlobs(Path(root))))
