"""Previews in every dialect: put together from one pack, for whoever may see the whole film."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from media_service.errors import NotFound, NotReady, OutsideWindow, PlaybackDenied
from media_service.mp4.boxes import walk
from media_service.mp4.fragments import read_fragment
from media_service.mp4.init_segment import read_init
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, REVALIDATE
from media_service.store.keys import previews_key
from media_service.store.records import AssetState
from media_service.timeline import storyboards
from media_service.timeline.previews import Pack
from media_service.wire.representation import MemoryExtent, Representation
from media_service.wire.signatures import PlaybackToken
from tests.jpeg.pictures import ffmpeg_tiles, pixels
from tests.playback.packs import put_pack
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films

COUNT = 30  # tiles: a sheet, and a part of one
FILM = Film(seconds=3)


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return ffmpeg_tiles(tmp_path_factory.mktemp("tiles"), (256, 144), COUNT)


@pytest.fixture
async def bare(stage: Stage, films: Films) -> str:
    """A film without previews."""
    return (await stage.workshop.indexed(films.film(FILM))).id


@pytest.fixture
async def asset(stage: Stage, bare: str, jpegs: list[bytes]) -> str:
    await put_pack(stage.workshop, bare, jpegs)
    return bare


def token(asset_id: str, *, window: tuple[int, int] | None = None, max_height: int | None = None) -> Access:
    said = PlaybackToken(
        asset_id=asset_id, expires_at=2**31, key_id="k", window=window, max_height=max_height
    )
    return Access("signed", said)


def dialects(stage: Stage, asset_id: str, access: Access) -> list[Callable[[], Awaitable[Representation]]]:
    """Everything that there is of previews."""
    previews = stage.previews
    return [
        lambda: previews.storyboard(asset_id, access),
        lambda: previews.cues(asset_id, access, ""),
        lambda: previews.iframe_playlist(asset_id, access),
        lambda: previews.tile_playlist(asset_id, access),
        lambda: previews.sheet(asset_id, access, 0, "dense"),
        lambda: previews.tile(asset_id, access, 0, "dense"),
        lambda: previews.init(asset_id, access, "dense"),
        lambda: previews.segment(asset_id, access, 0, "dense"),
    ]


async def test_a_cue_leads_to_the_part_of_a_sheet_that_is_its_tile(
    stage: Stage, asset: str, jpegs: list[bytes], tmp_path: Path
) -> None:
    vtt = (await stage.bytes_of(await stage.previews.storyboard(asset, PUBLIC))).decode()
    cues = re.findall(r"storyboard/(\d+)\.jpg\?v=dense#xywh=0,(\d+),256,144", vtt)
    assert len(cues) == COUNT
    sheets = {}
    for number in {sheet for sheet, _ in cues}:
        opened = await stage.previews.sheet(asset, PUBLIC, int(number), "dense")
        sheets[number] = pixels(tmp_path, await stage.bytes_of(opened))
        assert opened.size == len(await stage.bytes_of(opened))
    assert [len(sheets[number]) for number in ("0", "1")] == [256 * 144 * 3 // 2 * rows for rows in (25, 5)]
    for (sheet, top), jpeg in zip(cues, jpegs, strict=True):
        luma = slice(int(top) * 256, (int(top) + 144) * 256)
        assert sheets[sheet][luma] == pixels(tmp_path, jpeg)[: 256 * 144]


async def test_a_sheet_keeps_nothing_but_headers_and_markers_in_memory(stage: Stage, asset: str) -> None:
    opened = await stage.previews.sheet(asset, PUBLIC, 0, "dense")
    made = sum(extent.size for extent in opened.extents if isinstance(extent, MemoryExtent))
    assert made < 700
    assert opened.media_type == "image/jpeg"


async def test_json_has_the_addresses_of_the_viewer(stage: Stage, asset: str) -> None:
    plain, signed = [
        json.loads(await stage.bytes_of(await stage.previews.cues(asset, PUBLIC, prefix)))
        for prefix in ("", "/t/TOKEN")
    ]
    assert plain[1] == {
        "startTime": 2.001,
        "endTime": 4.001,
        "text": f"/media/{asset}/storyboard/0.jpg?v=dense#xywh=0,144,256,144",
    }
    assert signed[1]["text"] == "/t/TOKEN" + plain[1]["text"]


async def test_cues_are_written_once_for_all_viewers(
    stage: Stage, asset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write = storyboards.cues

    def counted(pack: Pack, folder: str) -> str:
        written.append(folder)
        return write(pack, folder)

    monkeypatch.setattr(storyboards, "cues", counted)
    opened = [
        await stage.previews.cues(asset, PUBLIC, prefix) for prefix in ("/t/ONE", "/t/TWO", "", "/t/ONE")
    ]
    assert written == [f"/media/{asset}"]
    assert opened[0] == opened[3]
    assert len({one.etag for one in opened}) == 3
    assert len({await stage.bytes_of(one) for one in opened}) == 3


async def test_media_types_are_exactly_what_players_compare(stage: Stage, asset: str) -> None:
    types = [(await opened()).media_type for opened in dialects(stage, asset, PUBLIC)]
    hls, mp4, jpeg = "application/vnd.apple.mpegurl", "video/mp4", "image/jpeg"
    assert types == ["text/vtt", "application/json", hls, hls, jpeg, jpeg, mp4, mp4]


async def test_a_tile_is_the_jpeg_as_it_was_made(stage: Stage, asset: str, jpegs: list[bytes]) -> None:
    for number in (0, 7, COUNT - 1):
        opened = await stage.previews.tile(asset, PUBLIC, number, "dense")
        assert await stage.bytes_of(opened) == jpegs[number]


async def test_a_segment_is_a_tile_with_its_time(stage: Stage, asset: str, jpegs: list[bytes]) -> None:
    init = read_init(await stage.bytes_of(await stage.previews.init(asset, PUBLIC, "dense")))
    assert (init.codec, init.timescale, init.width, init.height) == ("mjpg", 1_000_000, 256, 144)
    for number, begin, stop in ((0, 0, 2_001_000), (7, 14_001_000, 16_001_000), (29, 58_001_000, 60_000_000)):
        opened = await stage.previews.segment(asset, PUBLIC, number, "dense")
        data = await stage.bytes_of(opened)
        moof, mdat = walk(data)
        fragment = read_fragment(data[: moof.stop])
        assert (fragment.base_time, fragment.samples[0].duration) == (begin, stop - begin)
        assert data[mdat.payload_start :] == jpegs[number]
        assert opened.extents[-1].size == len(jpegs[number])


async def test_players_are_offered_previews_as_soon_as_there_are_some(
    stage: Stage, bare: str, jpegs: list[bytes]
) -> None:
    async def offered() -> tuple[str, str]:
        opened = [await stage.playlists.master(bare, PUBLIC), await stage.playlists.manifest(bare, PUBLIC)]
        master, manifest = [(await stage.bytes_of(one)).decode() for one in opened]
        return master, manifest

    master, manifest = await offered()
    assert "IMAGE-STREAM-INF" not in master
    assert "mjpg" not in master
    assert "thumbnail" not in manifest
    await put_pack(stage.workshop, bare, jpegs[:2], version="coarse", complete=False)
    master, manifest = await offered()
    assert 'CODECS="mjpg",URI="images/index.m3u8"' in master
    assert 'CODECS="jpeg",URI="images/tiles.m3u8"' in master
    assert "../storyboard/tiles/$Number$.jpg?v=coarse" in manifest
    await put_pack(stage.workshop, bare, jpegs)
    assert "../storyboard/tiles/$Number$.jpg?v=dense" in (await offered())[1]
    ET.fromstring(manifest)


async def test_lists_are_asked_for_again_and_what_they_name_is_kept(stage: Stage, asset: str) -> None:
    headers = [(await opened()).headers for opened in dialects(stage, asset, PUBLIC)]
    assert headers == [REVALIDATE] * 4 + [IMMUTABLE] * 4
    for opened in (stage.previews.sheet(asset, PUBLIC, 0, None), stage.previews.tile(asset, PUBLIC, 0, None)):
        assert (await opened).headers == REVALIDATE


async def test_everything_has_an_entity_tag_of_its_own(stage: Stage, asset: str) -> None:
    etags = [(await opened()).etag for opened in dialects(stage, asset, PUBLIC)]
    assert len(set(etags)) == len(etags)
    assert [(await opened()).etag for opened in dialects(stage, asset, PUBLIC)] == etags


async def test_who_has_an_old_list_gets_its_pictures_from_the_pack_that_grew_out_of_it(
    stage: Stage, bare: str, jpegs: list[bytes]
) -> None:
    old = await put_pack(stage.workshop, bare, jpegs[:6:2], seconds=4, version="coarse", complete=False)
    before = await stage.bytes_of(await stage.previews.storyboard(bare, PUBLIC))
    sheet = await stage.bytes_of(await stage.previews.sheet(bare, PUBLIC, 0, "coarse"))
    await put_pack(stage.workshop, bare, [*jpegs[:6:2], *jpegs[1:6:2]], grown=old)
    await stage.workshop.blobs.delete(previews_key(bare, "coarse"))
    assert await stage.bytes_of(await stage.previews.storyboard(bare, PUBLIC)) != before
    for number, jpeg in enumerate(jpegs[:6:2]):
        opened = await stage.previews.tile(bare, PUBLIC, number, "coarse")
        assert await stage.bytes_of(opened) == jpeg
        assert opened.headers == IMMUTABLE
        assert opened.etag == f"coarse-tile-{number}"
    assert await stage.bytes_of(await stage.previews.sheet(bare, PUBLIC, 0, "coarse")) == sheet
    assert await stage.bytes_of(await stage.previews.tile(bare, PUBLIC, 1, None)) == jpegs[1]


async def test_who_has_a_manifest_from_before_gets_its_pictures_too(
    stage: Stage, bare: str, jpegs: list[bytes]
) -> None:
    for listing in (stage.playlists.master, stage.playlists.manifest):
        old = await put_pack(stage.workshop, bare, jpegs[:2], version=listing.__name__, complete=False)
        await listing(bare, PUBLIC)
        await put_pack(stage.workshop, bare, jpegs[:3], version=f"{old.version}-grown", grown=old)
        opened = await stage.previews.tile(bare, PUBLIC, 1, listing.__name__)
        assert await stage.bytes_of(opened) == jpegs[1]


async def test_an_old_pack_that_was_made_anew_is_served_while_it_is_there(
    stage: Stage, bare: str, jpegs: list[bytes]
) -> None:
    await put_pack(stage.workshop, bare, jpegs[:3], version="coarse", complete=False)
    await stage.previews.storyboard(bare, PUBLIC)
    await put_pack(stage.workshop, bare, jpegs[::-1])
    old = await stage.previews.tile(bare, PUBLIC, 1, "coarse")
    assert await stage.bytes_of(old) == jpegs[1]
    await stage.workshop.blobs.delete(previews_key(bare, "coarse"))
    with pytest.raises(NotFound):
        await stage.previews.sheet(bare, PUBLIC, 0, "coarse")


async def test_a_version_that_nobody_knows_any_more_is_not_found(stage: Stage, asset: str) -> None:
    for opened in (
        stage.previews.sheet(asset, PUBLIC, 0, "coarse"),
        stage.previews.tile(asset, PUBLIC, 0, "coarse"),
        stage.previews.init(asset, PUBLIC, "coarse"),
        stage.previews.segment(asset, PUBLIC, 0, "coarse"),
    ):
        with pytest.raises(NotFound, match="other previews"):
            await opened


async def test_numbers_beyond_the_last_are_not_found(stage: Stage, asset: str) -> None:
    with pytest.raises(NotFound, match="2 sheets"):
        await stage.previews.sheet(asset, PUBLIC, 2, "dense")
    for opened in (stage.previews.tile, stage.previews.segment):
        with pytest.raises(NotFound, match="30 previews"):
            await opened(asset, PUBLIC, COUNT, "dense")


async def test_previews_show_the_whole_film_and_a_token_for_a_part_of_it_opens_none(
    stage: Stage, asset: str
) -> None:
    access = token(asset, window=(0, 1000))
    for opened in dialects(stage, asset, access):
        with pytest.raises(OutsideWindow):
            await opened()
    for listing in (stage.playlists.master(asset, access), stage.playlists.manifest(asset, access)):
        text = (await stage.bytes_of(await listing)).decode()
        assert "images/" not in text
        assert "storyboard" not in text


async def test_previews_are_no_taller_than_a_token_allows(stage: Stage, asset: str) -> None:
    for opened in dialects(stage, asset, token(asset, max_height=143)):
        with pytest.raises(PlaybackDenied):
            await opened()
    for opened in dialects(stage, asset, token(asset, max_height=144)):
        await opened()


async def test_a_signed_film_has_previews_for_tokens_only(stage: Stage, asset: str) -> None:
    for opened in dialects(stage, asset, Access("signed")):
        with pytest.raises(PlaybackDenied):
            await opened()
    for opened in dialects(stage, asset, token(asset)):
        await opened()


async def test_previews_that_are_not_made_yet_may_come(stage: Stage, bare: str) -> None:
    await stage.workshop.catalog.update_asset(bare, state="playable")
    for opened in dialects(stage, bare, PUBLIC):
        with pytest.raises(NotReady):
            await opened()


@pytest.mark.parametrize("state", ["ready", "failed"])
async def test_a_film_that_has_none_in_the_end_says_so(stage: Stage, bare: str, state: AssetState) -> None:
    await stage.workshop.catalog.update_asset(bare, state=state)
    for opened in dialects(stage, bare, PUBLIC):
        with pytest.raises(NotFound):
            await opened()


async def test_a_film_that_failed_shows_none_of_those_that_were_made(stage: Stage, asset: str) -> None:
    await stage.workshop.catalog.update_asset(asset, state="failed")
    for opened in dialects(stage, asset, PUBLIC):
        with pytest.raises(NotFound, match="no previews"):
            await opened()


async def test_there_are_none_of_an_asset_that_is_not_there(stage: Stage) -> None:
    for opened in dialects(stage, "nobody", PUBLIC):
        with pytest.raises(NotFound):
            await opened()
