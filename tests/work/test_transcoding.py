"""Transcodes with real ffmpeg: what a whole one leaves, and that a broken one leaves nothing."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from media_service.errors import StorageFull
from media_service.store.records import Asset
from media_service.timeline.facts import Facts
from media_service.timeline.packets import Packets
from media_service.wire import layout
from tests.support.films import Film, Films
from tests.support.full_disk import FullDisk
from tests.support.media import framemd5
from tests.support.workshop import Workshop, encoders, facts_of

FILM = Film(seconds=5)
LONG = Film(seconds=25, size=(640, 360))
LOOKED_AT = {"original", "original-header", "index", "poster"}


async def left_nothing(workshop: Workshop, asset: Asset) -> None:
    assert await workshop.catalog.renditions(asset.id) == []
    assert await workshop.catalog.segments(asset.id, "180p") == []
    assert workshop.files(asset) == LOOKED_AT
    assert encoders() == []


async def with_facts(workshop: Workshop, asset: Asset, facts: Facts) -> None:
    await workshop.catalog.update_asset(asset.id, facts=msgspec.json.encode(facts))


async def test_a_film_becomes_ready_in_segments_that_follow_each_other(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.transcoded(films.film(FILM))
    assert asset.state == "ready"
    assert [(one.name, one.state) for one in await workshop.catalog.renditions(asset.id)] == [
        ("180p", "ready"),
        ("audio", "ready"),
    ]
    for name in ("180p", "audio"):
        segments = await workshop.catalog.segments(asset.id, name)
        assert len(segments) == 3  # of 2, 2 and 1 seconds
        ends = [one.begin_ticks + one.duration_ticks for one in segments]
        assert [one.begin_ticks for one in segments] == [0, *ends[:-1]]
    assert len(workshop.files(asset)) == len(LOOKED_AT) + 4  # two runs' blobs, two headers
    assert encoders() == []


async def test_a_film_made_twice_is_the_same_film_at_another_place(workshop: Workshop, films: Films) -> None:
    asset = await workshop.transcoded(films.film(FILM))
    before = workshop.files(asset)
    first = await runs(workshop, asset)
    await workshop.catalog.update_asset(asset.id, state="playable")
    await workshop.transcoder().transcode(asset.id)
    assert (await workshop.catalog.asset(asset.id)).state == "ready"
    second = await runs(workshop, asset)
    assert list(first.values()) == list(second.values())
    assert not first.keys() & second.keys()
    assert workshop.files(asset) & before == LOOKED_AT


async def runs(workshop: Workshop, asset: Asset) -> dict[str | None, bytes]:
    """What each rendition's run wrote, by its key."""
    return {
        one.blob: (workshop.root / (one.blob or "")).read_bytes()
        for one in await workshop.catalog.renditions(asset.id)
    }


