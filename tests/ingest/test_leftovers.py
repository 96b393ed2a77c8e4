"""What is left in the store of an upload that becomes no asset: nothing, not even a directory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from media_service.errors import MediaServiceError, NotMedia, StorageFull, UploadCut
from media_service.ffmpeg.fence import Limits
from media_service.ingest.intake import Incoming, Intake
from media_service.ingest.pipeline import Admission
from media_service.memory.budget import Budget
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset
from tests.support.films import Film, Films

MIB = 1 << 20


class Rows:
    """As much of a catalog as admission needs; `full` says that there is no room for another row."""

    def __init__(self, *, full: bool) -> None:
        self.assets: list[Asset] = []
        self._full = full

    async def add_asset(self, asset: Asset) -> None:
        if self._full:
            raise StorageFull
        self.assets.append(asset)


@pytest.fixture(params=[0, 64 * MIB], ids=["disk", "memory"])
def intake(request: pytest.FixtureRequest, tmp_path: Path) -> Intake:
    blobs: BlobStore = LocalBlobs(tmp_path)
    return Intake(budget=Budget(request.param), blobs=blobs, max_bytes=64 * MIB)


async def admit(incoming: Incoming, rows: Rows) -> Asset:
    admission = Admission(catalog=cast("Catalog", rows), limits=Limits(), submit=lambda _: None)
    return await admission.admit(incoming, filename="a.mp4", title=None)


async def break_off(intake: Intake) -> None:
    async with intake.begin(10 * MIB) as incoming:
        await incoming.write(bytes(3 * MIB))
        raise UploadCut


async def put(intake: Intake, content: bytes, rows: Rows) -> Asset:
    async with intake.begin(None) as incoming:
        await incoming.write(content)
        return await admit(incoming, rows)


def check_nothing_left(
    tmp_path: Path, error: type[MediaServiceError], intake: Intake, content: bytes
) -> None:
    rows = Rows(full=error is StorageFull)
    with pytest.raises(error):
        asyncio.run(put(intake, content, rows) if content else break_off(intake))
    assert list(tmp_path.iterdir()) == []
    assert rows.assets == []


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, intake: Intake) -> None:
    check_nothing_left(tmp_path, UploadCut, intake, b"")


def test_an_upload_that_is_refused_leaves_nothing(tmp_path: Path, intake: Intake) -> None:
    check_nothing_left(tmp_path, NotMedia, intake, b"no film " * 300_000)


def test_a_film_whose_row_does_not_fit_any_more_leaves_nothing(
    tmp_path: Path, intake: Intake, films: Films
) -> None:
    check_nothing_left(tmp_path, StorageFull, intake, films.film(Film(seconds=1)).read_bytes())


def test_a_film_that_is_admitted_stays(tmp_path: Path, intake: Intake, films: Films) -> None:
    content = films.film(Film(seconds=1)).read_bytes()
    rows = Rows(full=False)
    asset = asyncio.run(put(intake, content, rows))
    assert rows.assets == [asset]
    assert (tmp_path / asset.id / "original").read_bytes() == content
