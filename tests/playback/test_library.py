"""What the library opens, and what it says about things that are not there or not there yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from media_service.errors import NotFound, NotReady
from media_service.playback.library import IMMUTABLE, NO_STORE, Library
from media_service.store.records import Asset
from media_service.wire.representation import MemoryExtent, Representation
from tests.support.films import Film, Films
from tests.support.media import framemd5, probe
from tests.support.workshop import Workshop, opened_workshop

FILM = Film(seconds=5)
Open = Callable[[Library, str], Awaitable[Representation]]

MADE: dict[str, Open] = {
    "classic": lambda library, asset: library.classic(asset, "180p"),
    "classic sound": lambda library, asset: library.classic(asset, "audio"),
    "master": lambda library, asset: library.master(asset),
    "playlist": lambda library, asset: library.playlist(asset, "180p"),
    "init segment": lambda library, asset: library.init_segment(asset, "180p", None),
    "segment": lambda library, asset: library.segment(asset, "180p", 0, None),
}
ALL: dict[str, Open] = {
    "original": lambda library, asset: library.original(asset, "mp4"),
    "poster": lambda library, asset: library.poster(asset),
    **MADE,
}


@pytest.fixture
def library(workshop: Workshop) -> Library:
    return Library(workshop.catalog, workshop.blobs)


def text(representation: Representation) -> str:
    (extent,) = representation.extents
    assert isinstance(extent, MemoryExtent)
    return bytes(extent.data).decode()


@pytest.mark.parametrize("what", ALL)
async def test_nothing_of_an_unknown_asset_is_found(library: Library, what: str) -> None:
    with pytest.raises(NotFound):
        await ALL[what](library, "absent")


@pytest.mark.parametrize("what", MADE)
async def test_what_is_not_made_yet_is_not_ready(
    workshop: Workshop, library: Library, films: Films, what: str
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    with pytest.raises(NotReady):
        await MADE[what](library, asset.id)


@pytest.mark.parametrize("what", MADE)
async def test_what_is_not_made_and_never_will_be_is_not_found(
    workshop: Workshop, library: Library, films: Films, what: str
) -> None:
    asset = await workshop.indexed(films.film(FILM))
    await workshop.catalog.update_asset(asset.id, state="failed", error_code="transcode_failed")
    with pytest.raises(NotFound):
        await MADE[what](library, asset.id)


async def test_an_original_is_not_ready_until_it_was_looked_at(
    workshop: Workshop, library: Library, films: Films
) -> None:
    asset = await workshop.admitted(films.film(FILM))
    with pytest.raises(NotReady):
        await library.original(asset.id, "mp4")
    await workshop.catalog.update_asset(asset.id, state="failed")
    with pytest.raises(NotFound):
        await library.original(asset.id, "mp4")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
async def finished(place: Path, films: Films) -> AsyncIterator[tuple[Workshop, Library, Asset]]:
    """A film with all that is made of it; made by the first test that asks."""
    async with opened_workshop(place) as workshop:
        known = await workshop.catalog.asset_ids()
        asset = (
            await workshop.catalog.asset(known.pop())
            if known
            else await workshop.transcoded(films.film(FILM))
        )
        assert asset.state == "ready"
        yield workshop, Library(workshop.catalog, workshop.blobs), asset


@pytest.mark.parametrize("what", ALL)
async def test_all_that_is_made_opens_with_a_type_and_an_etag_that_stay(
    finished: tuple[Workshop, Library, Asset], what: str
) -> None:
    _, library, asset = finished
    first, second = [await ALL[what](library, asset.id) for _ in range(2)]
    assert first == second
    assert first.size > 0
    assert first.media_type in {"video/mp4", "audio/mp4", "image/jpeg", "application/vnd.apple.mpegurl"}


async def test_etags_tell_all_representations_apart(finished: tuple[Workshop, Library, Asset]) -> None:
    _, library, asset = finished
    etags = [(await one(library, asset.id)).etag for one in ALL.values()]
    assert len(set(etags)) == len(etags)


async def test_the_original_is_found_under_its_own_extension_only(
    finished: tuple[Workshop, Library, Asset],
) -> None:
    _, library, asset = finished
    with pytest.raises(NotFound, match=r"original\.mp4"):
        await library.original(asset.id, "webm")


async def test_what_is_addressed_by_content_may_be_kept_and_the_rest_not(
    finished: tuple[Workshop, Library, Asset],
) -> None:
    _, library, asset = finished
    version = text(await library.playlist(asset.id, "180p")).partition("?v=")[2].partition('"')[0]
    assert (await library.segment(asset.id, "180p", 0, version)).headers == IMMUTABLE
    assert (await library.segment(asset.id, "180p", 0, "another")).headers == NO_STORE
    assert (await library.init_segment(asset.id, "180p", version)).headers == IMMUTABLE
    assert (await library.init_segment(asset.id, "180p", None)).headers == NO_STORE
    assert (await library.original(asset.id, "mp4")).headers == IMMUTABLE
    for changing in (library.master(asset.id), library.playlist(asset.id, "180p")):
        assert (await changing).headers == NO_STORE


async def test_a_segment_or_rendition_beyond_the_last_is_not_found(
    finished: tuple[Workshop, Library, Asset],
) -> None:
    _, library, asset = finished
    for number in (3, -1, 1 << 70):
        with pytest.raises(NotFound):
            await library.segment(asset.id, "180p", number, None)
    for opened in (library.playlist(asset.id, "720p"), library.classic(asset.id, "../180p")):
        with pytest.raises(NotFound):
            await opened


async def test_the_playlists_name_what_is_there(finished: tuple[Workshop, Library, Asset]) -> None:
    _, library, asset = finished
    master = text(await library.master(asset.id))
    assert "180p/index.m3u8" in master
    assert "audio/index.m3u8" in master
    playlist = text(await library.playlist(asset.id, "180p"))
    assert playlist.count("#EXTINF") == 3
    assert playlist.rstrip().endswith("#EXT-X-ENDLIST")


async def test_a_growing_playlist_is_not_ended(workshop: Workshop, library: Library, films: Films) -> None:
    asset = await workshop.transcoded(films.film(FILM))
    await workshop.catalog.update_rendition(asset.id, "180p", state="encoding")
    assert "#EXT-X-ENDLIST" not in text(await library.playlist(asset.id, "180p"))
    with pytest.raises(NotReady):
        await library.segment(asset.id, "180p", 3, None)
    with pytest.raises(NotReady):
        await library.classic(asset.id, "180p")


async def test_the_classic_file_and_the_segments_hold_the_same_pictures(
    finished: tuple[Workshop, Library, Asset], tmp_path: Path
) -> None:
    workshop, library, asset = finished
    classic = await workshop.written(
        (await library.classic(asset.id, "180p")).extents, tmp_path / "classic.mp4"
    )
    parts = [await library.init_segment(asset.id, "180p", None)]
    parts += [await library.segment(asset.id, "180p", number, None) for number in range(3)]
    extents = tuple(extent for part in parts for extent in part.extents)
    pieces = await workshop.written(extents, tmp_path / "segments.mp4")

    def pictures(path: Path) -> list[str]:
        return [line.split(",")[-1] for line in framemd5(path) if line.startswith("0,")]

    assert pictures(classic) == pictures(pieces)
    kinds = {stream["codec_type"] for stream in probe(classic, "-show_streams")["streams"]}
    assert kinds == {"video", "audio"}


async def test_a_classic_file_and_a_whole_playlist_are_put_together_once_and_made_again_under_another_name(
    workshop: Workshop, library: Library, films: Films
) -> None:
    asset = await workshop.transcoded(films.film(FILM))
    first = await library.classic(asset.id, "180p")
    assert await library.classic(asset.id, "180p") is first
    playlist = await library.playlist(asset.id, "180p")
    assert await library.playlist(asset.id, "180p") is playlist
    # Two runs within a second: a date could not tell them apart.
    assert first.last_modified is None
    await workshop.catalog.update_asset(asset.id, state="playable")
    await workshop.transcoder().transcode(asset.id)
    second = await library.classic(asset.id, "180p")
    assert second.etag != first.etag
    assert second.extents != first.extents
    assert text(await library.playlist(asset.id, "180p")) != text(playlist)
    await workshop.catalog.delete_asset(asset.id)
    with pytest.raises(NotFound):
        await library.classic(asset.id, "180p")
