"""Blobs that are open once for all who read them, as long as they are what they were."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media_service.errors import NotFound
from media_service.store import shared_blobs as module
from media_service.store.generations import EVERYTHING, Generations
from media_service.store.local_blobs import LocalBlobReader, LocalBlobs
from media_service.store.shared_blobs import IDLE_SWEEPS, SharedBlobs


class Counted(LocalBlobs):
    """Remembers what was opened."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: list[LocalBlobReader] = []

    async def open(self, key: str) -> LocalBlobReader:
        self.opened.append(await super().open(key))
        return self.opened[-1]

    @property
    def open_now(self) -> int:
        return sum(not reader._closed for reader in self.opened)


class Place:
    """A store with blobs of the asset "a", and what shares them."""

    def __init__(self, root: Path) -> None:
        self.generations = Generations()
        self.generations.changed(EVERYTHING)
        self.blobs = Counted(root)
        self.shared = SharedBlobs(self.blobs, self.generations)

    def stamp(self) -> int:
        return self.generations.stamp("a")

    async def store(self, name: str, data: bytes) -> None:
        async with await self.blobs.replace(f"a/{name}") as writer:
            await writer.write(data)
            await writer.seal()

    async def read(self, name: str, stamp: int | None = None) -> bytes:
        async with await self.shared.open(
            f"a/{name}", "a", self.stamp() if stamp is None else stamp
        ) as reader:
            return bytes(await reader.read(0, reader.size))


@asynccontextmanager
async def prepared(root: Path) -> AsyncIterator[Place]:
    place = Place(root)
    try:
        yield place
    finally:
        await place.shared.close()
    assert not place.blobs.open_now


async def test_what_many_read_is_opened_once(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        async with await place.shared.open("a/film", "a", place.stamp()) as reader:
            assert [await place.read("film") for _ in range(5)] == [b"pictures"] * 5
            assert reader.file is not None
            assert os.pread(reader.file, 3, 0) == b"pic"
        assert len(place.blobs.opened) == 1
        assert place.blobs.open_now == 1  # for those who come soon


async def test_what_took_the_place_of_another_is_read_from_the_change_on(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("clip", b"old")
        async with await place.shared.open("a/clip", "a", place.stamp()) as before:
            await place.store("clip", b"new")
            place.generations.changed("a")
            assert await place.read("clip") == b"new"
            assert bytes(await before.read(0, 3)) == b"old"  # whoever reads goes on with what he began
            assert place.blobs.open_now == 2
        assert place.blobs.open_now == 1


async def test_a_deleted_blob_is_let_go_of_by_the_next_sweep(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        assert await place.read("film") == b"pictures"
        async with await place.shared.open("a/film", "a", place.stamp()) as reader:
            await place.blobs.delete_tree("a")
            place.generations.changed("a")
            await place.shared.sweep()
            assert len(place.shared) == 0
            assert bytes(await reader.read(0, 8)) == b"pictures"
        assert not place.blobs.open_now
        with pytest.raises(NotFound):
            await place.read("film")


async def test_what_nobody_reads_is_closed_after_a_while(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        await place.store("sound", b"sound")
        await place.read("film")
        async with await place.shared.open("a/sound", "a", place.stamp()):
            for _ in range(IDLE_SWEEPS - 1):
                await place.shared.sweep()
            assert place.blobs.open_now == 2
            await place.shared.sweep()
            assert place.blobs.open_now == 1  # the other one is being read


async def test_what_is_opened_during_a_change_is_read_once_and_not_kept(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        before = place.stamp()
        place.generations.changed("a")
        assert await place.read("film", before) == b"pictures"
        place.generations.changing("a")
        assert await place.read("film") == b"pictures"
        assert len(place.shared) == 0
        assert not place.blobs.open_now


async def test_no_more_stay_open_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IDLE", 3)
    async with prepared(tmp_path) as place:
        for number in range(6):
            await place.store(f"{number}", b"x")
        async with await place.shared.open("a/0", "a", place.stamp()):
            for number in range(1, 6):
                await place.read(f"{number}")
            assert place.blobs.open_now == 3
            assert await place.read("0") == b"x"
        assert len(place.blobs.opened) == 6


async def test_only_what_is_open_as_it_was_then_is_ready(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        before = place.stamp()
        assert place.shared.ready("a/film", before) is None  # nobody opens it thereby
        assert not place.blobs.opened
        await place.read("film")
        reader = place.shared.ready("a/film", before)
        assert reader is not None
        assert (reader.size, reader.users) == (8, 0)
        assert reader.file is not None
        assert os.pread(reader.file, 8, 0) == b"pictures"
        assert place.shared.ready("a/sound", before) is None
        place.generations.changed("a")
        assert place.shared.ready("a/film", place.stamp()) is None
        await place.store("film", b"others")
        assert await place.read("film") == b"others"
        assert place.shared.ready("a/film", before) is None
        after = place.shared.ready("a/film", place.stamp())
        assert after is not None
        assert after.size == 6
        assert len(place.blobs.opened) == 2


async def test_while_an_asset_changes_nothing_of_it_is_ready(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        await place.read("film")
        place.generations.changing("a")
        assert place.shared.ready("a/film", place.stamp()) is None
        await place.shared.sweep()
        assert not place.blobs.open_now


async def test_what_is_asked_for_again_and_again_stays_open_and_is_closed_after_that(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        await place.read("film")
        for _ in range(3 * IDLE_SWEEPS):
            assert place.shared.ready("a/film", place.stamp()) is not None
            await place.shared.sweep()
        for _ in range(IDLE_SWEEPS - 1):
            assert place.blobs.open_now == 1
            await place.shared.sweep()
        assert place.shared.ready("a/film", place.stamp()) is None
        assert not place.blobs.open_now


async def test_what_was_asked_for_last_is_not_what_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IDLE", 2)
    async with prepared(tmp_path) as place:
        for name in ("one", "two", "three"):
            await place.store(name, b"x")
        await place.read("one")
        await place.read("two")
        assert place.shared.ready("a/one", place.stamp()) is not None
        await place.read("three")
        assert place.shared.ready("a/two", place.stamp()) is None
        assert place.shared.ready("a/one", place.stamp()) is not None


async def test_who_stays_with_what_was_ready_has_it_until_he_leaves(tmp_path: Path) -> None:
    async with prepared(tmp_path) as place:
        await place.store("film", b"pictures")
        await place.read("film")
        reader = place.shared.ready("a/film", place.stamp())
        assert reader is not None
        reader.users += 1
        async with reader:
            await place.blobs.delete_tree("a")
            place.generations.changed("a")
            await place.shared.sweep()
            assert len(place.shared) == 0
            assert reader.file is not None
            assert os.pread(reader.file, 8, 0) == b"pictures"
        assert not place.blobs.open_now
