"""Clips and waveforms, once they are made and before."""

from __future__ import annotations

import pytest

from media_service.errors import NotFound, NotReady, OutsideWindow, PlaybackDenied
from media_service.playback.access import Access
from media_service.playback.caching import IMMUTABLE, REVALIDATE
from media_service.playback.clips import Clips
from media_service.store.keys import animation_key, clip_key, waveform_key
from media_service.store.records import Asset
from media_service.wire.signatures import PlaybackToken
from media_service.work.keeping import keep
from tests.playback.stage import PUBLIC, Stage
from tests.support.films import Film, Films


@pytest.fixture
async def asset(stage: Stage, films: Films) -> Asset:
    """A film of which everything is made: its bytes say what it is."""
    found = await stage.workshop.indexed(films.film(Film()))
    await keep(stage.workshop.blobs, clip_key(found.id), b"the clip")
    await keep(stage.workshop.blobs, animation_key(found.id), b"the animation")
    await keep(stage.workshop.blobs, waveform_key(found.id), b"the waveform")
    return await stage.workshop.catalog.update_asset(found.id, clip="c1", animation="a1", waveform="w1")


async def test_each_is_served_under_its_own_type_and_tag(stage: Stage, asset: Asset) -> None:
    clips = stage.clips
    for opened, media_type, etag, data in (
        (await clips.clip(asset.id, PUBLIC, "c1"), "video/mp4", "c1", b"the clip"),
        (await clips.animation(asset.id, PUBLIC, "a1"), "image/webp", "a1", b"the animation"),
        (await clips.waveform(asset.id, PUBLIC, "w1"), "application/json", "w1", b"the waveform"),
    ):
        assert (opened.media_type, opened.etag, opened.headers) == (media_type, etag, IMMUTABLE)
        assert await stage.bytes_of(opened) == data


async def test_an_address_without_the_version_is_asked_for_again(stage: Stage, asset: Asset) -> None:
    assert (await stage.clips.clip(asset.id, PUBLIC, None)).headers == REVALIDATE
    assert (await stage.clips.clip(asset.id, PUBLIC, "older")).headers == REVALIDATE


async def test_what_is_not_made_yet_comes_later_and_what_cannot_be_made_never(
    stage: Stage, asset: Asset
) -> None:
    for version, error in ((None, NotReady), ("", NotFound)):
        await stage.workshop.catalog.update_asset(asset.id, clip=version, animation=version, waveform=version)
        for opening in (stage.clips.clip, stage.clips.animation, stage.clips.waveform):
            with pytest.raises(error):
                await opening(asset.id, PUBLIC, None)
    await stage.workshop.catalog.update_asset(asset.id, state="failed", clip=None)
    with pytest.raises(NotFound):
        await stage.clips.clip(asset.id, PUBLIC, None)
    with pytest.raises(NotFound):
        await stage.clips.clip("absent", PUBLIC, None)


async def test_a_token_for_a_part_of_the_film_or_a_smaller_picture_opens_none(
    stage: Stage, asset: Asset
) -> None:
    def token(**said: object) -> Access:
        claims = {"asset_id": asset.id, "key_id": "k1", "expires_at": (1 << 32) - 1, **said}
        return Access("signed", PlaybackToken(**claims))  # type: ignore[arg-type] # what is said is each field's own

    clips: Clips = stage.clips
    assert (await clips.clip(asset.id, token(max_height=180), None)).etag == "c1"
    with pytest.raises(PlaybackDenied):
        await clips.clip(asset.id, token(max_height=120), None)
    assert (await clips.waveform(asset.id, token(max_height=120), None)).etag == "w1"
    for opening in (clips.clip, clips.animation, clips.waveform):
        with pytest.raises(OutsideWindow):
            await opening(asset.id, token(window=(0, 1000)), None)
        with pytest.raises(PlaybackDenied):
            await opening(asset.id, Access("signed"), None)
