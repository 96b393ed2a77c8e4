"""Admission: what is no film is refused before anything of it is kept; what is one is durable before it is told."""

from __future__ import annotations

import hashlib

import pytest

from media_service.errors import AbsurdMedia, EmptyUpload, MediaRejected, NotFound, NotMedia
from media_service.ffmpeg.fence import Limits
from media_service.ingest.pipeline import MAX_TITLE_CHARACTERS, tidy_title
from media_service.store.keys import original_key
from media_service.store.local_writer import LocalBlobWriter
from media_service.store.records import Asset
from media_service.work.rows import facts_of
from tests.support.films import Film, Films
from tests.support.workshop import Workshop


async def admit(
    workshop: Workshop,
    data: bytes,
    *,
    filename: str = "film.mp4",
    title: str | None = None,
) -> Asset:
    async with workshop.intake().begin(len(data)) as incoming:
        await incoming.write(data)
        return await workshop.admission().admit(incoming, filename=filename, title=title)


async def test_a_film_is_kept_known_and_handed_on(workshop: Workshop, films: Films) -> None:
    data = films.film(Film()).read_bytes()
    asset = await admit(workshop, data, filename="Bay.mp4")
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

    async def adding(asset: Asset) -> None:
        steps.append(f"added {asset.id}")
        await add(asset)

    monkeypatch.setattr(LocalBlobWriter, "seal", sealing)
    monkeypatch.setattr(workshop.catalog, "add_asset", adding)
    asset = await workshop.admitted(films.film(Film()))
    assert steps == [f"sealed {original_key(asset.id)}, {asset.size} bytes", f"added {asset.id}"]


async def test_the_name_says_nothing_about_what_a_file_is(workshop: Workshop, films: Films) -> None:
    asset = await admit(workshop, films.film(Film(container="mkv")).read_bytes(), filename="film.mp4")
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
    async def refuse(_: Asset) -> None:
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
    workshop: Workshop, films: Films, filename: str, title: str | None, expected: str
) -> None:
    data = films.film(Film()).read_bytes()
    assert (await admit(workshop, data, filename=filename, title=title)).title == expected


def test_long_titles_are_cut() -> None:
    assert len(tidy_title("x" * 5000)) == MAX_TITLE_CHARACTERS
