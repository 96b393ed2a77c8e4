"""What was read once is kept, within bounds."""

from __future__ import annotations

import asyncio

import pytest

from media_service.errors import NotFound
from media_service.work.opened import Opened


class Reader:
    """Every asset weighs as much as its name is long."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def __call__(self, asset_id: str) -> tuple[object, int]:
        self.read.append(asset_id)
        await asyncio.sleep(0)
        if asset_id == "absent":
            raise NotFound
        return object(), len(asset_id)


async def test_what_is_kept_is_not_read_again() -> None:
    reader = Reader()
    opened = Opened(reader, 10)
    first = await opened.of("a")
    assert await opened.of("a") is first
    assert reader.read == ["a"]


async def test_what_was_not_used_for_longest_goes_first() -> None:
    reader = Reader()
    opened = Opened(reader, 4)
    for asset_id in ("aa", "bb", "aa", "cc"):
        await opened.of(asset_id)
    assert reader.read == ["aa", "bb", "cc"]
    for asset_id in ("aa", "cc", "bb"):
        await opened.of(asset_id)
    assert reader.read == ["aa", "bb", "cc", "bb"]


async def test_the_newest_is_kept_however_heavy_it_is() -> None:
    reader = Reader()
    opened = Opened(reader, 4)
    await opened.of("a")
    heavy = await opened.of("very heavy")
    assert await opened.of("very heavy") is heavy
    await opened.of("a")
    assert reader.read == ["a", "very heavy", "a"]


async def test_those_who_ask_at_the_same_time_share_one_reading() -> None:
    reader = Reader()
    opened = Opened(reader, 10)
    first, second = await asyncio.gather(opened.of("a"), opened.of("a"))
    assert first is second
    assert reader.read == ["a"]


async def test_they_share_what_goes_wrong_too() -> None:
    reader = Reader()
    opened = Opened(reader, 10)
    assert all(
        isinstance(one, NotFound)
        for one in await asyncio.gather(opened.of("absent"), opened.of("absent"), return_exceptions=True)
    )
    assert reader.read == ["absent"]


@pytest.mark.parametrize("asset_id", ["a", "absent"])
async def test_who_leaves_does_not_end_the_reading_of_others(asset_id: str) -> None:
    reader = Reader()
    opened = Opened(reader, 10)
    one, other = (asyncio.create_task(opened.of(asset_id)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    if asset_id == "a":
        assert await other is await opened.of("a")
    else:
        with pytest.raises(NotFound):
            await other
    assert one.cancelled()
    assert reader.read == [asset_id]


async def test_only_what_is_kept_is_known() -> None:
    opened = Opened(Reader(), 2)
    assert opened.known("aa") is None
    found = await opened.of("aa")
    assert opened.known("aa") is found
    await opened.of("bb")
    assert opened.known("aa") is None


async def test_what_is_not_there_is_not_kept() -> None:
    reader = Reader()
    opened = Opened(reader, 10)
    for _ in range(2):
        with pytest.raises(NotFound):
            await opened.of("absent")
    assert reader.read == ["absent", "absent"]
