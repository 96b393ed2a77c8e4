"""The last of the disk is the catalog's: blobs stop before, and a film can still be deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_service.errors import StorageFull
from media_service.store.blobs import DISK_MARGIN_BYTES
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.local_blobs import LocalBlobs
from media_service.store.local_writer import MEASURE_EVERY_BYTES, LocalBlobWriter
from tests.contracts.test_catalog import asset, rendition, segment

MIB = 1 << 20


async def fill(writer: LocalBlobWriter) -> None:
    for _ in range(96):
        await writer.write(bytes(MIB))


async def test_blobs_of_unknown_length_leave_the_catalog_its_room(small_disk: Path) -> None:
    blobs = LocalBlobs(small_disk / "blobs")
    async with open_catalog(sqlite_url(small_disk / "catalog.sqlite3")) as catalog:
        await catalog.add_asset(asset())
        await catalog.put_renditions("one", [rendition()])
        await catalog.add_segments([segment(number) for number in range(2000)])
        writers = [await blobs.create(f"one/{number}") for number in range(3)]
        for writer in writers:
            with pytest.raises(StorageFull):
                await fill(writer)
        assert sum(writer.size for writer in writers) > 20 * MIB
        assert blobs.free_bytes() > DISK_MARGIN_BYTES - MEASURE_EVERY_BYTES
        # A blob that is small stops there as well: a thousand of them would fill the rest.
        async with await blobs.create("one/header") as small:
            with pytest.raises(StorageFull):
                await small.write(bytes(MIB))
        await catalog.update_asset("one", state="failed")
        await catalog.delete_asset("one")
        for writer in writers:
            async with writer:
                pass
        assert await blobs.trees() == []


async def test_where_the_margin_begins_nothing_is_written(tmp_path: Path) -> None:
    free = LocalBlobs(tmp_path).free_bytes()
    blobs = LocalBlobs(tmp_path, margin_bytes=free * 2)
    async with await blobs.create("one/original") as writer:
        with pytest.raises(StorageFull):
            await writer.write(b"x")
        assert writer.size == 0
