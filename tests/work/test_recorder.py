"""The recorder on what ffmpeg really writes: blobs that are whole, rows that name them, one init segment for all runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from media_service.errors import NotFound, RunDiffers, StorageFull
from media_service.mp4.fragments import unpack_samples
from media_service.mp4.init_segment import read_init
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset, Segment
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.work.commits import Commits
from media_service.work.recorder import Recorder
from media_service.work.rows import rows_of
from media_service.work.segmenting import Segmenter
from tests.support.full_disk import FullDisk
from tests.support.workshop import Workshop
from tests.work import streams

SECOND = 90_000
RENDITION = streams.picture_rendition(0, 2 * SECOND, 3 * SECOND, 4 * SECOND)
ASSET = Asset(
    id="one",
    title="A film",
    filename="one.mp4",
    extension="mp4",
    media_type="video/mp4",
    size=1,
    sha256="ab" * 32,
    state="playable",
    created_at=1,
    updated_at=1,
)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return streams.picture(tmp_path_factory.mktemp("picture") / "picture.mp4")


@pytest.fixture
async def film(workshop: Workshop) -> Workshop:
    """A workshop with an asset that has the one rendition."""
    await workshop.catalog.add_asset(ASSET)
    outline = Outline(recipes=1, seconds=4.0, independent=True, renditions=(RENDITION,))
    await workshop.catalog.put_renditions("one", rows_of("one", outline))
    return workshop


async def chunks(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def record(
    workshop: Workshop,
    pieces: Iterable[bytes],
    *,
    rendition: OutlineRendition = RENDITION,
    blobs: LocalBlobs | None = None,
    wanted: Iterable[int] = (),
) -> list[tuple[str, list[int]]]:
    """Record the pieces as a whole run; what was committed, in order."""
    committed: list[tuple[str, list[int]]] = []
    commits = Commits(
        workshop.catalog,
        blobs or workshop.blobs,
        lambda name, numbers: committed.append((name, sorted(numbers))),
    )
    recorder = Recorder(
        catalog=workshop.catalog,
        blobs=blobs or workshop.blobs,
        asset_id="one",
        segmenter=Segmenter(rendition, 0, rendition.count, least=lambda _: 1),
        commits=commits,
        wanted=lambda number: number in wanted,
    )
    assert recorder.name == rendition.name
    try:
        await recorder.record(chunks(pieces))
        await recorder.finish()
    finally:
        await commits.flush()
    return committed


async def segments(workshop: Workshop) -> list[Segment]:
    return await workshop.catalog.segments("one", RENDITION.name)


def stored(workshop: Workshop) -> set[str]:
    return {name for name in workshop.files(ASSET) if name.startswith("segments/")}


async def test_each_segment_is_a_blob_of_its_own_that_its_row_describes(
    film: Workshop, picture: bytes
) -> None:
    assert await record(film, [picture]) == [("36p", [0, 1, 2])]
    found = await segments(film)
    assert [one.number for one in found] == [0, 1, 2]
    assert [one.begin_ticks for one in found] == [0, 2 * SECOND, 3 * SECOND]
    for one in found:
        data = (film.root / one.blob).read_bytes()
        assert len(data) == one.size
        samples = unpack_samples(one.samples)
        assert one.payload_start + sum(sample.size for sample in samples) == one.size
        assert one.iframe_size == one.payload_start + samples[0].size
    assert stored(film) == {one.blob.removeprefix("one/") for one in found}
    (row,) = await film.catalog.renditions("one")
    assert (row.state, row.made_segments, row.codecs) == ("encoding", 3, streams.CODECS)
    assert row.init is not None
    assert read_init(row.init).timescale == SECOND


async def test_however_the_bytes_come_the_bytes_that_are_stored_are_the_same(
    film: Workshop, picture: bytes
) -> None:
    await record(film, [picture[start : start + 777] for start in range(0, len(picture), 777)])
    pieces = [one.digest for one in await segments(film)]
    await film.catalog.put_renditions("one", await film.catalog.renditions("one"))
    await record(film, [picture])
    assert [one.digest for one in await segments(film)] == pieces


async def test_of_twins_the_first_stays_and_no_blob_of_the_other_is_left(
    film: Workshop, picture: bytes
) -> None:
    await record(film, [picture])
    first = await segments(film)
    assert await record(film, [picture]) == [("36p", [0, 1, 2])]
    assert await segments(film) == first
    assert stored(film) == {one.blob.removeprefix("one/") for one in first}


async def test_a_run_that_came_out_otherwise_is_refused_whole(
    film: Workshop, picture: bytes, tmp_path: Path
) -> None:
    await record(film, [picture])
    before = stored(film)
    other = streams.picture(tmp_path / "other.mp4", "-x264-params", "cabac=0")
    with pytest.raises(RunDiffers, match="36p"):
        await record(film, [other])
    assert stored(film) == before


async def test_a_codec_other_than_outlined_is_told_and_kept(
    film: Workshop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = streams.picture(tmp_path / "other.mp4", "-level", "3.1")
    with caplog.at_level(logging.WARNING):
        await record(film, [other])
    assert "36p of one is avc1.64001f, and was expected to be avc1.64000a" in caplog.text
    (row,) = await film.catalog.renditions("one")
    assert row.codecs == "avc1.64001f"


async def test_a_full_disk_keeps_what_was_there_before_it_was_full(film: Workshop, picture: bytes) -> None:
    await record(film, [picture])
    sizes = [one.size for one in await segments(film)]
    await film.catalog.put_renditions("one", await film.catalog.renditions("one"))
    await film.blobs.delete_tree("one/segments")
    with pytest.raises(StorageFull):
        await record(film, [picture], blobs=FullDisk(film.root, room=sizes[0] + sizes[1] // 2))
    assert [one.number for one in await segments(film)] == [0]
    assert len(stored(film)) == 1


async def test_of_a_film_that_was_deleted_nothing_is_stored(film: Workshop, picture: bytes) -> None:
    await film.catalog.delete_asset("one")
    with pytest.raises(NotFound):
        await record(film, [picture])
    assert stored(film) == set()
