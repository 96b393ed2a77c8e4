"""What is left in the store of an upload that becomes no asset: nothing, not even a directory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from media_service.errors import NotFound, NotMedia, StorageFull, UploadCut
from media_service.ffmpeg.fence import Limits
from media_service.ingest.intake import Incoming, Intake
from media_service.ingest.pipeline import Admission, Label
from media_service.memory.budget import Budget
from media_service.store.blobs import BlobStore
from media_service.store.catalog import Catalog
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset
from tests.support.films import Film, Films

MIB = 1 << 20


class Rows:
    """As much of a catalog as admission needs, which raises `error` for another row, before it is in or after."""

    def __init__(self, error: type[Exception] | None, *, committed: bool = False) -> None:
        self.assets: list[Asset] = []
        self._error = error
        self._committed = committed

    async def add_asset(self, asset: Asset, **_: object) -> Asset:
        if self._error is None or self._committed:
            self.assets.append(asset)
        if self._error is not None:
            raise self._error
        return asset

    async def asset(self, asset_id: str) -> Asset:
        for asset in self.assets:
            if asset.id == asset_id:
                return asset
        raise NotFound


@pytest.fixture(params=[0, 64 * MIB], ids=["disk", "memory"])
def intake(request: pytest.FixtureRequest, tmp_path: Path) -> Intake:
    blobs: BlobStore = LocalBlobs(tmp_path)
    return Intake(budget=Budget(request.param), blobs=blobs, max_bytes=64 * MIB)


async def admit(incoming: Incoming, rows: Rows) -> Asset:
    admission = Admission(catalog=cast("Catalog", rows), limits=Limits(), submit=lambda _: None)
    return await admission.admit(incoming, Label(filename="a.mp4"))


async def break_off(intake: Intake) -> None:
    async with intake.begin(10 * MIB) as incoming:
        await incoming.write(bytes(3 * MIB))
        raise UploadCut


async def put(intake: Intake, content: bytes, rows: Rows) -> Asset:
    async with intake.begin(None) as incoming:
        await incoming.write(content)
        return await admit(incoming, rows)


def check_nothing_left(
    tmp_path: Path, error: type[Exception], intake: Intake, content: bytes, rows: Rows
) -> None:
    with pytest.raises(error):
        asyncio.run(put(intake, content, rows) if content else break_off(intake))
    assert list(tmp_path.iterdir()) == []
    assert rows.assets == []


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path, intake: Intake) -> None:
    check_nothing_left(tmp_path, UploadCut, intake, b"", Rows(None))


def test_an_upload_that_is_refused_leaves_nothing(tmp_path: Path, intake: Intake) -> None:
    check_nothing_left(tmp_path, NotMedia, intake, b"no film " * 300_000, Rows(None))


@pytest.mark.parametrize("error", [StorageFull, RuntimeError])
def test_a_film_whose_row_cannot_be_added_leaves_nothing(
    tmp_path: Path, intake: Intake, films: Films, error: type[Exception]
) -> None:
    content = films.film(Film(seconds=1)).read_bytes()
    check_nothing_left(tmp_path, error, intake, content, Rows(error))


def test_a_film_whose_row_is_there_all_the_same_stays(tmp_path: Path, intake: Intake, films: Films) -> None:
    content = films.film(Film(seconds=1)).read_bytes()
    rows = Rows(ConnectionError, committed=True)
    with pytest.raises(ConnectionError):
        asyncio.run(put(intake, content, rows))
    assert (tmp_path / rows.assets[0].id / "original").read_bytes() == content


def test_a_film_that_is_admitted_stays(tmp_path: Path, intake: Intake, films: Films) -> None:
    content = films.film(Film(seconds=1)).read_bytes()
    rows = Rows(None)
    asset = asyncio.run(put(intake, content, rows))
    assert rows.assets == [asset]
    assert (tmp_path / asset.id / "original").read_bytes() == content
