"""Films made with real ffmpeg: what a whole one is, that what was made stays, and that damage stays where it is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import ConverterKilled, NotReady, StorageFull, TranscodeFailed
from media_service.mp4.fragments import read_fragment
from media_service.mp4.init_segment import InitTrack
from media_service.store.records import Asset, Rendition
from media_service.timeline.outline import OutlineRendition
from media_service.work import inits as inits_module
from media_service.work import runner as runner_module
from media_service.work.least import least_frames
from media_service.work.runs import FEW, MAX_ATTEMPTS, Run
from tests.support.films import Film, Films
from tests.support.full_disk import FullDisk
from tests.support.media import decoded, ffmpeg, packets
from tests.support.processes import wait_until
from tests.support.workshop import Workshop, encoders
from tests.work.conftest import Started

FILM = Film(seconds=10, size=(320, 240), container="ts")  # two segments and a half
LONG = Film(seconds=40, size=(640, 360), fps=10, container="ts", keyframe_seconds=2)
PACKAGED = Film(seconds=5, size=(320, 180))


async def rendition(workshop: Workshop, asset: Asset, name: str) -> Rendition:
    return next(one for one in await workshop.catalog.renditions(asset.id) if one.name == name)


async def joined(workshop: Workshop, asset: Asset, name: str, directory: Path) -> Path:
    """The rendition as a player puts it together: init segment, then all segments."""
    init = await workshop.catalog.init_of(asset.id, name)
    assert init is not None
    blobs = [one.blob for one in await workshop.catalog.segments(asset.id, name)]
    pieces = [(workshop.root / blob).read_bytes() for blob in blobs]
    return written(directory / f"{asset.id}-{name}.mp4", init, *pieces)


def written(path: Path, *pieces: bytes) -> Path:
    path.write_bytes(b"".join(pieces))
    return path


async def fits(workshop: Workshop, asset: Asset, one: OutlineRendition) -> None:
    """Every segment begins and ends where the outline says, to the tick."""
    segments = await workshop.catalog.segments(asset.id, one.name)
    assert [segment.number for segment in segments] == list(range(one.count))
    for segment in segments:
        fragment = read_fragment((workshop.root / segment.blob).read_bytes()[: segment.payload_start - 8])
        begin, end = one.boundaries[segment.number : segment.number + 2]
        assert fragment.base_time == begin or segment.number == 0
        assert fragment.base_time + sum(sample.duration for sample in fragment.samples) == end


def frames(path: Path) -> list[int]:
    """Presentation times in ticks of 1/90000 s."""
    return sorted(int(pts) for (pts,) in packets(path, "v", "pts"))


async def test_a_film_becomes_ready_with_all_its_segments(workshop: Workshop, films: Films) -> None:
    asset = await workshop.transcoded(films.film(FILM))
    assert (asset.state, asset.error_code) == ("ready", None)
    rows = await workshop.catalog.renditions(asset.id)
    assert [(one.name, one.state) for one in rows] == [("240p", "ready"), ("audio", "ready")]
    outline = await workshop.outlines.of(asset.id)
    for row in rows:
        assert row.made_segments == row.segments == outline.rendition(row.name).count
        await fits(workshop, asset, outline.rendition(row.name))
    assert encoders() == []


async def test_its_frames_have_the_times_of_the_sources(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    source = films.film(Film(seconds=10, size=(320, 240), container="ts", audio=False, fps=30))
    asset = await workshop.transcoded(source)
    made = await joined(workshop, asset, "240p", tmp_path)
    theirs = sorted(int(pts) for (pts,) in packets(source, "v", "pts"))
    expected = [time - theirs[0] for time in theirs]
    assert frames(made) == expected
    assert len(decoded(made)) == len(expected)


async def test_bandwidths_are_measured(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    guessed = await rendition(workshop, asset, "240p")
    asset = await workshop.transcode(asset)
    measured = await rendition(workshop, asset, "240p")
    sizes = [size for _, size, _ in await workshop.catalog.sizes(asset.id, "240p")]
    seconds = (await workshop.outlines.of(asset.id)).rendition("240p").seconds(measured.segments)
    assert measured.average_bandwidth == pytest.approx(8 * sum(sizes) / float(seconds), rel=0.01)
    assert measured.average_bandwidth <= measured.bandwidth < guessed.bandwidth


async def test_a_film_that_needs_no_encoder_is_ready_without_one(
    workshop: Workshop, films: Films, started: Started
) -> None:
    asset = await workshop.indexed(films.film(Film(seconds=5, size=(256, 144))))
    assert not (await workshop.outlines.of(asset.id)).encoded
    assert (await workshop.transcode(asset)).state == "ready"
    assert started.runs == []


async def test_batch_and_demand_make_one_film(
    workshop: Workshop, films: Films, started: Started, tmp_path: Path
) -> None:
    """Segments that were made in another order, by other runs, are the same film: nothing lost, doubled or moved."""
    source = films.film(LONG)
    whole, pieces = await workshop.transcoded(source), await workshop.indexed(source)
    started.runs.clear()
    async with workshop.going() as going:
        demand = workshop.demand(going)
        for name, number in (("360p", 7), ("audio", 5), ("240p", 3)):
            await demand.segment(pieces.id, name, number)
        await workshop.transcoder(going).transcode(pieces.id)
    assert (await workshop.catalog.asset(pieces.id)).state == "ready"
    assert {("360p", 7), ("audio", 5), ("240p", 3)} <= set(started.firsts)
    outline = await workshop.outlines.of(whole.id)
    for one in outline.encoded:
        await fits(workshop, pieces, one)
        files = [await joined(workshop, asset, one.name, tmp_path) for asset in (whole, pieces)]
        stream = "v" if one.kind == "video" else "a"
        times = [packets(file, stream, "pts,duration") for file in files]
        assert times[0] == times[1]
        assert [len(decoded(file)) for file in files] == [len(times[0])] * 2


@pytest.mark.torture
async def test_what_was_made_stays_when_a_film_is_broken_off(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.going() as going:
        run = asyncio.create_task(workshop.transcoder(going).transcode(asset.id))
        await workshop.first_segments(asset)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    assert encoders() == []
    before = await workshop.catalog.segment_blobs(asset.id)
    assert before
    assert (await workshop.catalog.asset(asset.id)).state == "playable"
    assert (await workshop.transcode(asset)).state == "ready"
    after = await workshop.catalog.segment_blobs(asset.id)
    assert before <= after == set(await workshop.blobs.keys(f"{asset.id}/segments"))


def poisoned(monkeypatch: pytest.MonkeyPatch, numbers: Iterable[int]) -> None:
    """From now on these segments of pictures fail."""

    def least(track: Any, rendition: Any, number: int, *, interlaced: bool) -> int:
        return (
            1_000_000 if number in numbers else least_frames(track, rendition, number, interlaced=interlaced)
        )

    monkeypatch.setattr(runner_module, "least_frames", least)


async def test_a_poison_segment_is_left_out_and_the_rest_plays(
    workshop: Workshop, films: Films, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, {4})
    asset = await workshop.indexed(films.film(LONG))
    asset = await workshop.transcode(asset)
    assert (asset.state, asset.error_code) == ("playable", "segment_failed")
    assert asset.error_detail == "Could not be converted: 360p at 16.0 s; 240p at 16.0 s."
    rows = await workshop.catalog.renditions(asset.id)
    states = {row.name: (row.state, row.segments - row.made_segments) for row in rows}
    assert states == {"360p": ("failed", 1), "240p": ("failed", 1), "audio": ("ready", 0)}
    assert await workshop.catalog.rendition_layout(asset.id, "audio")
    failures = await workshop.catalog.failures(asset.id)
    assert {key: one.attempts for key, one in failures.items()} == {
        (name, 4): MAX_ATTEMPTS for name in ("360p", "240p")
    }
    assert [run.attempt for run in started.runs if run.first == 4 and "360p" in run.names] == [0, 1, 2]
    before = len(started.runs)
    version = asset.version
    assert (await workshop.transcode(asset)).version == version
    assert len(started.runs) == before


async def test_a_region_that_cannot_be_decoded_costs_no_more_than_itself(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    track = (await workshop.indexes.of(asset.id)).tracks[0]
    span = track.byte_span(17 * LONG.fps, 19 * LONG.fps)
    assert span is not None
    with workshop.file(asset).open("r+b") as file:
        file.seek(span[0])
        file.write(bytes(span[1] - span[0]))
    asset = await workshop.transcode(asset)
    assert (asset.state, asset.error_code) == ("playable", "segment_failed")
    for row in await workshop.catalog.renditions(asset.id):
        assert row.segments - row.made_segments <= 2, row.name


async def test_a_film_of_which_nothing_can_be_made_fails_after_a_few(
    workshop: Workshop, films: Films, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, range(1000))
    asset = await workshop.transcode(await workshop.indexed(films.film(LONG)))
    assert (asset.state, asset.error_code) == ("failed", "transcode_incomplete")
    assert "1000000 were to come" in (asset.error_detail or "")
    pictures = [run for run in started.runs if "360p" in run.names]
    assert len(pictures) == FEW * MAX_ATTEMPTS
    assert await workshop.catalog.renditions(asset.id) == []
    assert not any(name.startswith("segments/") for name in workshop.files(asset))
    assert encoders() == []


async def test_what_the_original_has_itself_plays_though_nothing_can_be_made(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, range(1000))
    source = films.film(Film(seconds=30, size=(640, 360)))
    asset = await workshop.transcode(await workshop.indexed(source))
    assert (asset.state, asset.error_code) == ("playable", "segment_failed")
    rows = {row.name: row.state for row in await workshop.catalog.renditions(asset.id)}
    assert rows["source"] == "ready"
    assert rows["240p"] == "failed"


def without_encoders(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """From now on no encoder can be opened for the init segments of these renditions."""
    encoded = inits_module._encoded

    async def opened(one: OutlineRendition) -> InitTrack:
        if one.name in names:
            raise TranscodeFailed("Error while opening encoder.")
        return await encoded(one)

    monkeypatch.setattr(inits_module, "_encoded", opened)


async def test_a_rendition_without_an_encoder_is_left_out_and_all_else_is_there_to_its_classic_files(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_encoders(monkeypatch, "360p")
    source = films.film(Film(seconds=10, size=(640, 360), fps=10, container="ts"))
    asset = await workshop.transcode(await workshop.indexed(source))
    assert (asset.state, asset.error_code) == ("playable", "segment_failed")
    assert asset.error_detail == "Could not be converted: 360p."
    rows = await workshop.catalog.renditions(asset.id)
    assert [(row.name, row.state) for row in rows] == [
        ("360p", "failed"),
        ("240p", "ready"),
        ("audio", "ready"),
    ]
    for name in ("240p", "audio"):
        assert await workshop.catalog.rendition_layout(asset.id, name)


async def test_without_encoders_a_film_fails_unless_the_original_plays_itself(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_encoders(monkeypatch, "360p", "240p")
    for container, state, code in (
        ("ts", "failed", "transcode_failed"),
        ("mp4", "playable", "segment_failed"),
    ):
        source = films.film(Film(seconds=6, size=(640, 360), fps=10, container=container))
        asset = await workshop.transcode(await workshop.indexed(source))
        assert (asset.state, asset.error_code) == (state, code)
    assert asset.error_detail == "Could not be converted: 240p."


async def test_a_film_that_is_given_up_keeps_what_plays_and_may_become_whole_later(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.going() as going:
        await going.batch(Run(asset.id, ("360p", "240p"), 0, 2))
        blobs = await workshop.catalog.segment_blobs(asset.id)
        await workshop.transcoder(going).give_up(asset.id, ConverterKilled("Three times."))
    asset = await workshop.catalog.asset(asset.id)
    assert (asset.state, asset.error_code, asset.error_detail) == (
        "playable",
        "converter_killed",
        "Three times.",
    )
    assert {row.state for row in await workshop.catalog.renditions(asset.id)} == {"failed"}
    assert set(await workshop.blobs.keys(f"{asset.id}/segments")) == blobs != set()
    asset = await workshop.transcode(asset)
    assert (asset.state, asset.error_code, asset.error_detail) == ("ready", None, None)
    assert blobs <= await workshop.catalog.segment_blobs(asset.id)


async def test_an_original_that_was_cut_makes_a_film_as_far_as_it_goes(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    os.truncate(workshop.file(asset), asset.size // 2)
    asset = await workshop.transcode(asset)
    assert asset.state in {"playable", "failed"}
    assert asset.error_code is not None


async def test_a_full_disk_is_no_fault_of_the_film(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(FILM))
    disk = FullDisk(workshop.root, room=1000)
    with pytest.raises(StorageFull):
        await workshop.transcode(asset, blobs=disk)
    assert (await workshop.catalog.asset(asset.id)).state == "playable"
    assert not any(name.startswith("segments/") for name in workshop.files(asset))
    assert await workshop.catalog.failures(asset.id) == {}
    assert encoders() == []
    disk.room = 1 << 30
    assert (await workshop.transcode(asset, blobs=disk)).state == "ready"


async def test_a_film_is_ready_in_all_its_parts_or_not_at_all(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends at the very last step is done again."""
    asset = await workshop.indexed(films.film(FILM))

    async def no_room(*_: object) -> Asset:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr(workshop.catalog, "finish", no_room)
        with pytest.raises(StorageFull):
            await workshop.transcode(asset)
    assert (await workshop.catalog.asset(asset.id)).state == "playable"
    assert (await workshop.transcode(asset)).state == "ready"


