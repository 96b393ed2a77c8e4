"""Admission: what is no film is refused before anything of it is kept; what is one is durable before it is told."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from media_service.errors import (
    AbsurdMedia,
    DigestMismatch,
    EmptyUpload,
    MediaRejected,
    NotFound,
    NotMedia,
    StorageFull,
)
from media_service.ffmpeg.fence import Limits
from media_service.ingest.pipeline import MAX_TITLE_CHARACTERS, Label, tidy_title
from media_service.store.keys import original_key
from media_service.store.local_writer import LocalBlobWriter
from media_service.store.records import Asset
from media_service.work.rows import facts_of
from tests.support.films import Film, Films
from tests.support.workshop import Workshop


async def admit(
    workshop: Workshop,
    data: bytes,
    label: Label | None = None,
    *,
    deduplicate: bool = False,
    memory_bytes: int = 64 << 20,
) -> Asset:
    async with workshop.intake(memory_bytes=memory_bytes).begin(len(data)) as incoming:
        await incoming.write(data)
        admission = workshop.admission(deduplicate=deduplicate)
        return await admission.admit(incoming, label or Label(filename="film.mp4"))


def keyed(key: str, owner: str = "admin") -> Label:
    return Label(filename="film.mp4", owner=owner, idempotency_key=key)


@pytest.fixture(scope="module")
def film(films: Films) -> bytes:
    return films.film(Film(seconds=1)).read_bytes()


@pytest.fixture(scope="module")
def other_film(films: Films) -> bytes:
    return films.film(Film(seconds=1, audio=False)).read_bytes()


@pytest.fixture(params=[0, 64 << 20], ids=["disk", "memory"])
def memory_bytes(request: pytest.FixtureRequest) -> int:
    """Where the bytes lie until they are kept."""
    memory: int = request.param
    return memory


async def test_a_film_is_kept_known_and_handed_on(workshop: Workshop, films: Films) -> None:
    data = films.film(Film()).read_bytes()
    asset = await admit(workshop, data, Label(filename="Bay.mp4"))
    assert (asset.title, asset.filename, asset.extension, asset.media_type) == (
        "Bay",
        "Bay.mp4",
        "mp4",
        "video/mp4",
    )
    assert (asset.state, asset.size, asset.sha256) == ("probing", len(data), hashlib.sha256(data).hexdigest())
    assert facts_of(asset).video is not None
    assert workshop.file(asset).read_bytes() == data
    assert await workshop.catalog.asset(asset.id) == asset
    assert workshop.submitted == [asset.id]


async def test_a_film_is_on_the_disk_before_anybody_knows_of_it(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told at once and sealed a moment later, it would be lost by a crash in that moment."""
    seal, add = LocalBlobWriter.seal, workshop.catalog.add_asset
    steps: list[str] = []

    async def sealing(writer: LocalBlobWriter) -> None:
        await seal(writer)
        steps.append(f"sealed {writer.key}, {writer.size} bytes")

    async def adding(asset: Asset, **label: Any) -> Asset:
        steps.append(f"added {asset.id}")
        return await add(asset, **label)

    monkeypatch.setattr(LocalBlobWriter, "seal", sealing)
    monkeypatch.setattr(workshop.catalog, "add_asset", adding)
    asset = await workshop.admitted(films.film(Film()))
    assert steps == [f"sealed {original_key(asset.id)}, {asset.size} bytes", f"added {asset.id}"]


async def test_the_name_says_nothing_about_what_a_file_is(workshop: Workshop, films: Films) -> None:
    asset = await admit(workshop, films.film(Film(container="mkv")).read_bytes())
    assert (asset.extension, asset.media_type) == ("mkv", "video/matroska")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EmptyUpload),
        (b"\0" * 5000, NotMedia),
        (b"<html>" * 1000, NotMedia),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", NotMedia),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", NotMedia),
    ],
)
async def test_what_is_no_film_leaves_nothing(
    workshop: Workshop, data: bytes, error: type[MediaRejected]
) -> None:
    with pytest.raises(error):
        await admit(workshop, data)
    await nothing_is_left(workshop)


