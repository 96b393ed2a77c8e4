"""The background work as a whole: taking up after a crash, deleting in the middle, waiting for room."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import CatalogUnavailable, ConverterKilled, NotFound, StorageFull, TranscodeFailed
from media_service.store.keys import first_version_tree, original_key, poster_key, segment_key, subtitles_key
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset, Upload, UploadState
from media_service.timeline.previews import Pack
from media_service.work import posters, previewing
from media_service.work import tasks as module
from media_service.work.extras import Extras
from media_service.work.indexing import Indexer
from media_service.work.keeping import keep
from media_service.work.previewing import Previewer
from media_service.work.runs import MAX_ATTEMPTS, Run
from media_service.work.tasks import MAX_ATTEMPTS as MOST_CLIPPING
from media_service.work.tasks import Tasks
from media_service.work.tiles import HeaderChanged
from media_service.work.transcoding import Transcoder
from tests.contracts.test_catalog import asset as row
from tests.support.films import Film, Films
from tests.support.full_disk import FullDisk
from tests.support.media import ffmpeg
from tests.support.processes import wait_until
from tests.support.workshop import Workshop, encoders
from tests.work.conftest import Started

MADE = Film(seconds=6, fps=10, container="ts")  # of which everything has to be encoded
LONG = Film(seconds=40, size=(480, 360), fps=15, container="ts")


async def settled(workshop: Workshop, asset_id: str, *states: str) -> Asset:
    """The asset once it is in one of the states."""
    async with asyncio.timeout(60), workshop.events.subscribe(asset_id) as news:
        while (asset := await workshop.catalog.asset(asset_id)).state not in states:
            await anext(news)
    return asset


async def test_a_new_film_is_looked_at_and_made(workshop: Workshop, films: Films) -> None:
    for film in (MADE, Film()):
        asset = await workshop.admitted(films.film(film))
        async with workshop.tasks() as tasks:
            tasks.submit(asset.id)
            asset = await settled(workshop, asset.id, "ready", "failed")
        assert asset.state == "ready"
        assert asset.has_poster


async def test_resuming_sweeps_what_no_asset_owns(workshop: Workshop, films: Films) -> None:
    asset = await workshop.transcoded(films.film(MADE))
    for key in ("orphan/original", "orphan/segments/180p/0-abc"):
        await keep(workshop.blobs, key, b"x")
    before = workshop.files(asset)
    async with workshop.tasks() as tasks:
        await tasks.resume()
        await swept()
    assert await workshop.blobs.trees() == [asset.id]
    assert workshop.files(asset) == before


def upload(name: str, state: UploadState, asset_id: str | None = None) -> Upload:
    return Upload(
        id=name,
        owner="admin",
        dialect="tus",
        state=state,
        filename="film.mp4",
        length=1,
        asset_id=asset_id,
        created_at=0,
        updated_at=0,
        expires_at=0,  # whoever expires uploads removes their bytes too
    )


async def test_resuming_leaves_the_bytes_of_open_uploads_alone_and_sweeps_those_of_others(
    workshop: Workshop,
) -> None:
    await workshop.catalog.add_asset(row("made", state="ready"))
    for one in (
        upload("made", "finished", "made"),
        upload("twin", "finished", "made"),
        upload("deleted", "finished", "deleted"),
        upload("open", "open"),
        upload("refused", "rejected"),
    ):
        await workshop.catalog.add_upload(one, max_open=5, max_reserved_bytes=5, now=0)
        async with await workshop.blobs.grow(original_key(one.id), 0) as blob:
            await blob.write(b"x")
            await blob.seal()
    async with workshop.tasks() as tasks:
        await tasks.resume()
        await swept()
    assert await workshop.blobs.trees() == ["made", "open"]


async def test_what_comes_after_the_start_is_never_swept(workshop: Workshop) -> None:
    async with await workshop.blobs.create("orphan/original") as writer:
        await writer.seal()
    async with workshop.tasks() as tasks:
        await tasks.resume()
        async with await workshop.blobs.create("new/original") as writer:
            await writer.seal()
        await swept()
        assert await workshop.blobs.trees() == ["new"]


async def test_a_start_does_not_wait_for_the_sweep_and_an_end_breaks_it_off(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await workshop.blobs.create("orphan/original") as writer:
        await writer.seal()
    begun, never = asyncio.Event(), asyncio.Event()

    async def slow(_: LocalBlobs, prefix: str) -> None:
        assert prefix == "orphan"
        begun.set()
        await never.wait()

    monkeypatch.setattr(LocalBlobs, "delete_tree", slow)
    async with asyncio.timeout(10), workshop.tasks() as tasks:
        await tasks.resume()
        await begun.wait()
    assert await workshop.blobs.trees() == ["orphan"]  # the next start's


async def swept() -> None:
    """Until the sweep that `resume` began has ended."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "sweeping"))


