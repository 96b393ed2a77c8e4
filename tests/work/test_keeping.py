"""Small blobs, whole."""

from __future__ import annotations

import asyncio

import pytest

from media_service.errors import NotFound
from media_service.work.keeping import keep, read_whole
from tests.support.workshop import Workshop


async def test_what_was_kept_is_read_back_and_the_last_one_stays(workshop: Workshop) -> None:
    for data in (b"half", b"", b"all of it"):
        await keep(workshop.blobs, "one/small", data)
        assert await read_whole(workshop.blobs, "one/small") == data


async def test_nobody_sees_a_part(workshop: Workshop) -> None:
    old, new = bytes(1 << 20), b"x" * (1 << 20)
    await keep(workshop.blobs, "one/small", old)
    keeping = asyncio.create_task(keep(workshop.blobs, "one/small", new))
    seen = []
    while not keeping.done():
        seen.append(await read_whole(workshop.blobs, "one/small"))
        await asyncio.sleep(0)
    assert set(seen) <= {old, new}
    await keeping


async def test_what_is_not_there_cannot_be_read(workshop: Workshop) -> None:
    with pytest.raises(NotFound):
        await read_whole(workshop.blobs, "one/small")