async def nothing_is_left(workshop: Workshop) -> None:
    assert await workshop.blobs.trees() == []
    assert await workshop.catalog.asset_ids() == set()
    assert workshop.submitted == []


async def test_a_film_with_too_many_pixels_leaves_nothing(workshop: Workshop, films: Films) -> None:
    workshop.limits = Limits(max_pixels=320 * 179)
    with pytest.raises(AbsurdMedia):
        await admit(workshop, films.film(Film()).read_bytes())
    await nothing_is_left(workshop)


async def test_a_file_whose_row_cannot_be_written_is_not_handed_on(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: Asset, **__: object) -> Asset:
        raise NotFound("The disk has gone.")

    monkeypatch.setattr(workshop.catalog, "add_asset", refuse)
    with pytest.raises(NotFound):
        await admit(workshop, films.film(Film()).read_bytes())
    assert workshop.submitted == []
    assert await workshop.catalog.asset_ids() == set()


@pytest.mark.parametrize(
    ("filename", "title", "expected"),
    [
        ("Holiday in Rome.mp4", None, "Holiday in Rome"),
        ("film.mp4", "My  title\r\n", "My title"),
        ("film.mp4", "", "film"),
        ("", None, "Untitled"),
        ("film.mp4", "\x00\x1b[31m", "[31m"),
        (".mp4", None, ".mp4"),
    ],
)
async def test_a_title_is_one_line_that_says_something(
    workshop: Workshop, film: bytes, filename: str, title: str | None, expected: str
) -> None:
    assert (await admit(workshop, film, Label(filename=filename, title=title))).title == expected


def test_long_titles_are_cut() -> None:
    assert len(tidy_title("x" * 5000)) == MAX_TITLE_CHARACTERS


# --- what is here already -----------------------------------------------------------------------------------------


async def only_one_is_left(workshop: Workshop, asset: Asset) -> None:
    """Of all that was sent, this asset's bytes are kept, once, and it was handed on once."""
    assert await workshop.blobs.trees() == [asset.id]
    assert await workshop.catalog.asset_ids() == {asset.id}
    assert workshop.submitted == [asset.id]


async def test_the_same_bytes_are_another_asset_unless_twins_are_not_wanted(
    workshop: Workshop, film: bytes
) -> None:
    first, second = await admit(workshop, film), await admit(workshop, film)
    assert first.id != second.id
    assert workshop.submitted == [first.id, second.id]
    assert await admit(workshop, film, deduplicate=True) == first


async def test_the_same_bytes_give_the_asset_that_is_there(
    workshop: Workshop, film: bytes, memory_bytes: int
) -> None:
    first = await admit(workshop, film, Label(filename="first.mp4"), deduplicate=True)
    label = Label(filename="second.mp4", title="Another name")
    again = await admit(workshop, film, label, deduplicate=True, memory_bytes=memory_bytes)
    assert again == first
    await only_one_is_left(workshop, first)


async def test_other_bytes_give_another_asset(workshop: Workshop, film: bytes, other_film: bytes) -> None:
    first = await admit(workshop, film, deduplicate=True)
    other = await admit(workshop, other_film, deduplicate=True)
    assert workshop.submitted == [first.id, other.id]


async def test_a_twin_that_failed_is_none(workshop: Workshop, film: bytes) -> None:
    first = await admit(workshop, film, deduplicate=True)
    await workshop.catalog.fail_asset(first.id, NotMedia())
    again = await admit(workshop, film, deduplicate=True)
    assert workshop.submitted == [first.id, again.id]


