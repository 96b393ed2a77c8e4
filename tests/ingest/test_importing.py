"""Films of this machine become assets: each once, whole or not at all, and whoever else is at work leaves them alone."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import StorageFull
from media_service.ingest import holding, importing
from media_service.ingest.importing import OWNER, Importer, Taken
from media_service.ingest.local_files import LocalFile
from media_service.store import local_writer
from media_service.store.local_blobs import LocalBlobs
from media_service.store.local_writer import LocalBlobWriter
from tests.support.films import Film, Films
from tests.support.workshop import Workshop


@pytest.fixture(scope="module")
def film(films: Films) -> Path:
    return films.film(Film(seconds=1))


@pytest.fixture(scope="module")
def content(film: Path) -> bytes:
    return film.read_bytes()


async def take(
    workshop: Workshop, path: Path, *, named: bool = True, told: list[int] | None = None, **wish: Any
) -> Taken:
    importer = Importer(catalog=workshop.catalog, blobs=workshop.blobs, limits=workshop.limits, **wish)
    with LocalFile(path, (told if told is not None else []).append) as file:
        return await importer.take(file, named=named)


async def nothing_left(workshop: Workshop) -> bool:
    return not await workshop.blobs.trees() and not await workshop.catalog.upload_ids()


async def test_a_film_is_copied_told_of_and_known_from_then_on(
    workshop: Workshop, film: Path, content: bytes
) -> None:
    told: list[int] = []
    taken = await take(workshop, film, told=told, visibility="signed")
    assert taken.asset is not None
    assert taken == Taken(outcome="imported", asset=taken.asset, way="copied")
    asset = await workshop.catalog.asset(taken.asset)
    assert (asset.state, asset.filename, asset.visibility) == ("probing", film.name, "signed")
    assert workshop.file(asset).read_bytes() == content
    assert sum(told) == 2 * len(content)
    (event,) = await workshop.catalog.events_after(0)
    assert (event.event, event.asset_id) == ("asset", asset.id)
    assert not await workshop.catalog.upload_ids()
    with pytest.raises(Exception, match="no such upload"):
        await workshop.catalog.upload(asset.id, None)
    assert await take(workshop, film) == Taken(outcome="known", asset=asset.id)
    await workshop.catalog.update_asset(asset.id, state="failed")
    assert (await take(workshop, film)).outcome == "known"
    assert (
        await workshop.indexer().index(await workshop.catalog.update_asset(asset.id, state="probing"))
    ).state == "playable"


async def test_a_link_is_the_file_itself_and_the_file_stays_when_the_asset_goes(
    workshop: Workshop, content: bytes, tmp_path: Path
) -> None:
    own = tmp_path / "own.mp4"
    own.write_bytes(content)
    before = own.stat()
    taken = await take(workshop, own, link=True)
    assert (taken.outcome, taken.way) == ("imported", "linked")
    assert taken.asset is not None
    asset = await workshop.catalog.asset(taken.asset)
    assert workshop.file(asset).samefile(own)
    assert (own.stat().st_size, own.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    await workshop.catalog.delete_asset(asset.id)
    await workshop.blobs.delete_tree(asset.id)
    assert own.read_bytes() == content


@pytest.mark.parametrize(("mode", "owner"), [(0o666, 0), (0o664, 0), (0o644, 1)])
async def test_what_others_can_change_is_copied_instead_of_linked(
    workshop: Workshop, content: bytes, tmp_path: Path, mode: int, owner: int
) -> None:
    own = tmp_path / "own.mp4"
    own.write_bytes(content)
    own.chmod(mode)
    if owner:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(own, os.geteuid() + owner, -1)
    taken = await take(workshop, own, link=True)
    assert (taken.outcome, taken.way, own.stat().st_nlink) == ("imported", "copied", 1)
    assert taken.detail == f"Not linked: {'it belongs to user 1' if owner else 'others may write to it'}."


async def test_bytes_that_come_put_off_when_the_upload_expires(
    workshop: Workshop, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "STEP_BYTES", 4096)
    monkeypatch.setattr(holding, "RENEW_SECONDS", 0.02)
    copy, renew = LocalBlobWriter.copy, workshop.catalog.renew_hold
    told: list[int] = []
    renewed = asyncio.Event()

    async def noted(*arguments: Any, expires_at: int, **others: Any) -> bool:
        told.append(expires_at)
        renewed.set()
        return await renew(*arguments, expires_at=expires_at, **others)

    async def slow(writer: LocalBlobWriter, source: int, stop: int) -> int:
        if writer.size <= 4096:
            renewed.clear()
            await renewed.wait()
        return await copy(writer, source, stop)

    monkeypatch.setattr(workshop.catalog, "renew_hold", noted)
    monkeypatch.setattr(LocalBlobWriter, "copy", slow)
    assert (await take(workshop, film)).way == "copied"
    assert told[-1] > told[0]


async def test_what_cannot_be_linked_is_copied(
    workshop: Workshop, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(*_: object, **__: object) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(os, "link", elsewhere)
    taken = await take(workshop, film, link=True)
    assert (taken.outcome, taken.way) == ("imported", "copied")


async def test_a_file_system_that_shares_bytes_does(
    workshop: Workshop, film: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(target: int, request: int, source: int) -> int:
        assert request == local_writer.FICLONE
        return os.sendfile(target, source, 0, os.fstat(source).st_size)

    monkeypatch.setattr(fcntl, "ioctl", shared)
    taken = await take(workshop, film)
    assert (taken.outcome, taken.way) == ("imported", "cloned")
    assert taken.asset is not None
    assert workshop.file(await workshop.catalog.asset(taken.asset)).read_bytes() == content


async def test_what_is_no_film_is_passed_over_in_folders_and_refused_by_name(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    (tmp_path / "note.mp4").write_text("no film at all")
    (tmp_path / "empty.mp4").touch()
    sound = films.film(Film(seconds=1, size=None))
    for path, code in ((tmp_path / "note.mp4", "not_media"), (tmp_path / "empty.mp4", "empty_upload")):
        assert [
            (taken.outcome, taken.code)
            for taken in (await take(workshop, path, named=False), await take(workshop, path))
        ] == [
            ("passed over", code),
            ("failed", code),
        ]
    assert (await take(workshop, sound, named=False)).code == "sound_only"
    assert await nothing_left(workshop)
    assert (await take(workshop, sound, named=False, sound=True)).outcome == "imported"
    assert (await take(workshop, sound)).outcome == "known"


async def test_two_at_once_give_one_asset(workshop: Workshop, film: Path) -> None:
    taken = await asyncio.gather(take(workshop, film), take(workshop, film), take(workshop, film, link=True))
    assert sorted(one.outcome for one in taken) == ["imported", "known", "known"]
    assert len({one.asset for one in taken}) == 1
    assert await workshop.blobs.trees() == [taken[0].asset]
    assert not await workshop.catalog.upload_ids()


async def test_who_is_interrupted_leaves_nothing(
    workshop: Workshop, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying = asyncio.Event()
    copy = LocalBlobWriter.copy

    async def slow(writer: LocalBlobWriter, source: int, stop: int) -> int:
        await copy(writer, source, stop // 2)
        copying.set()
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(LocalBlobWriter, "copy", slow)
    task = asyncio.create_task(take(workshop, film))
    await copying.wait()
    # Meanwhile it is an unfinished upload with a lease: a service that starts leaves its tree alone.
    assert await workshop.catalog.upload_ids() == set(await workshop.blobs.trees())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await nothing_left(workshop)


async def test_a_full_disk_ends_it_and_leaves_nothing(workshop: Workshop, film: Path) -> None:
    workshop.blobs = LocalBlobs(workshop.root, margin_bytes=1 << 62)
    with pytest.raises(StorageFull):
        await take(workshop, film)
    assert await nothing_left(workshop)


async def test_a_lease_that_was_lost_meanwhile_is_noticed_before_there_is_an_asset(
    workshop: Workshop, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = LocalBlobWriter.copy

    async def asleep(writer: LocalBlobWriter, source: int, stop: int) -> int:
        (upload_id,) = await workshop.catalog.upload_ids()
        later = (await workshop.catalog.upload(upload_id, OWNER)).held_until + 1
        assert await workshop.catalog.hold_upload(upload_id, None, "a service", now=later, until=later + 1)
        return await copy(writer, source, stop)

    monkeypatch.setattr(LocalBlobWriter, "copy", asleep)
    with pytest.raises(Exception, match="went to another server"):
        await take(workshop, film)
    assert not await workshop.blobs.trees()
    assert not await workshop.catalog.asset_ids()
