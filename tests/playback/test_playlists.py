"""Playlists: whole before anything is encoded, and what changes in them later."""

from __future__ import annotations

import asyncio
import re
import threading

import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback import playlists as module
from media_service.playback.caching import REVALIDATE
from media_service.timeline.outline import OutlineRendition
from media_service.wire.representation import Representation
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films

FILM = Film(seconds=12, size=(640, 480))


@pytest.fixture
async def asset(stage: Stage, films: Films) -> str:
    return (await stage.workshop.indexed(films.film(FILM))).id


async def text(stage: Stage, opened: Representation) -> str:
    return (await stage.bytes_of(opened)).decode()


async def test_all_renditions_are_offered_to_the_films_end_before_anything_is_encoded(
    stage: Stage, asset: str
) -> None:
    master = await text(stage, await stage.playlists.master(asset, PUBLIC))
    outline = await stage.outline(asset)
    assert [one.name for one in outline.renditions] == ["source", "240p", "audio"]
    for one in outline.renditions:
        assert f"{one.name}/index.m3u8" in master
        playlist = await text(stage, await stage.playlists.media(asset, PUBLIC, one.name))
        seconds = [float(line[8:-1]) for line in playlist.splitlines() if line.startswith("#EXTINF:")]
        assert len(seconds) == one.count
        assert sum(seconds) == pytest.approx(12, abs=0.1)
        assert playlist.endswith("#EXT-X-ENDLIST\n")
        assert playlist.count(f"?v={outline.version}") == one.count + 1
    assert stage.demand.asked == []


async def test_the_manifest_names_the_same_segments(stage: Stage, asset: str) -> None:
    opened = await stage.playlists.manifest(asset, PUBLIC)
    manifest = await text(stage, opened)
    assert opened.media_type == "application/dash+xml"
    outline = await stage.outline(asset)
    for one in outline.renditions:
        assert f"../hls/{one.name}/$Number$.m4s?v={outline.version}" in manifest


async def test_playlists_are_asked_for_again_each_time(stage: Stage, asset: str) -> None:
    playlists = stage.playlists
    for opened in (
        playlists.master(asset, PUBLIC),
        playlists.manifest(asset, PUBLIC),
        playlists.media(asset, PUBLIC, "240p"),
    ):
        assert (await opened).headers == REVALIDATE


async def test_what_was_measured_changes_the_master_playlist_and_the_manifest_only(
    stage: Stage, asset: str
) -> None:
    async def etags() -> list[str]:
        playlists = stage.playlists
        opened = [
            playlists.master(asset, PUBLIC),
            playlists.manifest(asset, PUBLIC),
            playlists.media(asset, PUBLIC, "240p"),
        ]
        return [(await one).etag for one in opened]

    before = await etags()
    await stage.demand.make_all(asset, "240p")
    await stage.workshop.catalog.update_rendition(
        asset, "240p", state="ready", bandwidth=123_456, average_bandwidth=65_432
    )
    after = await etags()
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]
    assert 'bandwidth="123456"' in await text(stage, await stage.playlists.manifest(asset, PUBLIC))


async def test_each_i_frame_is_a_whole_keyframe(stage: Stage, asset: str) -> None:
    playlist = await text(stage, await stage.playlists.iframes(asset, PUBLIC, "source"))
    assert "#EXT-X-I-FRAMES-ONLY" in playlist
    sizes = [int(size) for size in re.findall(r"#EXT-X-BYTERANGE:(\d+)@0", playlist)]
    for number, size in enumerate(sizes):
        segment = await stage.segments.segment(asset, PUBLIC, "source", number, None)
        data = await stage.bytes_of(segment)
        begin = segment.extents[0].size
        # Four bytes of length, then a unit, again and again: the frame ends where the last unit does.
        kinds = set()
        while begin < size:
            kinds.add(data[begin + 4] & 0x1F)
            begin += 4 + int.from_bytes(data[begin : begin + 4])
        assert begin == size
        assert 5 in kinds, "an IDR slice"
        assert 1 not in kinds


async def test_i_frames_of_an_encoded_rendition_are_there_when_all_of_it_is(stage: Stage, asset: str) -> None:
    assert "240p/iframes.m3u8" not in await text(stage, await stage.playlists.master(asset, PUBLIC))
    with pytest.raises(NotReady):
        await stage.playlists.iframes(asset, PUBLIC, "240p")
    await stage.demand.make_all(asset, "240p")
    assert "240p/iframes.m3u8" in await text(stage, await stage.playlists.master(asset, PUBLIC))
    assert (await text(stage, await stage.playlists.iframes(asset, PUBLIC, "240p"))).count("BYTERANGE") == 3


async def test_nobody_waits_for_the_i_frames_of_another_film_and_each_is_measured_once(
    stage: Stage, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = [(await stage.workshop.indexed(films.film(Film(seconds=end)))).id for end in (9, 5)]
    begun, go_on, measured = threading.Event(), threading.Event(), []
    real = module._packaged_sizes

    def measure(index: bytes, rendition: OutlineRendition) -> list[int]:
        measured.append(rendition.count)
        if len(measured) == 1:
            begun.set()
            go_on.wait(30)
        return real(index, rendition)

    monkeypatch.setattr(module, "_packaged_sizes", measure)
    waiting = [asyncio.create_task(stage.playlists.iframes(slow, PUBLIC, "source")) for _ in range(3)]
    try:
        async with asyncio.timeout(20):
            await asyncio.to_thread(begun.wait, 20)
            await stage.playlists.iframes(quick, PUBLIC, "source")
    finally:
        go_on.set()
    first, *others = await asyncio.gather(*waiting)
    assert all(one is first for one in others)
    assert len(measured) == 2


async def test_sound_has_no_i_frames(stage: Stage, asset: str) -> None:
    with pytest.raises(NotFound):
        await stage.playlists.iframes(asset, PUBLIC, "audio")
    assert "audio/iframes.m3u8" not in await text(stage, await stage.playlists.master(asset, PUBLIC))


async def test_a_playlist_is_written_once(stage: Stage, asset: str) -> None:
    for _ in range(2):
        assert await stage.playlists.media(asset, PUBLIC, "240p") is await stage.playlists.media(
            asset, PUBLIC, "240p"
        )
        assert await stage.playlists.master(asset, PUBLIC) is await stage.playlists.master(asset, PUBLIC)