async def test_resuming_takes_up_every_film_that_is_not_finished(workshop: Workshop, films: Films) -> None:
    film = films.film(MADE)
    new, looked_at = await workshop.admitted(film), await workshop.indexed(film)
    async with workshop.tasks(workers=2) as tasks:
        await tasks.resume()
        for asset in (new, looked_at):
            assert (await settled(workshop, asset.id, "ready", "failed")).state == "ready"


async def test_a_start_tries_again_what_had_failed_for_good(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(MADE))
    name = (await workshop.outlines.of(asset.id)).encoded[0].name
    for _ in range(MAX_ATTEMPTS):
        await workshop.catalog.count_failure(asset.id, [name], 0, TranscodeFailed("Out of memory."))
    asset = await workshop.transcode(asset)
    assert (asset.state, asset.error_code) == ("playable", "segment_failed")
    async with workshop.tasks() as tasks:
        await tasks.resume()
        asset = await settled(workshop, asset.id, "ready", "failed")
    assert (asset.state, asset.error_code, asset.error_detail) == ("ready", None, None)


async def test_what_was_committed_before_a_crash_stays_and_what_was_not_goes(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.going() as going:
        await going.batch(Run(asset.id, ("360p", "240p"), 0, 2))
    committed = await workshop.catalog.segment_blobs(asset.id)
    uncommitted = segment_key(asset.id, "360p", 2, "abc")
    old = f"{first_version_tree(asset.id)}/abc-360p"
    for key in (uncommitted, old):
        await keep(workshop.blobs, key, b"half")
    async with workshop.tasks() as tasks:
        await tasks.resume()
        await swept()
        assert (await settled(workshop, asset.id, "ready", "failed")).state == "ready"
    stored = set(await workshop.blobs.keys(asset.id))
    assert committed <= stored
    assert not {uncommitted, old} & stored
    assert set(await workshop.blobs.keys(f"{asset.id}/segments")) == await workshop.catalog.segment_blobs(
        asset.id
    )


async def test_a_film_that_took_the_service_down_three_times_is_left_alone(
    workshop: Workshop, films: Films
) -> None:
    twice, thrice = [await workshop.indexed(films.film(MADE)) for _ in range(2)]
    for asset, crashes in ((twice, 2), (thrice, 3)):
        for _ in range(crashes):
            await workshop.catalog.begin_attempt(asset.id)
    await keep(workshop.blobs, segment_key(thrice.id, "180p", 0, "abc"), b"half")
    async with workshop.tasks() as tasks:
        await tasks.resume()
        await swept()
        asset = await settled(workshop, thrice.id, "failed")
        assert asset.error_code == "transcode_crashed"
        assert (await settled(workshop, twice.id, "ready", "failed")).state == "ready"
    assert await workshop.catalog.renditions(thrice.id) == []
    kept = {name.partition("/")[0] for name in workshop.files(thrice)}
    assert kept == {"original", "index", "outline", "posters"}
    assert (await workshop.catalog.asset(twice.id)).attempts == 0


async def test_a_film_that_took_the_service_down_plays_as_far_as_it_was_made(
    workshop: Workshop, films: Films
) -> None:
    some, packaged = [
        await workshop.indexed(films.film(film)) for film in (LONG, Film(seconds=6, size=(640, 360)))
    ]
    async with workshop.going() as going:
        await going.batch(Run(some.id, ("360p",), 0, 1))
    committed = await workshop.catalog.segment_blobs(some.id)
    await keep(workshop.blobs, segment_key(some.id, "360p", 1, "abc"), b"half")
    for asset in (some, packaged):
        for _ in range(3):
            await workshop.catalog.begin_attempt(asset.id)
    async with workshop.tasks() as tasks:
        await tasks.resume()
        await swept()
        for film in (some, packaged):
            asset = await workshop.catalog.asset(film.id)
            assert (asset.state, asset.error_code) == ("playable", "transcode_crashed")
        assert encoders() == []
        assert set(await workshop.blobs.keys(f"{some.id}/segments")) == committed
        # On demand the rest is made all the same, and who gets on is taken up again.
        await workshop.demand(workshop.at_work).segment(some.id, "360p", 2)
    assert (await workshop.catalog.asset(some.id)).attempts == 0


async def test_an_attempt_is_counted_while_it_runs_and_forgiven_when_the_service_ends_it(
    workshop: Workshop, films: Films, started: Started
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    started.go.clear()
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        await started.until(1)
        assert (await workshop.catalog.asset(asset.id)).attempts == 1
    assert (await workshop.catalog.asset(asset.id)).attempts == 0


async def test_looking_at_a_film_is_counted_on_top_of_what_came_before(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.admitted(films.film(Film()))
    await workshop.catalog.begin_attempt(asset.id)
    seen = []

    async def look(_: Indexer, asset: Asset) -> Asset:
        seen.append((await workshop.catalog.asset(asset.id)).attempts)
        asset = await workshop.catalog.update_asset(asset.id, state="failed")
        workshop.events.publish("asset", asset.id)
        return asset

    monkeypatch.setattr(Indexer, "index", look)
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        asset = await settled(workshop, asset.id, "failed")
    assert seen == [2]
    assert (await workshop.catalog.asset(asset.id)).attempts == 1


async def test_a_poster_that_a_crash_came_before_is_made_when_the_film_is_taken_up(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(Film()))
    await workshop.catalog.update_asset(asset.id, has_poster=False)
    async with workshop.tasks() as tasks:
        await tasks.resume()
        asset = await settled(workshop, asset.id, "ready", "failed")
    assert asset.has_poster
    assert (workshop.root / poster_key(asset.id, asset.poster_version)).stat().st_size > 0


async def test_a_film_whose_poster_something_kills_each_time_is_made_without_one(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> bytes:
        raise ConverterKilled("Something outside ended it.")

    monkeypatch.setattr(posters, "drawn", killed)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    asset = await workshop.admitted(films.film(MADE))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        asset = await settled(workshop, asset.id, "ready", "failed")
    assert (asset.state, asset.error_code, asset.has_poster) == ("ready", None, False)


async def test_subtitles_that_a_crash_came_before_are_made_when_the_film_is_taken_up(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    (tmp_path / "lines.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nHello\n")
    subtitled = tmp_path / "subtitled.mkv"
    ffmpeg("-i", films.film(Film()), "-i", tmp_path / "lines.srt", "-c", "copy", "-c:s", "srt", subtitled)
    asset = await workshop.indexer().index(await workshop.admitted(subtitled))
    async with workshop.tasks() as tasks:
        await tasks.resume()
        await settled(workshop, asset.id, "ready", "failed")
    assert "Hello" in (workshop.root / subtitles_key(asset.id, 0)).read_text()


async def test_what_is_made_on_demand_alone_becomes_ready_when_it_happens_to_be_all(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(MADE))
    outline = await workshop.outlines.of(asset.id)
    async with workshop.tasks(ahead=False) as tasks:
        await tasks.resume()
        demand = workshop.demand(workshop.at_work)
        for one in outline.encoded:
            for number in range(one.count):
                assert (await workshop.catalog.asset(asset.id)).state == "playable"
                await demand.segment(asset.id, one.name, number)
        asset = await settled(workshop, asset.id, "ready", "failed")
    assert asset.state == "ready"


async def test_whoever_waits_for_a_film_that_is_removed_hears_of_it(
    workshop: Workshop, films: Films, started: Started
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    started.go.clear()
    async with workshop.tasks(ahead=False) as tasks:
        waiting = asyncio.create_task(workshop.demand(workshop.at_work).segment(asset.id, "360p", 5))
        await started.until(1)
        await tasks.remove(asset.id)
        with pytest.raises(NotFound):
            await waiting
        assert await workshop.blobs.trees() == []


async def test_removing_a_film_in_the_middle_of_its_transcode_leaves_nothing(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        await workshop.first_segments(asset)
        async with workshop.events.subscribe(asset.id) as news:
            await tasks.remove(asset.id)
            assert (await anext(news)).event == "deleted"
        async with asyncio.timeout(5):
            while encoders():  # noqa: ASYNC110 - killed by now; a second cancel may cut the wait for its end short
                await asyncio.sleep(0.01)
        assert await workshop.blobs.trees() == []
        with pytest.raises(NotFound):
            await workshop.catalog.asset(asset.id)
        with pytest.raises(NotFound):
            await tasks.remove(asset.id)


async def test_leaving_ends_the_work_and_the_next_start_takes_it_up(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        await workshop.first_segments(asset)
    assert encoders() == []
    async with workshop.tasks() as tasks:
        await tasks.resume()
        assert (await settled(workshop, asset.id, "ready", "failed")).state == "ready"


@pytest.mark.parametrize("room", [0, 100_000], ids=["for nothing", "for the poster only"])
async def test_a_full_disk_makes_work_wait_until_there_is_room(
    workshop: Workshop,
    films: Films,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    disk = FullDisk(workshop.root, room=room)
    asset = await workshop.admitted(films.film(Film(seconds=10, container="ts")))
    async with workshop.tasks(blobs=disk) as tasks:
        tasks.submit(asset.id)
        async with asyncio.timeout(60):
            await disk.refused.wait()
        assert (await workshop.catalog.asset(asset.id)).state in {"probing", "playable"}
        disk.room = 1 << 30
        asset = await settled(workshop, asset.id, "ready", "failed")
    assert asset.state == "ready"
    assert asset.has_poster


@pytest.mark.parametrize("error", [StorageFull, CatalogUnavailable])
async def test_work_without_room_waits_longer_each_time_and_not_for_ever(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LONGEST_RETRY_SECONDS", 0.05)
    asset = await workshop.indexed(films.film(Film()))
    waits: list[float] = []
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def call_later(wait: float, call: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        if getattr(call, "__name__", "") == "add":
            waits.append(wait)
            if len(waits) == 5:
                enough.set()
        return later(wait, call, *args)

    async def no_room(*_: object) -> None:
        raise error

    monkeypatch.setattr(loop, "call_later", call_later)
    monkeypatch.setattr(Transcoder, "transcode", no_room)
    async with asyncio.timeout(20), workshop.tasks() as tasks:
        tasks.submit(asset.id)
        await enough.wait()
    assert waits == [0.01, 0.02, 0.04, 0.05, 0.05]
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.attempts) == ("playable", 0)


async def test_a_mistake_of_ours_does_not_keep_a_film_waiting_for_ever(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    asset = await workshop.indexed(films.film(MADE))
    monkeypatch.setattr(Extras, "make", mistaken)
    with caplog.at_level(logging.CRITICAL):
        async with workshop.tasks() as tasks:
            tasks.submit(asset.id)
            asset = await settled(workshop, asset.id, "failed")
    assert asset.error_code == "internal"


@pytest.mark.parametrize("held", [(Previewer, "begin"), (Extras, "make")], ids=["previews", "extras"])
async def test_a_film_whose_extras_others_hold_up_is_made_and_becomes_ready_when_it_has_them(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch, held: tuple[type, str]
) -> None:
    go, ended = asyncio.Event(), asyncio.Event()
    make, transcode = getattr(*held), Transcoder.transcode

    async def held_up(self: object, asset: Asset) -> None:
        await go.wait()
        await make(self, asset)

    async def noted(self: Transcoder, asset_id: str) -> None:
        await transcode(self, asset_id)
        ended.set()

    monkeypatch.setattr(*held, held_up)
    monkeypatch.setattr(Transcoder, "transcode", noted)
    monkeypatch.setattr(module, "MOST_HELD_UP_SECONDS", 0.01, raising=False)
    asset = await workshop.admitted(films.film(MADE))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        async with asyncio.timeout(20):
            await ended.wait()
        made = await workshop.catalog.made(asset.id)
        encoded = (await workshop.outlines.of(asset.id)).encoded
        assert all(len(made[one.name]) == one.count for one in encoded)
        assert (await workshop.catalog.asset(asset.id)).state == "playable"
        go.set()
        asset = await settled(workshop, asset.id, "ready", "failed")
    assert (asset.state, asset.has_poster) == ("ready", True)


async def test_a_film_that_was_deleted_before_its_turn_is_passed_over(
    workshop: Workshop, films: Films
) -> None:
    gone, asset = [await workshop.admitted(films.film(Film())) for _ in range(2)]
    tasks: Tasks
    async with workshop.tasks() as tasks:
        await workshop.catalog.delete_asset(gone.id)
        tasks.submit(gone.id)
        tasks.submit(asset.id)
        assert (await settled(workshop, asset.id, "ready", "failed")).state == "ready"


async def test_a_film_whose_encoder_was_killed_from_outside_is_made_again(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        await workshop.first_segments(asset)
        await asyncio.to_thread(wait_until, lambda: bool(encoders()), 30, "an encoder runs")
        for encoder in encoders():
            os.kill(encoder, signal.SIGKILL)
        assert (await settled(workshop, asset.id, "ready", "failed")).state == "ready"


async def test_a_film_whose_encoder_is_killed_each_time_fails_at_last(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    tries: list[str] = []

    async def killed(_: Transcoder, asset_id: str) -> None:
        tries.append(asset_id)
        raise ConverterKilled("Something outside ended it.")

    monkeypatch.setattr(Transcoder, "transcode", killed)
    asset = await workshop.indexed(films.film(MADE))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        asset = await settled(workshop, asset.id, "failed")
    assert (asset.error_code, asset.error_detail) == ("converter_killed", "Something outside ended it.")
    assert tries == [asset.id] * 3


async def test_a_film_that_gets_on_may_be_killed_more_often(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    tries: list[str] = []

    async def killed(_: Transcoder, asset_id: str) -> None:
        tries.append(asset_id)
        if len(tries) <= 5:
            workshop.at_work.got_on(asset_id)
        raise ConverterKilled("Something outside ended it.")

    monkeypatch.setattr(Transcoder, "transcode", killed)
    asset = await workshop.indexed(films.film(MADE))
    async with workshop.tasks() as tasks:
        tasks.submit(asset.id)
        assert (await settled(workshop, asset.id, "failed")).error_code == "converter_killed"
    assert len(tries) == 5 + 2


# --- previews -------------------------------------------------------------------------------------------------


async def previewed(workshop: Workshop, asset_id: str) -> Pack:
    """The asset's pack, once it is complete."""
    async with asyncio.timeout(60), workshop.events.subscribe(asset_id) as news:
        while (pack := await workshop.catalog.pack_of(asset_id)) is None or not pack.complete:
            await anext(news)
    return pack


async def test_a_new_film_has_previews_of_its_whole_length(workshop: Workshop, films: Films) -> None:
    asset = await workshop.admitted(films.film(Film(seconds=6, keyframe_seconds=6.0)))
    async with workshop.tasks(workers=0) as tasks:
        tasks.submit(asset.id)
        pack = await previewed(workshop, asset.id)
    assert len(pack.tiles) == 6


async def test_previews_that_a_crash_came_between_are_made_when_the_service_comes_up(
    workshop: Workshop, films: Films
) -> None:
    unfinished = await workshop.indexed(films.film(Film(seconds=6, keyframe_seconds=6.0)))
    ready = await workshop.indexed(films.film(Film(seconds=6, keyframe_seconds=3.0)))
    await workshop.previewer().begin(ready)
    await workshop.catalog.update_asset(ready.id, state="ready")
    async with workshop.tasks(workers=0) as tasks:
        await tasks.resume()
        packs = [await previewed(workshop, asset.id) for asset in (unfinished, ready)]
    assert [len(pack.tiles) for pack in packs] == [6, 6]


@pytest.mark.parametrize("error", [IndexError("for the test"), OSError("no more files"), HeaderChanged()])
async def test_a_mistake_in_the_making_of_previews_costs_a_film_nothing_else(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def mistaken(*_: object) -> None:
        raise error

    monkeypatch.setattr(previewing, "wanted_frames", mistaken)
    asset = await workshop.admitted(films.film(MADE))
    async with workshop.tasks() as tasks, workshop.events.subscribe(asset.id) as news:
        tasks.submit(asset.id)
        asset = await settled(workshop, asset.id, "ready", "failed")
        assert (asset.state, asset.error_code, asset.has_poster) == ("ready", None, True)
        async with asyncio.timeout(60):
            while await workshop.catalog.without_clips(MOST_CLIPPING):
                await anext(news)
    assert await workshop.catalog.pack_of(asset.id) is None


async def test_a_film_that_is_removed_takes_its_previews_along(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def endless(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Previewer, "_make", endless)
    asset = await workshop.indexed(films.film(Film(seconds=6, keyframe_seconds=6.0)))
    async with workshop.tasks(workers=0) as tasks:
        tasks.submit(asset.id)
        async with asyncio.timeout(60):
            await begun.wait()
        assert await workshop.catalog.pack_of(asset.id) is not None
        await tasks.remove(asset.id)
        assert await workshop.blobs.trees() == []


async def test_previews_wait_for_room_on_the_disk(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Previewer._make
    refused: list[object] = []

    async def at_first_full(self: Previewer, *film: Any) -> None:
        if not refused:
            refused.append(film)
            raise StorageFull("for the test")
        await make(self, *film)

    monkeypatch.setattr(Previewer, "_make", at_first_full)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    asset = await workshop.indexed(films.film(Film(seconds=6, keyframe_seconds=6.0)))
    async with workshop.tasks(workers=0) as tasks:
        tasks.submit(asset.id)
        assert len((await previewed(workshop, asset.id)).tiles) == 6