async def test_a_killed_encoder_is_no_fault_of_the_film(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.going() as going:
        run = asyncio.create_task(workshop.transcoder(going).transcode(asset.id))
        await workshop.first_segments(asset)
        await asyncio.to_thread(wait_until, lambda: bool(encoders()), 30, "an encoder runs")
        for encoder in encoders():
            os.kill(encoder, signal.SIGKILL)
        with pytest.raises(ConverterKilled):
            await run
    assert await workshop.catalog.failures(asset.id) == {}
    assert (await workshop.transcode(asset)).state == "ready"


async def test_a_film_deleted_while_it_is_made_is_simply_gone(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(LONG))
    async with workshop.going() as going:
        run = asyncio.create_task(workshop.transcoder(going).transcode(asset.id))
        await workshop.first_segments(asset)
        await workshop.catalog.delete_asset(asset.id)
        await run
    assert encoders() == []


@pytest.mark.parametrize("state", ["ready", "failed", "probing"])
async def test_only_playable_films_are_made(
    workshop: Workshop, films: Films, started: Started, state: str
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    await workshop.catalog.update_asset(asset.id, state=state)  # type: ignore[arg-type] # one of the states
    await workshop.transcode(asset)
    assert started.runs == []


async def test_a_film_that_does_not_exist_is_no_error(workshop: Workshop) -> None:
    async with workshop.going() as going:
        await workshop.transcoder(going).transcode("absent")


async def test_sound_alone_and_picture_alone_become_ready(workshop: Workshop, films: Films) -> None:
    for film, names in [
        (Film(size=None, container="ts"), ["audio"]),
        (Film(audio=False, container="ts"), ["180p"]),
    ]:
        asset = await workshop.transcoded(films.film(film))
        assert asset.state == "ready"
        assert [one.name for one in await workshop.catalog.renditions(asset.id)] == names


async def test_without_working_ahead_nothing_is_made_that_nobody_asked_for(
    workshop: Workshop, films: Films, started: Started
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    assert (await workshop.transcode(asset, ahead=False)).state == "playable"
    assert started.runs == []
    assert all(one.init is None for one in await workshop.catalog.renditions(asset.id))


async def test_a_service_that_makes_nothing_has_nothing_for_viewers_either(
    workshop: Workshop, films: Films
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    async with workshop.going() as going:
        with pytest.raises(NotReady):
            await workshop.demand(going, makes=False).segment(asset.id, "240p", 0)


def loudest_beside(file: Path, frequency: int) -> int:
    """The loudest sample of a sound without that tone, ten times as loud; but for its beginning and its end."""
    filters = f"bandreject=f={frequency}:width_type=h:w=200,volume=20dB"
    argv = ["ffmpeg", "-v", "error", "-i", str(file), "-ac", "1", "-af", filters, "-f", "s16le", "-"]
    found = subprocess.run(argv, check=True, capture_output=True).stdout
    return max(abs(sample) for sample in memoryview(found).cast("h")[4800:-9600])


async def test_sound_joins_without_a_click(workshop: Workshop, tmp_path: Path) -> None:
    """A sine made by several runs is as clean as one that was made at once."""
    sine = tmp_path / "sine.ts"
    source = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=30")
    ffmpeg(*source, "-c:a", "mp2", "-b:a", "384k", sine)
    whole, pieces = [await workshop.indexed(sine) for _ in range(2)]
    async with workshop.going() as going:
        assert await going.batch(Run(whole.id, ("audio",), 0, 8)) is None
        for number in (5, 3, 1):
            await workshop.demand(going).segment(pieces.id, "audio", number)
        await workshop.transcoder(going).transcode(pieces.id)
    clean, made = [
        loudest_beside(await joined(workshop, asset, "audio", tmp_path), 440) for asset in (whole, pieces)
    ]
    assert made <= clean + 100