async def test_an_original_that_was_cut_makes_a_failed_film_and_leaves_nothing(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    os.truncate(workshop.file(asset), asset.size // 2)
    await workshop.transcoder().transcode(asset.id)
    asset = await workshop.catalog.asset(asset.id)
    assert asset.state == "failed"
    assert asset.error_code in {"transcode_failed", "transcode_incomplete"}
    await left_nothing(workshop, asset)


@pytest.mark.parametrize("lost", ["frames", "seconds", "sound"])
async def test_a_film_that_lacks_a_part_is_not_called_ready(
    workshop: Workshop, films: Films, lost: str
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    facts = facts_of(asset)
    picture, sound = facts.packets.streams
    if lost == "frames":
        picture = msgspec.structs.replace(picture, count=200)
    elif lost == "seconds":
        picture = msgspec.structs.replace(picture, count=126, stop_seconds=6.0)
    else:
        sound = msgspec.structs.replace(sound, stop_seconds=6.0)
    await with_facts(workshop, asset, msgspec.structs.replace(facts, packets=Packets((picture, sound))))
    await workshop.transcoder().transcode(asset.id)
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.error_code) == ("failed", "transcode_incomplete")
    await left_nothing(workshop, asset)


async def test_a_film_is_ready_in_all_its_parts_or_not_at_all(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends at the very last step leaves nothing that a viewer would take for finished."""
    asset = await workshop.indexed(films.film(FILM))

    async def no_room(*_: object) -> Asset:
        raise StorageFull

    monkeypatch.setattr(workshop.catalog, "finish", no_room)
    with pytest.raises(StorageFull):
        await workshop.transcoder().transcode(asset.id)
    assert (await workshop.catalog.asset(asset.id)).state == "playable"
    assert await workshop.catalog.renditions(asset.id) == []


async def test_a_full_disk_is_no_fault_of_the_film(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    disk = FullDisk(workshop.root, room=1000)
    with pytest.raises(StorageFull):
        await workshop.transcoder(disk).transcode(asset.id)
    assert (await workshop.catalog.asset(asset.id)).state == "playable"
    assert workshop.files(asset) == LOOKED_AT
    assert encoders() == []
    disk.room = 1 << 30
    await workshop.transcoder(disk).transcode(asset.id)
    assert (await workshop.catalog.asset(asset.id)).state == "ready"


async def test_a_cancelled_run_ends_its_ffmpeg_and_the_next_one_starts_afresh(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    run = asyncio.create_task(workshop.transcoder().transcode(asset.id))
    await workshop.first_segments(asset)
    assert len(encoders()) == 1
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert encoders() == []
    assert workshop.files(asset) == LOOKED_AT
    assert (await workshop.catalog.asset(asset.id)).state == "playable"
    await workshop.transcoder().transcode(asset.id)
    assert (await workshop.catalog.asset(asset.id)).state == "ready"


async def test_a_film_deleted_while_it_is_made_is_simply_gone(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(LONG))
    run = asyncio.create_task(workshop.transcoder().transcode(asset.id))
    await workshop.first_segments(asset)
    await workshop.catalog.delete_asset(asset.id)
    await run
    assert encoders() == []
    assert workshop.files(asset) == LOOKED_AT  # for `Tasks.remove` to take away


@pytest.mark.parametrize("state", ["ready", "failed", "probing"])
async def test_only_playable_films_are_made(workshop: Workshop, films: Films, state: str) -> None:
    asset = await workshop.indexed(films.film(FILM))
    await workshop.catalog.update_asset(asset.id, state=state)  # type: ignore[arg-type] # one of the states
    await workshop.transcoder().transcode(asset.id)
    await left_nothing(workshop, asset)


async def test_a_film_that_does_not_exist_is_no_error(workshop: Workshop) -> None:
    await workshop.transcoder().transcode("absent")


async def test_sound_alone_and_picture_alone_become_ready(workshop: Workshop, films: Films) -> None:
    for film, names in [(Film(size=None), ["audio"]), (Film(audio=False), ["180p"])]:
        asset = await workshop.transcoded(films.film(film))
        assert asset.state == "ready"
        assert [one.name for one in await workshop.catalog.renditions(asset.id)] == names


async def test_the_same_fragments_are_in_the_classic_file_and_in_the_segments(
    workshop: Workshop, films: Films
) -> None:
    """framemd5 of init + segments is that of the classic MP4 of the sound, which has no second track."""
    asset = await workshop.transcoded(films.film(Film(size=None, seconds=5)))
    (rendition,) = await workshop.catalog.renditions(asset.id)
    assert rendition.init is not None
    packed = await workshop.catalog.rendition_layout(asset.id, "audio")
    classic = await workshop.written(layout.unpack(packed), workshop.root / "classic.m4a")
    segmented = workshop.root / "segmented.mp4"
    run = (workshop.root / (rendition.blob or "")).read_bytes()
    segmented.write_bytes(rendition.init + run)
    assert [line.split(",")[1:] for line in framemd5(classic)] == [
        line.split(",")[1:] for line in framemd5(segmented)
    ]
