"""Segments: cut out of the original, stored, or made because somebody asks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback.caching import IMMUTABLE, NO_STORE
from media_service.store.keys import original_key
from media_service.timeline import outline as outline_module
from media_service.timeline.outline import Outline
from media_service.wire.delivery import plan
from media_service.wire.representation import BlobExtent, MemoryExtent
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films
from tests.support.media import packets
from tests.wire.content import fields

FILM = Film(seconds=12, size=(640, 480))


async def film(stage: Stage, films: Films, kind: Film = FILM) -> tuple[str, Outline]:
    asset = await stage.workshop.indexed(films.film(kind))
    return asset.id, await stage.outline(asset.id)


@pytest.mark.parametrize("name", ["source", "audio"])
async def test_packaged_segments_are_the_originals_own_packets(
    stage: Stage, films: Films, tmp_path: Path, name: str
) -> None:
    asset, outline = await film(stage, films)
    count = outline.rendition(name).count
    assert count == 3
    opened = [await stage.segments.init(asset, PUBLIC, name, None)]
    opened += [await stage.segments.segment(asset, PUBLIC, name, number, None) for number in range(count)]
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(await stage.bytes_of(*opened))
    stream = "v" if name == "source" else "a"
    shown = "pts_time,size"
    there = [packet for packet in packets(films.film(FILM), stream, "flags," + shown) if "D" not in packet[0]]
    got = packets(joined, stream, shown)
    assert [size for _, size in got] == [size for _, _, size in there]
    assert [float(pts) for pts, _ in got] == pytest.approx([float(pts) for _, pts, _ in there], abs=1e-5)


async def test_nothing_is_stored_or_encoded_for_a_packaged_segment(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    before = (
        await stage.workshop.blobs.trees(),
        stage.workshop.files(await stage.workshop.catalog.asset(asset)),
    )
    opened = await stage.segments.segment(asset, PUBLIC, "source", 1, None)
    assert isinstance(opened.extents[0], MemoryExtent)
    rest = [extent for extent in opened.extents[1:] if isinstance(extent, BlobExtent)]
    assert len(rest) == len(opened.extents) - 1
    assert {extent.blob for extent in rest} == {original_key(asset)}
    assert stage.demand.asked == []
    after = (
        await stage.workshop.blobs.trees(),
        stage.workshop.files(await stage.workshop.catalog.asset(asset)),
    )
    assert before == after


async def test_any_range_of_a_packaged_segment_is_that_slice_of_it(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    opened = await stage.segments.segment(asset, PUBLIC, "source", 1, None)
    whole = await stage.bytes_of(opened)
    head = opened.extents[0].size
    for start, stop in (
        (0, 1),
        (head - 3, head + 3),
        (head, len(whole)),
        (100, len(whole) - 1),
        (0, len(whole)),
    ):
        delivery = plan("GET", fields(range=f"bytes={start}-{stop - 1}"), opened)
        assert delivery.status == 206
        body = b"".join([await stage._read(extent) for extent in delivery.extents()])
        assert body == whole[start:stop]
        assert dict(delivery.headers)[b"content-length"] == b"%d" % (stop - start)
    parts = plan("GET", fields(range=f"bytes=0-9,{head - 1}-{head},-5"), opened)
    body = b"".join([await stage._read(extent) for extent in parts.extents()])
    assert len(body) == int(dict(parts.headers)[b"content-length"])
    for piece in (whole[:10], whole[head - 1 : head + 1], whole[-5:]):
        assert piece in body


async def test_a_packaged_segment_opens_within_milliseconds(stage: Stage, films: Films) -> None:
    asset, outline = await film(stage, films)
    took = []
    for number in [0, 2, 1, 2, 0] * 4:
        began = time.perf_counter()
        await stage.segments.segment(asset, PUBLIC, "source", number, outline.version)
        took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.02


async def test_what_is_named_by_its_version_may_be_kept_and_the_rest_not(stage: Stage, films: Films) -> None:
    asset, outline = await film(stage, films)
    for name in ("source", "240p"):
        for version, headers in ((outline.version, IMMUTABLE), ("another", NO_STORE), (None, NO_STORE)):
            assert (await stage.segments.segment(asset, PUBLIC, name, 0, version)).headers == headers
            assert (await stage.segments.init(asset, PUBLIC, name, version)).headers == headers


async def test_what_is_packaged_another_way_is_called_otherwise(
    stage: Stage, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset, outline = await film(stage, films)
    before = await stage.segments.segment(asset, PUBLIC, "source", 0, outline.version)
    monkeypatch.setattr(outline_module, "PACKAGING", outline_module.PACKAGING + 1)
    renewed = Stage(stage.workshop)
    after = await renewed.segments.segment(asset, PUBLIC, "source", 0, outline.version)
    assert after.extents == before.extents
    assert after.etag != before.etag
    assert (before.headers, after.headers) == (IMMUTABLE, NO_STORE)


async def test_an_encoded_segment_is_made_for_whoever_asks_and_once(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    first = await stage.segments.segment(asset, PUBLIC, "240p", 2, None)
    again = await stage.segments.segment(asset, PUBLIC, "240p", 2, "other")
    assert stage.demand.asked == [("240p", 2)]
    assert (first.etag, await stage.bytes_of(first)) == (again.etag, await stage.bytes_of(again))
    init = await stage.segments.init(asset, PUBLIC, "240p", None)
    assert (await stage.segments.init(asset, PUBLIC, "240p", None)).etag == init.etag
    assert stage.demand.asked == [("240p", 2), ("240p", -1)]


async def test_a_viewer_who_goes_takes_his_request_back(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    stage.demand.allowed.clear()
    waiting = asyncio.create_task(stage.segments.segment(asset, PUBLIC, "240p", 1, None))
    await stage.demand.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert stage.demand.given_up == [("240p", 1)]


async def test_what_takes_too_long_is_not_ready(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    stage.demand.ready = False
    with pytest.raises(NotReady):
        await stage.segments.segment(asset, PUBLIC, "240p", 1, None)


async def test_a_segment_beyond_the_last_is_not_found_and_not_made(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    for name in ("source", "240p", "audio"):
        for number in (3, -1, 1 << 70):
            with pytest.raises(NotFound, match="3 segments"):
                await stage.segments.segment(asset, PUBLIC, name, number, None)
    assert stage.demand.asked == []


async def test_sound_and_picture_have_types_of_their_own(stage: Stage, films: Films) -> None:
    asset, _ = await film(stage, films)
    for name, media_type in (("source", "video/mp4"), ("240p", "video/mp4"), ("audio", "audio/mp4")):
        assert (await stage.segments.segment(asset, PUBLIC, name, 0, None)).media_type == media_type
        assert (await stage.segments.init(asset, PUBLIC, name, None)).media_type == media_type