async def test_the_same_bytes_that_come_at_once_become_one_asset(
    workshop: Workshop, film: bytes, memory_bytes: int
) -> None:
    """Each looks for a twin before there is one: the catalog decides, in the transaction that adds the asset."""
    came = await asyncio.gather(
        *(admit(workshop, film, deduplicate=True, memory_bytes=memory_bytes) for _ in range(4))
    )
    assert came == [came[0]] * 4
    await only_one_is_left(workshop, came[0])


async def test_an_upload_that_is_repeated_with_its_key_is_the_same_asset(
    workshop: Workshop, film: bytes, other_film: bytes, memory_bytes: int
) -> None:
    first = await admit(workshop, film, keyed("k"))
    for data in (film, other_film):
        assert await admit(workshop, data, keyed("k"), memory_bytes=memory_bytes) == first
    await only_one_is_left(workshop, first)


async def test_another_key_and_another_owner_s_are_other_uploads(workshop: Workshop, film: bytes) -> None:
    labels = [keyed("k"), keyed("l"), keyed("k", owner="somebody"), Label(filename="film.mp4", owner="admin")]
    assets = [await admit(workshop, film, label) for label in labels]
    assert workshop.submitted == [asset.id for asset in assets]
    assert len(set(workshop.submitted)) == 4


async def test_of_uploads_with_one_key_that_come_at_once_one_becomes_the_asset(
    workshop: Workshop, film: bytes, memory_bytes: int
) -> None:
    came = await asyncio.gather(
        *(admit(workshop, film, keyed("k"), memory_bytes=memory_bytes) for _ in range(4))
    )
    assert came == [came[0]] * 4
    await only_one_is_left(workshop, came[0])


async def test_a_key_whose_asset_was_deleted_is_free(workshop: Workshop, film: bytes) -> None:
    first = await admit(workshop, film, keyed("k"))
    await workshop.catalog.delete_asset(first.id)
    again = await admit(workshop, film, keyed("k"))
    assert workshop.submitted == [first.id, again.id]


@pytest.mark.parametrize("data", [b"", b"no film " * 1000], ids=["nothing", "no film"])
async def test_a_key_whose_file_was_refused_is_free(workshop: Workshop, film: bytes, data: bytes) -> None:
    with pytest.raises(MediaRejected):
        await admit(workshop, data, keyed("k"))
    await only_one_is_left(workshop, await admit(workshop, film, keyed("k")))


# --- digests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha256", "sha512"])
async def test_bytes_with_the_announced_digest_become_an_asset(
    workshop: Workshop, film: bytes, name: str, memory_bytes: int
) -> None:
    label = Label(filename="film.mp4", digests=((name, hashlib.new(name, film).digest()),))
    asset = await admit(workshop, film, label, memory_bytes=memory_bytes)
    assert asset.sha256 == hashlib.sha256(film).hexdigest()


@pytest.mark.parametrize("deduplicate", [False, True])
@pytest.mark.parametrize("name", ["sha256", "sha512"])
async def test_bytes_with_another_digest_leave_nothing(
    workshop: Workshop, film: bytes, name: str, memory_bytes: int, deduplicate: bool
) -> None:
    right = ("sha256", hashlib.sha256(film).digest())
    wrong = (name, hashlib.new(name, film[:-1]).digest())
    label = Label(filename="film.mp4", owner="admin", idempotency_key="k", digests=(right, wrong))
    with pytest.raises(DigestMismatch):
        await admit(workshop, film, label, deduplicate=deduplicate, memory_bytes=memory_bytes)
    await nothing_is_left(workshop)


async def test_a_full_disk_leaves_nothing_of_a_repeated_upload_either(
    workshop: Workshop, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await admit(workshop, film, keyed("k"))

    async def full(_: Asset, **__: object) -> Asset:
        raise StorageFull("No room.")

    monkeypatch.setattr(workshop.catalog, "add_asset", full)
    with pytest.raises(StorageFull):
        await admit(workshop, film, keyed("k"))
    await only_one_is_left(workshop, first)
