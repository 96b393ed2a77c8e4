"""Packs of previews of real films: which frames they show, and what becomes of them when something comes between."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from media_service.errors import ConverterKilled, NotFound, StorageFull
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.process import Process, start
from media_service.store.keys import previews_key, previews_tree
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Asset
from media_service.timeline.preview_plan import Stretch, beginning, wanted_frames
from media_service.timeline.previews import Pack, longest_us
from media_service.work import previewing
from media_service.work.keeping import keep
from media_service.work.previewing import MAX_ATTEMPTS, Previewer
from tests.ffmpeg.numbered import BITS, FILMS, FPS, SECONDS, NumberedFilms
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.processes import until
from tests.support.shared import SHARED, corpus
from tests.support.tiles import jpegs, lumas
from tests.support.workshop import Workshop, encoders

LONG = Film(seconds=12, keyframe_seconds=4.0)
SECOND = 1_000_000


@pytest.fixture(scope="module")
def numbered_films(tmp_path_factory: pytest.TempPathFactory) -> NumberedFilms:
    return NumberedFilms(tmp_path_factory.mktemp("numbered"))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previewing, "GRACE_SECONDS", 0.0)


async def playable(workshop: Workshop, film: Path) -> Asset:
    """The film as an asset without previews."""
    return await workshop.indexer().index(await workshop.admitted(film))


async def pack_of(workshop: Workshop, asset: Asset) -> Pack:
    pack = await workshop.catalog.pack_of(asset.id)
    assert pack is not None
    return pack


async def made(workshop: Workshop, film: Path) -> tuple[Asset, Pack]:
    asset = await playable(workshop, film)
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        await previewer.make(asset.id)
    return asset, await pack_of(workshop, asset)


async def encoding() -> bool:
    return bool(encoders())


def numbers(workshop: Workshop, asset: Asset, pack: Pack) -> list[int]:
    """The number that each tile of a numbered film shows."""
    rows = lumas(jpegs(workshop.root, asset.id, pack), BITS, 1)
    return [sum(1 << bit for bit in range(BITS) if row[bit] > 125) for row in rows]


# --- what they show -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILMS)
async def test_each_tile_shows_the_frame_of_its_time(
    workshop: Workshop, numbered_films: NumberedFilms, name: str
) -> None:
    asset, pack = await made(workshop, numbered_films(name))
    assert pack.complete
    assert numbers(workshop, asset, pack) == [round(tile.time_us * FPS / SECOND) for tile in pack.tiles]
    assert SECONDS <= len(pack.tiles) <= SECONDS + 2
    index = (await workshop.indexes.of(asset.id)).main
    assert index is not None
    shown = {round(time * SECOND / index.timescale) for time in index.shown_times()}
    assert {tile.time_us for tile in pack.tiles} <= shown


async def test_the_first_tiles_are_of_true_times_too(
    workshop: Workshop, numbered_films: NumberedFilms
) -> None:
    for name in ("mp4", "mkv", "ts", "webm"):
        asset = await playable(workshop, numbered_films(name))
        await workshop.previewer().begin(asset)
        pack = await pack_of(workshop, asset)
        assert not pack.complete
        assert numbers(workshop, asset, pack) == [0, 100, 200]
        assert [round(tile.time_us * FPS / SECOND) for tile in pack.tiles] == [0, 100, 200]


@pytest.mark.parametrize(
    ("rotation", "size"), [(0, (256, 144)), (90, (144, 256)), (180, (256, 144)), (270, (144, 256))]
)
async def test_tiles_are_upright(
    workshop: Workshop, films: Films, rotation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    film = films.film(Film(rotation=rotation))
    asset, pack = await made(workshop, film)
    assert (pack.width, pack.height) == size
    ffmpeg("-i", film, "-frames:v", "1", "-q:v", "2", "-f", "mjpeg", tmp_path / "whole.jpg")
    [tile, whole] = (
        lumas([data], 8, 8)[0]
        for data in (jpegs(workshop.root, asset.id, pack)[0], (tmp_path / "whole.jpg").read_bytes())
    )
    assert max(abs(one - other) for one, other in zip(tile, whole, strict=True)) < 12


async def test_tiles_of_stretched_pixels_have_the_shape_of_the_screen(
    workshop: Workshop, tmp_path: Path
) -> None:
    film = tmp_path / "wide.mp4"
    source = "testsrc2=s=720x576:d=2,setsar=64/45"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", film)
    _, pack = await made(workshop, film)
    assert (pack.width, pack.height) == (256, 144)


async def test_a_film_with_dark_and_light_parts_has_dark_and_light_tiles(
    workshop: Workshop, tmp_path: Path
) -> None:
    film = tmp_path / "night.mp4"
    source = "color=black:s=320x180:d=3[a];color=white:s=320x180:d=3[b];[a][b]concat"
    ffmpeg("-filter_complex", source, "-c:v", "libx264", "-preset", "ultrafast", "-g", "1000", film)
    asset, pack = await made(workshop, film)
    light = [row[0] > 128 for row in lumas(jpegs(workshop.root, asset.id, pack), 1, 1)]
    assert light == [tile.time_us >= 3 * SECOND for tile in pack.tiles]


async def test_tiles_hold_nothing_but_their_picture(workshop: Workshop, films: Films) -> None:
    asset, pack = await made(workshop, films.film(LONG))
    tiles = jpegs(workshop.root, asset.id, pack)
    assert len({tile[: pack.header_size] for tile in tiles}) == 1
    for marker in (b"\xff\xe1", b"\xff\xe2", b"\xff\xfe", b"\xff\xdd"):
        assert marker not in tiles[0][: pack.header_size]
    assert sum(tile.size for tile in pack.tiles) == sum(map(len, tiles))
    assert workshop.files(asset) >= {f"previews/{pack.version}"}


async def test_sound_alone_has_none(workshop: Workshop, films: Films) -> None:
    asset = await playable(workshop, films.film(Film(size=None)))
    previewer = workshop.previewer()
    await previewer.begin(asset)
    await previewer.make(asset.id)
    assert await workshop.catalog.pack_of(asset.id) is None
    assert await workshop.catalog.lacking_packs(3) == []


# --- how they come --------------------------------------------------------------------------------------------


async def test_a_few_come_first_and_all_of_them_then_and_the_first_ones_stay(
    workshop: Workshop, films: Films
) -> None:
    asset = await playable(workshop, films.film(LONG))

    async def is_swept() -> bool:
        return await workshop.catalog.lacking_packs(3) == []

    async with workshop.previewer() as previewer, workshop.events.subscribe(asset.id) as news:
        await previewer.begin(asset)
        first = await pack_of(workshop, asset)
        before = jpegs(workshop.root, asset.id, first)
        assert (await anext(news)).event == "asset"
        await previewer.make(asset.id)
        assert (await anext(news)).event == "asset"
        pack = await pack_of(workshop, asset)
        assert (len(first.tiles), len(pack.tiles)) == (3, 12)
        assert (first.complete, pack.complete) == (False, True)
        assert set(first.tiles) < set(pack.tiles)
        assert set(before) < set(jpegs(workshop.root, asset.id, pack))
        await until(is_swept, 30)
        assert f"previews/{first.version}" not in workshop.files(asset)


async def test_whoever_was_told_of_a_pack_finds_it_for_a_while(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "GRACE_SECONDS", 60.0)
    asset = await playable(workshop, films.film(LONG))
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        first = await pack_of(workshop, asset)
        await previewer.make(asset.id)
        assert f"previews/{first.version}" in workshop.files(asset)
    # The service ended before it was swept: the next one knows.
    assert await workshop.catalog.lacking_packs(3) == [asset.id]
    await workshop.previewer().make(asset.id)
    assert f"previews/{first.version}" not in workshop.files(asset)
    assert await workshop.catalog.lacking_packs(3) == []


async def test_what_is_complete_is_not_made_again(workshop: Workshop, films: Films) -> None:
    asset, pack = await made(workshop, films.film(LONG))
    await workshop.previewer().begin(asset)
    await workshop.previewer().make(asset.id)
    assert await pack_of(workshop, asset) == pack


async def test_long_films_are_kept_step_by_step(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_service.work.preview_steps.STEP_SECONDS", 0.0)
    monkeypatch.setattr("media_service.timeline.preview_plan.STRETCH_US", 2 * SECOND)
    asset = await playable(workshop, films.film(LONG))
    packs: list[Pack] = []
    keep_pack = workshop.catalog.keep_pack

    async def noted(asset_id: str, pack: Pack) -> None:
        packs.append(pack)
        await keep_pack(asset_id, pack)

    monkeypatch.setattr(workshop.catalog, "keep_pack", noted)
    async with workshop.previewer() as previewer:
        await previewer.make(asset.id)
    counts = [len(pack.tiles) for pack in packs]
    assert counts == sorted(set(counts))
    assert len(counts) >= 4
    assert [pack.complete for pack in packs] == [False] * (len(packs) - 1) + [True]


# --- what comes between ---------------------------------------------------------------------------------------


async def test_whoever_is_interrupted_goes_on_with_what_there_is(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await playable(workshop, films.film(LONG))
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        first = await pack_of(workshop, asset)
        making = asyncio.create_task(previewer.make(asset.id))
        await until(encoding, 30)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
    assert encoders() == []
    assert await pack_of(workshop, asset) == first
    assert await workshop.blobs.keys(previews_tree(asset.id)) == [previews_key(asset.id, first.version)]
    assert await workshop.catalog.begin_pack(asset.id) == 0
    async with workshop.previewer() as previewer:
        await previewer.make(asset.id)
    assert (await pack_of(workshop, asset)).complete


async def test_what_a_crash_left_is_swept(workshop: Workshop, films: Films) -> None:
    asset = await playable(workshop, films.film(LONG))
    await keep(workshop.blobs, previews_key(asset.id, "broken-off"), b"\xff\xd8")
    async with workshop.previewer() as previewer:
        await previewer.make(asset.id)
    pack = await pack_of(workshop, asset)
    assert await workshop.blobs.keys(previews_tree(asset.id)) == [previews_key(asset.id, pack.version)]


async def test_what_ended_the_service_each_time_is_not_tried_again(workshop: Workshop, films: Films) -> None:
    asset = await playable(workshop, films.film(LONG))
    for _ in range(MAX_ATTEMPTS):
        await workshop.catalog.begin_pack(asset.id)
    await workshop.previewer().begin(asset)
    await workshop.previewer().make(asset.id)
    assert await workshop.catalog.pack_of(asset.id) is None
    assert await workshop.catalog.lacking_packs(MAX_ATTEMPTS) == []


async def test_a_film_that_ends_too_early_has_previews_as_far_as_it_goes(
    workshop: Workshop, films: Films
) -> None:
    asset = await playable(workshop, films.film(Film(seconds=12, keyframe_seconds=4, moov_at_end=False)))
    os.truncate(workshop.file(asset), asset.size // 2)
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        await previewer.make(asset.id)
    pack = await pack_of(workshop, asset)
    assert pack.complete
    assert 3 <= len(pack.tiles) <= 8


async def test_a_film_of_which_none_can_be_made_has_none_and_is_left_alone_after_some_attempts(
    workshop: Workshop, films: Films
) -> None:
    asset = await playable(workshop, films.film(Film()))
    os.truncate(workshop.file(asset), 100)
    for _ in range(MAX_ATTEMPTS):
        assert await workshop.catalog.lacking_packs(MAX_ATTEMPTS) == [asset.id]
        await workshop.previewer().make(asset.id)
    assert await workshop.catalog.pack_of(asset.id) is None
    assert await workshop.catalog.lacking_packs(MAX_ATTEMPTS) == []
    assert await workshop.blobs.keys(previews_tree(asset.id)) == []
    assert (await workshop.catalog.asset(asset.id)).state == "playable"


async def test_first_tiles_that_take_too_long_are_left_to_those_who_make_all_of_them(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await playable(workshop, films.film(LONG))
    begun: list[object] = []

    def slow(*_: object, **__: object) -> list[str]:
        begun.append(asset)
        return ["sleep", "60"]

    def several(*what: Any) -> list[Stretch]:
        return beginning(*what) * 3

    with monkeypatch.context() as patch:
        patch.setattr("media_service.ffmpeg.preview_recipes.tiles", slow)
        patch.setattr(previewing, "beginning", several)
        patch.setattr(previewing, "BEGIN_SECONDS", 0.5, raising=False)
        async with asyncio.timeout(10):
            await workshop.previewer().begin(asset)
    assert len(begun) == 1
    assert encoders() == []
    assert await workshop.catalog.pack_of(asset.id) is None
    async with workshop.previewer() as previewer:
        await previewer.make(asset.id)
    assert (await pack_of(workshop, asset)).complete


async def test_a_full_disk_is_no_fault_of_the_films(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await playable(workshop, films.film(LONG))
    full = LocalBlobs(workshop.root, margin_bytes=shutil.disk_usage(workshop.root).free + (1 << 40))
    with pytest.raises(StorageFull):
        await workshop.previewer(blobs=full).make(asset.id)
    assert await workshop.catalog.begin_pack(asset.id) == 0
    assert await workshop.blobs.keys(previews_tree(asset.id)) == []


async def test_a_film_that_is_deleted_meanwhile_leaves_nothing(workshop: Workshop, films: Films) -> None:
    asset = await playable(workshop, films.film(LONG))
    making = asyncio.create_task(workshop.previewer().make(asset.id))
    await until(encoding, 30)
    await workshop.catalog.delete_asset(asset.id)
    with pytest.raises(NotFound):
        await making
    assert await workshop.blobs.keys(previews_tree(asset.id)) == []


async def test_a_converter_that_something_kills_is_tried_again_later(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await playable(workshop, films.film(LONG))

    async def killed(self: Previewer, *_: object, **__: object) -> None:
        raise ConverterKilled("for the test")

    with monkeypatch.context() as patch:
        patch.setattr(Previewer, "_run", killed)
        previewer = workshop.previewer()
        await previewer.begin(asset)
        with pytest.raises(ConverterKilled):
            await previewer.make(asset.id)
    assert await workshop.catalog.lacking_packs(MAX_ATTEMPTS) == [asset.id]
    async with workshop.previewer() as previewer:
        await previewer.make(asset.id)
    assert (await pack_of(workshop, asset)).complete


async def test_tiles_of_another_make_are_all_made_anew(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await playable(workshop, films.film(LONG))
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        first = await pack_of(workshop, asset)
        monkeypatch.setattr("media_service.ffmpeg.preview_recipes.QUALITY", 9)
        await previewer.make(asset.id)
        pack = await pack_of(workshop, asset)
        tiles = jpegs(workshop.root, asset.id, pack)
    assert (pack.complete, len(pack.tiles)) == (True, 12)
    assert len({tile[: pack.header_size] for tile in tiles}) == 1
    assert first.version != pack.version


async def test_a_film_whose_tiles_are_lost_gets_them_anew(
    workshop: Workshop, films: Films, caplog: pytest.LogCaptureFixture
) -> None:
    asset = await playable(workshop, films.film(LONG))
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        for count in (3, 12):  # those of a beginning, then all
            lost = await pack_of(workshop, asset)
            assert len(lost.tiles) == count
            await workshop.blobs.delete(previews_key(asset.id, lost.version))
            await previewer.make(asset.id)
            pack = await pack_of(workshop, asset)
            assert (pack.complete, len(jpegs(workshop.root, asset.id, pack))) == (True, 12)
            assert pack.version != lost.version
    assert "made anew" in caplog.text


async def test_whoever_makes_all_of_them_waits_for_those_who_make_the_first_ones(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await playable(workshop, films.film(LONG))
    begun, go = asyncio.Event(), asyncio.Event()
    begin = Previewer._begin

    async def slow(self: Previewer, *film: Any) -> None:
        async with await workshop.blobs.create(previews_key(asset.id, "growing")):
            begun.set()
            await go.wait()
            assert previews_key(asset.id, "growing") in await workshop.blobs.keys(previews_tree(asset.id))
        await begin(self, *film)

    monkeypatch.setattr(Previewer, "_begin", slow)
    async with workshop.previewer() as previewer:
        beginning = asyncio.create_task(previewer.begin(asset))
        await begun.wait()
        making = asyncio.create_task(previewer.make(asset.id))
        done, _ = await asyncio.wait([making], timeout=0.5)
        assert not done
        go.set()
        await asyncio.gather(beginning, making)
        await previewer.begin(asset)
    pack = await pack_of(workshop, asset)
    assert (pack.complete, len(jpegs(workshop.root, asset.id, pack))) == (True, 12)


# --- real films -----------------------------------------------------------------------------------------------

CORPUS = [entry["file"] for entry in corpus() if entry["expected"] != "reject"]
LONGEST = "long_362s_1080p_moovend.mp4"
CELLS = 12, 8
HDR = {"hevc_hlg10_1080p.mp4"}  # tone-mapped: lighter or darker than it was


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.torture] if one == LONGEST else []) for one in CORPUS]
)
async def test_each_tile_of_a_real_film_is_the_picture_that_the_index_has_at_its_time(
    workshop: Workshop, name: str
) -> None:
    film = SHARED / "corpus" / name
    asset = await playable(workshop, film)
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        await previewer.make(asset.id)
    index = (await workshop.indexes.of(asset.id)).main
    assert index is not None
    pack = await workshop.catalog.pack_of(asset.id)
    if index.kind == "audio":
        assert pack is None
        return
    assert pack is not None
    assert pack.complete
    wanted = wanted_frames(index, pack.film_us)
    assert len(pack.tiles) == len(wanted)
    assert longest_us(pack) <= max(2_200_000, wanted[0].time_us + 2_200_000)
    assert asset.width
    assert asset.height
    assert pack.width / pack.height == pytest.approx(asset.width / asset.height, rel=0.02)
    times = sorted(round(time * SECOND / index.timescale) for time in index.shown_times())
    frames = whole_frames(film)
    assert len(frames) == len(times)
    for tile, seen in zip(pack.tiles, lumas(jpegs(workshop.root, asset.id, pack), *CELLS), strict=True):
        frame = frames[times.index(tile.time_us)]
        differences = [abs(one - other) for one, other in zip(seen, frame, strict=True)]
        assert max(differences) <= (80 if name in HDR else 16), tile
        assert max(seen) > 40 or max(frame) <= 40, "a black tile of a frame that is not"


def whole_frames(film: Path) -> list[bytes]:
    """The brightness of all frames that are shown, in cells as `lumas` has them, in full range."""
    argv = ["ffmpeg", "-v", "error", "-i", str(film), "-map", "0:v:0", "-fps_mode", "passthrough"]
    scale = f"scale={CELLS[0]}:{CELLS[1]}:flags=area:out_range=pc,format=gray"
    raw = subprocess.check_output([*argv, "-vf", scale, "-f", "rawvideo", "-"])
    size = CELLS[0] * CELLS[1]
    return [raw[at : at + size] for at in range(0, len(raw), size)]


async def test_whoever_watches_goes_first_but_for_the_first_tiles(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def noted(argv: list[str], *, limits: Limits, **more: Any) -> AbstractAsyncContextManager[Process]:
        given.append(limits.nice)
        return start(argv, limits=limits, **more)

    monkeypatch.setattr(previewing, "start", noted)
    asset = await workshop.indexed(films.film(Film(seconds=30, keyframe_seconds=1.0)))
    async with workshop.previewer() as previewer:
        await previewer.begin(asset)
        assert set(given) == {0}
        given.clear()
        await previewer.make(asset.id)
    assert set(given) == {previewing.NICE}
