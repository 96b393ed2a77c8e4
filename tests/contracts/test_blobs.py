"""The story every blob store must tell. A new adapter joins by one more parameter of `blobs`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service import errors
from media_service.store.blobs import BlobCut, BlobExists, BlobStore, BlobTaken, checked_key
from media_service.store.local_blobs import LocalBlobs


@pytest.fixture(params=["local"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    assert request.param == "local"
    return LocalBlobs(tmp_path / "blobs")


async def put(blobs: BlobStore, key: str, data: bytes) -> None:
    async with await blobs.create(key) as writer:
        await writer.write(data)
        await writer.seal()


async def get(blobs: BlobStore, key: str) -> bytes:
    async with await blobs.open(key) as reader:
        return bytes(await reader.read(0, reader.size))


async def test_what_was_sealed_is_read_back(blobs: BlobStore) -> None:
    async with await blobs.create("asset/original.mp4") as writer:
        await writer.write(b"one ")
        await writer.write(bytearray(b"two "))
        await writer.write(memoryview(b"-three-")[1:-1])
        await writer.write(b"")
        assert writer.size == 13
        await writer.seal()
    async with await blobs.open("asset/original.mp4") as reader:
        assert reader.size == 13
        assert bytes(await reader.read(0, 13)) == b"one two three"
        assert bytes(await reader.read(4, 7)) == b"two"
        assert bytes(await reader.read(5, 5)) == b""


async def test_a_blob_that_was_not_sealed_is_gone_on_exit(blobs: BlobStore) -> None:
    async with await blobs.create("asset/original.mp4") as writer:
        await writer.write(b"half")
    with pytest.raises(errors.NotFound):
        await blobs.open("asset/original.mp4")
    await put(blobs, "asset/original.mp4", b"the key is free again")


async def test_an_error_or_a_cancellation_removes_the_growing_blob(blobs: BlobStore) -> None:
    async def failing() -> None:
        async with await blobs.create("asset/a") as writer:
            await writer.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await failing()

    async def endless() -> None:
        async with await blobs.create("asset/b") as writer:
            while True:
                await writer.write(bytes(4096))
                growing.set()

    growing = asyncio.Event()
    task = asyncio.create_task(endless())
    await growing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for key in ("asset/a", "asset/b"):
        with pytest.raises(errors.NotFound):
            await blobs.open(key)


async def test_readers_see_a_blob_grow(blobs: BlobStore) -> None:
    async with await blobs.create("asset/720p.m4s") as writer:
        await writer.write(b"first")
        async with await blobs.open("asset/720p.m4s") as reader:
            assert reader.size == 5
            await writer.write(b"second")
            assert bytes(await reader.read(0, writer.size)) == b"firstsecond"
            with pytest.raises(BlobCut):
                await reader.read(5, writer.size + 1)


async def test_a_blob_that_replaces_another_is_seen_when_it_is_sealed_and_whole(blobs: BlobStore) -> None:
    for data in (b"first", b"", b"the third"):
        before = await blobs.keys("asset")
        async with await blobs.replace("asset/deep/a") as writer:
            await writer.write(data)
            assert await blobs.keys("asset") == before
            assert before or await blobs.trees() == []
            await writer.seal()
            assert await get(blobs, "asset/deep/a") == data
        assert await get(blobs, "asset/deep/a") == data


async def test_who_reads_what_is_replaced_reads_on(blobs: BlobStore) -> None:
    await put(blobs, "asset/a", b"old version")
    async with await blobs.open("asset/a") as reader:
        async with await blobs.replace("asset/a") as writer:
            await writer.write(b"NEW")
            assert await get(blobs, "asset/a") == b"old version"
            await writer.seal()
        assert bytes(await reader.read(0, reader.size)) == b"old version"
    assert await get(blobs, "asset/a") == b"NEW"


async def test_a_replacement_that_was_not_sealed_leaves_what_was_there(blobs: BlobStore) -> None:
    async with await blobs.replace("asset/b") as writer:
        await writer.write(b"half")
    assert await blobs.trees() == []
    await put(blobs, "asset/a", b"old version")
    async with await blobs.replace("asset/a") as writer:
        await writer.write(b"half")
    assert await get(blobs, "asset/a") == b"old version"


async def test_of_many_replacements_one_is_there_whole(blobs: BlobStore) -> None:
    async def attempt(number: int) -> None:
        async with await blobs.replace("asset/a") as writer:
            await writer.write(b"%03d" % number * 1000)
            await writer.seal()

    await asyncio.gather(*map(attempt, range(20)))
    found = await get(blobs, "asset/a")
    assert found == found[:3] * 1000
    assert await blobs.keys("asset") == ["asset/a"]


async def test_finishing_deletions_is_no_trouble_for_a_replacement(blobs: BlobStore) -> None:
    async with await blobs.replace("asset/a") as writer:
        await writer.write(b"whole")
        await blobs.finish_deletions()
        await writer.seal()
    assert await get(blobs, "asset/a") == b"whole"


async def test_a_blob_that_is_too_short_says_so(blobs: BlobStore) -> None:
    await put(blobs, "asset/a", b"12345")
    async with await blobs.open("asset/a") as reader:
        for start, stop in ((0, 6), (4, 6), (5, 6), (100, 200)):
            with pytest.raises(BlobCut):
                await reader.read(start, stop)
        assert bytes(await reader.read(0, 5)) == b"12345"


async def test_several_places_are_read_at_once(blobs: BlobStore) -> None:
    data = bytes(range(251)) * 1000
    await put(blobs, "asset/a", data)
    samples = [(start, start + 90) for start in range(0, 200_000, 100)]
    others = [(200_000, 251_000), (5, 6), (5, 6), (3, 7), (100_000, 100_001), (150_000, 150_000)]
    async with await blobs.open("asset/a") as reader:
        for spans in (samples, others, samples + others, [(0, 251_000)], []):
            assert bytes(await reader.gather(spans)) == b"".join(data[start:stop] for start, stop in spans)
        with pytest.raises(BlobCut):
            await reader.gather([(0, 5), (250_999, 251_001)])


async def test_a_key_is_used_once(blobs: BlobStore) -> None:
    await put(blobs, "asset/a", b"first")
    with pytest.raises(BlobExists):
        await blobs.create("asset/a")
    assert await get(blobs, "asset/a") == b"first"


async def test_of_many_creators_of_a_key_one_wins(blobs: BlobStore) -> None:
    async def attempt(number: int) -> int | None:
        try:
            async with await blobs.create("asset/a") as writer:
                await writer.write(b"%d" % number)
                await writer.seal()
        except BlobExists:
            return None
        return number

    winners = [number for number in await asyncio.gather(*map(attempt, range(20))) if number is not None]
    assert len(winners) == 1
    assert await get(blobs, "asset/a") == b"%d" % winners[0]


async def test_an_open_reader_outlives_the_deletion(blobs: BlobStore) -> None:
    await put(blobs, "asset/a", b"old version")
    async with await blobs.open("asset/a") as reader:
        await blobs.delete("asset/a")
        await put(blobs, "asset/a", b"NEW")
        assert bytes(await reader.read(0, reader.size)) == b"old version"
    assert await get(blobs, "asset/a") == b"NEW"


async def test_deleting_is_idempotent(blobs: BlobStore) -> None:
    await blobs.delete("asset/absent")
    await blobs.delete_tree("absent")
    await put(blobs, "asset/a", b"x")
    await blobs.delete("asset/a")
    await blobs.delete("asset/a")
    with pytest.raises(errors.NotFound):
        await blobs.open("asset/a")


async def test_a_tree_goes_as_a_whole_and_alone(blobs: BlobStore) -> None:
    for key in ("one/original.mp4", "one/renditions/720p.m4s", "two/original.mp4"):
        await put(blobs, key, key.encode())
    assert await blobs.trees() == ["one", "two"]
    await blobs.delete_tree("one")
    assert await blobs.trees() == ["two"]
    for key in ("one/original.mp4", "one/renditions/720p.m4s", "one"):
        with pytest.raises(errors.NotFound):
            await blobs.open(key)
    assert await get(blobs, "two/original.mp4") == b"two/original.mp4"


async def test_the_keys_of_a_tree_are_those_of_its_blobs_also_while_they_grow(blobs: BlobStore) -> None:
    assert await blobs.keys("one") == []
    for key in ("one/original", "one/segments/720p/2-b", "one/segments/720p/1-a", "two/segments/1"):
        await put(blobs, key, b"x")
    assert await blobs.keys("one/segments") == ["one/segments/720p/1-a", "one/segments/720p/2-b"]
    async with await blobs.create("one/segments/audio/0-c"):
        assert len(await blobs.keys("one")) == 4
    assert len(await blobs.keys("one")) == 3
    await blobs.delete_tree("one")
    assert await blobs.keys("one") == []


async def test_a_blob_that_is_not_sealed_takes_its_place_with_it(blobs: BlobStore) -> None:
    async with await blobs.create("alone/runs/a"):
        assert await blobs.trees() == ["alone"]
    assert await blobs.trees() == []
    await put(blobs, "shared/original", b"x")
    async with await blobs.create("shared/runs/a"):
        pass
    assert await blobs.trees() == ["shared"]
    assert await get(blobs, "shared/original") == b"x"


async def test_blobs_that_come_and_go_in_one_tree_do_not_take_each_others_place(blobs: BlobStore) -> None:
    async def story(number: int) -> None:
        for turn in range(20):
            async with await blobs.create(f"asset/runs/{number}-{turn}"):
                pass

    await asyncio.gather(*map(story, range(8)))
    assert await blobs.trees() == []


async def test_a_writer_whose_tree_was_deleted_ends_quietly(blobs: BlobStore) -> None:
    async with await blobs.create("asset/a") as writer:
        await writer.write(b"x")
        await blobs.delete_tree("asset")
        await writer.write(b"y")
    assert await blobs.trees() == []


async def test_nothing_is_written_after_the_seal(blobs: BlobStore) -> None:
    async with await blobs.create("asset/a") as writer:
        await writer.write(b"x")
        await writer.seal()
        with pytest.raises(ValueError, match="sealed"):
            await writer.write(b"y")
        assert writer.size == 1
        assert writer.fd >= 0
    with pytest.raises(ValueError, match="closed"):
        _ = writer.fd
    assert await get(blobs, "asset/a") == b"x"


async def test_a_reader_cannot_be_used_after_its_exit(blobs: BlobStore) -> None:
    await put(blobs, "asset/a", b"x")
    async with await blobs.open("asset/a") as reader:
        pass
    with pytest.raises(ValueError, match="closed"):
        await reader.read(0, 1)


async def test_what_was_read_does_not_change_with_the_next_read(blobs: BlobStore) -> None:
    await put(blobs, "asset/a", b"aaaabbbb")
    async with await blobs.open("asset/a") as reader:
        first = await reader.read(0, 4)
        second = await reader.read(4, 8)
        assert (bytes(first), bytes(second)) == (b"aaaa", b"bbbb")
    assert (bytes(first), bytes(second)) == (b"aaaa", b"bbbb")


async def grow(blobs: BlobStore, key: str, at: int, data: bytes) -> None:
    async with await blobs.grow(key, at) as blob:
        await blob.write(data)
        await blob.sync()


async def test_a_growing_blob_is_kept_on_exit_and_goes_on_where_it_is_told(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/original", 0) as blob:
        await blob.write(b"one ")
        await blob.write(bytearray(b"two "))
        await blob.write(memoryview(b"-lost-")[1:-1])
        await blob.write(b"")
        assert (blob.size, await blob.sync()) == (12, 12)
    assert await get(blobs, "asset/original") == b"one two lost"
    async with await blobs.grow("asset/original", 8) as blob:
        assert blob.size == 8
        assert await get(blobs, "asset/original") == b"one two "
        await blob.write(b"three")
        await blob.seal()
        assert blob.fd >= 0
    assert await get(blobs, "asset/original") == b"one two three"
    assert await blobs.keys("asset") == ["asset/original"]


async def test_a_growing_blob_begins_anew_at_0(blobs: BlobStore) -> None:
    await grow(blobs, "asset/a", 0, b"never told to anybody")
    await grow(blobs, "asset/a", 0, b"x")
    assert await get(blobs, "asset/a") == b"x"
    async with await blobs.grow("asset/empty", 0) as blob:
        assert await blob.sync() == 0
    assert await get(blobs, "asset/empty") == b""


async def test_an_error_or_a_cancellation_keeps_what_a_growing_blob_has(blobs: BlobStore) -> None:
    async def endless() -> None:
        async with await blobs.grow("asset/a", 0) as blob:
            await blob.write(b"begin")
            await blob.sync()
            begun.set()
            while True:
                await blob.write(bytes(4096))

    begun = asyncio.Event()
    task = asyncio.create_task(endless())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await grow(blobs, "asset/a", 5, b" and end")
    assert await get(blobs, "asset/a") == b"begin and end"


@pytest.mark.parametrize("at", [1, 6, 1 << 40])
async def test_a_blob_that_is_shorter_than_it_was_said_to_be_does_not_grow(blobs: BlobStore, at: int) -> None:
    with pytest.raises(BlobCut):
        await blobs.grow("absent/a", at)
    assert await blobs.trees() == []
    await grow(blobs, "asset/a", 0, b"12345"[: min(5, at - 1)])
    with pytest.raises(BlobCut):
        await blobs.grow("asset/a", at)
    assert len(await get(blobs, "asset/a")) == min(5, at - 1)


async def test_what_is_cut_off_a_growing_blob_is_gone_and_it_goes_on_there(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"right wrong")
        await blob.sync()
        await blob.cut(6)
        assert blob.size == 6
        assert await get(blobs, "asset/a") == b"right "
        await blob.cut(6)
        for size in (-1, 7):
            with pytest.raises(ValueError, match="6 bytes"):
                await blob.cut(size)
        await blob.write(b"again")
        await blob.seal()
    assert await get(blobs, "asset/a") == b"right again"


async def test_readers_see_a_growing_blob_grow_and_outlive_its_deletion(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"first")
        async with await blobs.open("asset/a") as reader:
            await blob.write(b"second")
            assert bytes(await reader.read(0, blob.size)) == b"firstsecond"
            await blobs.delete_tree("asset")
            assert bytes(await reader.read(0, blob.size)) == b"firstsecond"
    assert await blobs.trees() == []


async def test_whoever_goes_on_with_a_blob_stops_the_one_before(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as slow:
        await slow.write(b"committed, and never heard of")
        await slow.sync()
        async with await blobs.grow("asset/a", 9) as quick:
            for change in (slow.write(b"x"), slow.sync(), slow.cut(0), slow.seal()):
                with pytest.raises(BlobTaken):
                    await change
            await quick.write(b" again")
            await quick.seal()
    assert await get(blobs, "asset/a") == b"committed again"


async def test_of_many_who_go_on_with_a_blob_only_the_last_writes(blobs: BlobStore) -> None:
    async def attempt(number: int) -> bool:
        async with await blobs.grow("asset/a", 4) as blob:
            try:
                for _ in range(50):
                    await blob.write(b"%02d" % number)
            except BlobTaken:
                return False
            return True

    await grow(blobs, "asset/a", 0, b"same")
    outcomes = await asyncio.gather(*map(attempt, range(10)))
    assert outcomes == [False] * 9 + [True]
    assert await get(blobs, "asset/a") == b"same" + b"09" * 50


async def test_blobs_of_different_keys_grow_beside_each_other(blobs: BlobStore) -> None:
    async def story(number: int) -> None:
        for at in range(0, 100, 10):
            await grow(blobs, f"asset{number}/a", at, bytes([number]) * 10)

    await asyncio.gather(*map(story, range(20)))
    for number in range(20):
        assert await get(blobs, f"asset{number}/a") == bytes([number]) * 100


async def test_a_growing_blob_may_be_synced_while_it_is_written(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        synced = await asyncio.gather(*(step for _ in range(20) for step in (blob.write(b"x"), blob.sync())))
        assert all(count is None or 0 <= count <= 20 for count in synced)
        assert await blob.sync() == 20


async def test_a_growing_blob_does_not_change_after_its_seal_nor_after_its_exit(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"x")
        await blob.seal()
        for change in (blob.write(b"y"), blob.sync(), blob.cut(0), blob.seal()):
            with pytest.raises(ValueError, match="sealed"):
                await change
    with pytest.raises(ValueError, match="closed"):
        _ = blob.fd
    async with await blobs.grow("asset/b", 0) as blob:
        pass
    for change in (blob.write(b"y"), blob.sync(), blob.cut(0), blob.seal()):
        with pytest.raises(ValueError, match="closed"):
            await change
    assert await get(blobs, "asset/a") == b"x"


async def test_a_growing_blob_whose_tree_was_deleted_says_so_and_makes_no_new_one(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        await blob.write(b"x")
        await blobs.delete_tree("asset")
        with pytest.raises(errors.NotFound):
            await blob.sync()
    assert await blobs.trees() == []


async def test_a_blob_that_came_and_went_beside_a_growing_one_leaves_its_place(blobs: BlobStore) -> None:
    async with await blobs.grow("asset/a", 0) as blob:
        async with await blobs.create("asset/b"):
            pass
        await blob.sync()
    assert await blobs.keys("asset") == ["asset/a"]


async def test_there_is_room(blobs: BlobStore) -> None:
    assert blobs.free_bytes() > 0


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        ".hidden",
        "a/.b",
        "a\\b",
        "a\0b",
        "a\n",
        "ä",
        "-rf",
        "a" * 129,
        "/".join("abcdefghi"),
    ],
)
async def test_a_key_that_is_not_safe_is_refused_everywhere(blobs: BlobStore, key: str) -> None:
    for call in (blobs.create, blobs.replace, blobs.open, blobs.delete, blobs.delete_tree):
        with pytest.raises(ValueError, match="not a blob key"):
            await call(key)
    with pytest.raises(ValueError, match="not a blob key"):
        await blobs.grow(key, 0)


@given(st.text())
def test_a_key_that_passes_stays_below_the_root(key: str) -> None:
    try:
        path = Path("/root") / checked_key(key)
    except ValueError:
        return
    assert path.is_relative_to("/root")
    assert path.as_posix() == f"/root/{key}"
    assert ".." not in path.parts
