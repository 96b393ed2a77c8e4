"""Single pictures: out of the previews where those will do, else drawn; and never what a token does not open."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from media_service.errors import NotFound, NotReady, OutsideWindow, PlaybackDenied
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, REVALIDATE
from media_service.playback.frames import Wish
from media_service.store.records import Asset
from media_service.timeline.seeking import Mode
from media_service.wire.representation import BlobExtent
from media_service.wire.signatures import PlaybackToken
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films

FILM = Film(seconds=6, keyframe_seconds=2.0)


@pytest.fixture
async def asset(stage: Stage, films: Films) -> Asset:
    return await stage.workshop.indexed(films.film(FILM))


def wish(seconds: str, mode: Mode = "exact", **more: int) -> Wish:
    return Wish(Fraction(seconds), mode, **more)  # type: ignore[arg-type] # width and blur


def token(**said: object) -> Access:
    given = {"asset_id": "film", "expires_at": 1 << 31, "key_id": "k", **said}
    return Access("public", PlaybackToken(**given))  # type: ignore[arg-type] # as each test says


async def test_the_frame_on_the_screen_is_drawn_and_never_changes(stage: Stage, asset: Asset) -> None:
    seconds, picture = await stage.frames.frame(asset.id, PUBLIC, wish("3.21"))
    assert (seconds, picture.media_type, picture.headers) == (3.2, "image/jpeg", IMMUTABLE)
    data = await stage.bytes_of(picture)
    assert data.startswith(b"\xff\xd8\xff")
    again = await stage.frames.frame(asset.id, PUBLIC, wish("3.22"))
    assert again.picture.etag == picture.etag


@pytest.mark.parametrize(("seconds", "time"), [("-5", 0.0), ("99", 5.96), ("5.999", 5.96)])
async def test_times_outside_the_film_mean_its_ends(
    seconds: str, time: float, stage: Stage, asset: Asset
) -> None:
    assert (await stage.frames.frame(asset.id, PUBLIC, wish(seconds, width=32))).seconds == time


async def test_a_keyframe_comes_out_of_the_previews_where_they_are_as_near_and_as_large(
    stage: Stage, asset: Asset
) -> None:
    drawn = await stage.frames.frame(asset.id, PUBLIC, wish("3.21", "keyframe", width=200))
    assert (drawn.seconds, type(drawn.picture.extents[0]).__name__) == (2.0, "MemoryExtent")
    async with stage.workshop.previewer() as previewer:
        await previewer.make(asset.id)
    seconds, picture = await stage.frames.frame(asset.id, PUBLIC, wish("3.21", "keyframe", width=200))
    assert isinstance(picture.extents[0], BlobExtent)
    assert 2.0 <= seconds <= 3.21
    assert (await stage.bytes_of(picture)).startswith(b"\xff\xd8\xff")
    for larger in (wish("3.21", "keyframe"), wish("3.21", "keyframe", width=300)):
        drawn = await stage.frames.frame(asset.id, PUBLIC, larger)
        assert (drawn.seconds, type(drawn.picture.extents[0]).__name__) == (2.0, "MemoryExtent")
    for other in (wish("3.21", width=200), wish("3.21", "keyframe", width=200, blur=5)):
        drawn = await stage.frames.frame(asset.id, PUBLIC, other)
        assert type(drawn.picture.extents[0]).__name__ == "MemoryExtent"


async def test_a_preview_of_later_is_shown_in_place_of_no_frame(stage: Stage, asset: Asset) -> None:
    async with stage.workshop.previewer() as previewer:
        await previewer.make(asset.id)
    pack = await stage.workshop.catalog.pack_of(asset.id)
    assert pack is not None
    # As of a film that begins within a group, of which no earlier tile can be made.
    late = replace(pack, tiles=tuple(tile for tile in pack.tiles if tile.time_us >= 2_000_000))
    await stage.workshop.catalog.keep_pack(asset.id, replace(late, version=pack.version[::-1]))
    for seconds in ("-1", "0", "0.5", "1.99"):
        frame = await stage.frames.frame(asset.id, PUBLIC, wish(seconds, "keyframe", width=200))
        assert (frame.seconds, type(frame.picture.extents[0]).__name__) == (0.0, "MemoryExtent")
    frame = await stage.frames.frame(asset.id, PUBLIC, wish("2", "keyframe", width=200))
    assert (frame.seconds, type(frame.picture.extents[0]).__name__) == (2.0, "BlobExtent")


async def test_what_a_later_pack_may_better_is_asked_for_again(stage: Stage, asset: Asset) -> None:
    async def headers(given: Wish) -> tuple[tuple[str, str], ...]:
        return (await stage.frames.frame(asset.id, PUBLIC, given)).picture.headers

    near, large = wish("3.21", "keyframe", width=200), wish("3.21", "keyframe")
    assert await headers(near) == REVALIDATE
    async with stage.workshop.previewer() as previewer:
        await previewer.make(asset.id)
    pack = await stage.workshop.catalog.pack_of(asset.id)
    assert pack is not None
    await stage.workshop.catalog.keep_pack(asset.id, replace(pack, complete=False))
    assert await headers(near) == REVALIDATE
    await stage.workshop.catalog.keep_pack(asset.id, pack)
    assert await headers(near) == await headers(large) == await headers(wish("3.21", width=200)) == IMMUTABLE


async def test_a_token_for_a_part_opens_only_frames_that_are_shown_in_it(stage: Stage, asset: Asset) -> None:
    part = token(window=(3000, 4000))
    for seconds in ("3", "3.5", "3.999"):
        assert 2.96 <= (await stage.frames.frame(asset.id, part, wish(seconds, width=32))).seconds < 4
    for seconds in ("0", "2.9", "4", "99", "-1"):
        for mode in ("exact", "keyframe"):
            with pytest.raises(OutsideWindow):
                await stage.frames.frame(asset.id, part, wish(seconds, mode, width=32))
    # The keyframe at 2 s is not to be seen: so the frame itself.
    assert (await stage.frames.frame(asset.id, part, wish("3.5", "keyframe", width=32))).seconds == 3.48


async def test_a_token_says_how_large_pictures_may_be(stage: Stage, asset: Asset) -> None:
    async with stage.workshop.previewer() as previewer:
        await previewer.make(asset.id)
    small = token(max_height=90)
    wide = await stage.frames.frame(asset.id, small, wish("1", width=320))
    same = await stage.frames.frame(asset.id, PUBLIC, wish("1", width=160))
    assert wide.picture.etag == same.picture.etag
    kept = await stage.frames.frame(asset.id, small, wish("1", "keyframe", width=100))
    assert not isinstance(kept.picture.extents[0], BlobExtent)


async def test_who_may_not_play_the_film_sees_nothing_of_it(stage: Stage, asset: Asset) -> None:
    with pytest.raises(PlaybackDenied):
        await stage.frames.frame(asset.id, Access("signed"), wish("1"))


async def test_films_without_a_picture_or_without_an_index_have_no_frames(stage: Stage, films: Films) -> None:
    sound = await stage.workshop.indexed(films.film(Film(size=None)))
    with pytest.raises(NotFound, match="no picture"):
        await stage.frames.frame(sound.id, PUBLIC, wish("1"))
    fresh = await stage.workshop.admitted(films.film(FILM))
    with pytest.raises(NotReady):
        await stage.frames.frame(fresh.id, PUBLIC, wish("1"))
    with pytest.raises(NotFound):
        await stage.frames.frame("nobody", PUBLIC, wish("1"))
