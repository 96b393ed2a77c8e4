"""What is said of films that are not there, not yet, or not any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from media_service.errors import NotFound, NotReady
from media_service.store.keys import outline_key
from media_service.timeline.outline import encode
from media_service.wire.representation import Representation
from media_service.work.keeping import keep
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films
from tests.timeline.outlines import film

FILM = Film(seconds=5)
Open = Callable[[Stage, str], Awaitable[Representation]]

FROM_THE_OUTLINE: dict[str, Open] = {
    "master": lambda stage, asset: stage.playlists.master(asset, PUBLIC),
    "manifest": lambda stage, asset: stage.playlists.manifest(asset, PUBLIC),
    "playlist": lambda stage, asset: stage.playlists.media(asset, PUBLIC, "source"),
    "iframes": lambda stage, asset: stage.playlists.iframes(asset, PUBLIC, "source"),
    "init segment": lambda stage, asset: stage.segments.init(asset, PUBLIC, "source", None),
    "segment": lambda stage, asset: stage.segments.segment(asset, PUBLIC, "source", 0, None),
    "classic": lambda stage, asset: stage.classics.classic(asset, PUBLIC, "source", "mp4"),
}
ALL: dict[str, Open] = {
    "original": lambda stage, asset: stage.library.original(asset, PUBLIC, "mp4"),
    "poster": lambda stage, asset: stage.library.poster(asset, PUBLIC, None),
    **FROM_THE_OUTLINE,
}


@pytest.mark.parametrize("what", ALL)
async def test_nothing_of_an_unknown_asset_is_found(stage: Stage, what: str) -> None:
    with pytest.raises(NotFound):
        await ALL[what](stage, "absent")


@pytest.mark.parametrize("what", FROM_THE_OUTLINE)
async def test_before_the_outline_nothing_is_ready_and_after_a_refusal_nothing_is_there(
    stage: Stage, films: Films, what: str
) -> None:
    asset = await stage.workshop.admitted(films.film(FILM))
    with pytest.raises(NotReady):
        await ALL[what](stage, asset.id)
    await stage.workshop.catalog.update_asset(asset.id, state="failed", error_code="broken_media")
    with pytest.raises(NotFound):
        await ALL[what](stage, asset.id)


@pytest.mark.parametrize("what", FROM_THE_OUTLINE)
async def test_nothing_is_ready_while_a_film_is_looked_at_though_its_outline_is_kept(
    stage: Stage, films: Films, what: str
) -> None:
    asset = await stage.workshop.admitted(films.film(FILM))
    await keep(stage.workshop.blobs, outline_key(asset.id), encode(film(9)))
    stage.demand.ready = False
    with pytest.raises(NotReady):
        await FROM_THE_OUTLINE[what](stage, asset.id)


@pytest.mark.parametrize("what", ALL)
async def test_with_the_outline_all_of_a_packaged_film_opens_the_same_each_time(
    stage: Stage, films: Films, what: str
) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    first, second = [await ALL[what](stage, asset.id) for _ in range(2)]
    assert first == second
    assert first.size == len(await stage.bytes_of(first)) > 0
    assert first.media_type in {
        "video/mp4",
        "image/jpeg",
        "application/vnd.apple.mpegurl",
        "application/dash+xml",
    }


async def test_etags_tell_all_that_opens_apart(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    etags = [(await one(stage, asset.id)).etag for one in ALL.values()]
    assert len(set(etags)) == len(etags)


@pytest.mark.parametrize("what", ALL)
async def test_nothing_of_a_deleted_film_is_found_though_its_outline_is_remembered(
    stage: Stage, films: Films, what: str
) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    await ALL[what](stage, asset.id)
    await stage.workshop.catalog.delete_asset(asset.id)
    await stage.workshop.blobs.delete_tree(asset.id)
    with pytest.raises(NotFound):
        await ALL[what](stage, asset.id)


@pytest.mark.parametrize("what", FROM_THE_OUTLINE)
async def test_nothing_is_made_of_a_film_that_failed(stage: Stage, films: Films, what: str) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    await ALL[what](stage, asset.id)
    await stage.workshop.catalog.update_asset(asset.id, state="failed", error_code="transcode_failed")
    await stage.workshop.catalog.put_renditions(asset.id, [])
    with pytest.raises(NotFound):
        await ALL[what](stage, asset.id)


async def test_a_rendition_that_the_film_does_not_have_is_not_found(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    for name in ("720p", "../source", "", "source\n" * 100):
        with pytest.raises(NotFound, match="no rendition"):
            await stage.playlists.media(asset.id, PUBLIC, name)


async def test_an_outline_lost_from_the_store_is_no_crash(stage: Stage, films: Films) -> None:
    asset = await stage.workshop.indexed(films.film(FILM))
    await stage.workshop.blobs.delete(outline_key(asset.id))
    with pytest.raises(NotReady):
        await stage.playlists.master(asset.id, PUBLIC)
