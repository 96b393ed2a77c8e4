"""Where a time lies: for films of several kinds, in the file as it is served."""

from __future__ import annotations

import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback.seeking import ByteSpan, Seeker, served_span
from media_service.wire.representation import BlobExtent
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films
from tests.support.workshop import Workshop


@pytest.fixture
def seeker(stage: Stage) -> Seeker:
    return stage.seeker


async def test_a_time_lies_in_a_frame_behind_a_keyframe(
    workshop: Workshop, films: Films, seeker: Seeker
) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=4, fps=25, keyframe_seconds=1.0)))
    found = await seeker.seek(asset.id, 2.51, "exact")
    assert (found.keyframe_time, found.frame_time, found.time) == (2.0, 2.48, 2.48)
    found = await seeker.seek(asset.id, 2.51, "keyframe")
    assert (found.keyframe_time, found.frame_time, found.time) == (2.0, 2.48, 2.0)


async def test_the_bytes_are_those_of_the_file_as_it_is_served(
    stage: Stage, workshop: Workshop, films: Films, seeker: Seeker
) -> None:
    ends = [await workshop.indexed(films.film(Film(seconds=4, moov_at_end=end))) for end in (False, True)]
    front, back = [(await seeker.seek(asset.id, 2.5, "exact")).bytes for asset in ends]
    assert front is not None
    assert back is not None
    assert front.stop - front.start == back.stop - back.start
    served = []
    for asset, span in zip(ends, (front, back), strict=True):
        whole = await stage.bytes_of(await stage.library.original(asset.id, PUBLIC, "mp4"))
        served.append(whole[span.start : span.stop])
    assert served[0] == served[1]
    # An H.264 keyframe in an MP4 begins with its length and, here, an SEI or the IDR slice.
    assert served[0][4] & 0x1F in {5, 6, 7}


async def test_the_segments_of_all_renditions_are_told_before_they_are_made(
    stage: Stage, workshop: Workshop, films: Films, seeker: Seeker
) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=12, size=(640, 480))))
    version = (await stage.outline(asset.id)).version
    segments = (await seeker.seek(asset.id, 9.01, "exact")).segments
    assert [(one.rendition, one.number) for one in segments] == [("source", 2), ("240p", 2), ("audio", 2)]
    assert segments[1].url == f"/media/{asset.id}/hls/240p/2.m4s?v={version}"
    assert [(one.start, one.stop) for one in segments[:2]] == [(8, 12), (8, 12)]
    assert segments[2].start == pytest.approx(8, abs=0.03)
    assert stage.demand.asked == []


@pytest.mark.parametrize("fps", [25, 24, 30, 7])
async def test_a_boundary_belongs_to_the_segment_that_begins_there(
    stage: Stage, workshop: Workshop, films: Films, seeker: Seeker, fps: int
) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=12, fps=fps)))
    outline = await stage.outline(asset.id)
    for one in outline.videos:
        for number in range(one.count):
            found = await seeker.seek(asset.id, float(one.seconds(number)), "exact")
            (there,) = (segment for segment in found.segments if segment.rendition == one.name)
            assert there.number == number


async def test_times_outside_the_film_mean_its_ends(workshop: Workshop, films: Films, seeker: Seeker) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=2)))
    assert (await seeker.seek(asset.id, -5, "exact")).time == 0
    assert (await seeker.seek(asset.id, 1e9, "exact")).time == pytest.approx(1.96)


async def test_a_film_that_is_still_being_looked_at_is_not_ready(
    workshop: Workshop, films: Films, seeker: Seeker
) -> None:
    asset = await workshop.admitted(films.film(Film()))
    with pytest.raises(NotReady):
        await seeker.seek(asset.id, 1, "exact")
    await workshop.catalog.update_asset(asset.id, state="failed")
    with pytest.raises(NotFound):
        await seeker.seek(asset.id, 1, "exact")


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (10, 20, ByteSpan(105, 115)),
        (5, 6, ByteSpan(100, 101)),
        (0, 4, None),  # left out: a moov in front of it
        (28, 45, ByteSpan(123, 130)),  # something in between was moved out
        (39, 40, None),
    ],
)
def test_a_span_of_the_upload_is_found_in_the_served_file(
    start: int, stop: int, expected: ByteSpan | None
) -> None:
    extents = [BlobExtent("header", 0, 100), BlobExtent("film", 5, 30), BlobExtent("film", 40, 60)]
    assert served_span(extents, "film", start, stop) == expected
