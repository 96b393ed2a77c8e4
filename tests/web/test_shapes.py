"""The JSON of an asset: how far it is, and what it offers for playing."""

from __future__ import annotations

import msgspec
import pytest

from media_service.store.records import Asset, AssetState, Rendition
from media_service.timeline.facts import Facts, SubtitleFacts
from media_service.web.shapes import asset_json

FACTS = Facts(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    subtitles=(
        SubtitleFacts(index=2, codec="mov_text", language="deu"),
        SubtitleFacts(index=3, codec="dvd_subtitle", forced=True),
    ),
)


def asset(state: AssetState = "playable") -> Asset:
    return Asset(
        id="film",
        title="Film",
        filename="film.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=1,
        sha256="0" * 64,
        state=state,
        created_at=0,
        updated_at=0,
        facts=msgspec.json.encode(FACTS),
        duration_seconds=40.0,
    )


def picture(name: str, *, made: int | None = None, codecs: str = "avc1.64001f") -> Rendition:
    """A picture of ten segments; without `made` it is packaged."""
    return Rendition(
        asset_id="film",
        name=name,
        position=0,
        kind="video",
        state="ready" if made in {None, 10} else "encoding",
        packaged=made is None,
        codecs=codecs,
        bandwidth=1000,
        average_bandwidth=500,
        segments=10,
        made_segments=made or 0,
    )


def sound(name: str = "audio", *, made: int | None = None) -> Rendition:
    return msgspec.structs.replace(picture(name, made=made, codecs="mp4a.40.2"), kind="audio")


@pytest.mark.parametrize(
    ("renditions", "progress"),
    [
        ([], None),
        ([picture("source"), sound()], 1.0),
        ([picture("source"), picture("480p", made=0), sound()], 0.0),
        ([picture("source"), picture("480p", made=5), sound()], 0.5),
        ([picture("1080p", made=10), picture("480p", made=0), sound(made=2)], 0.4),
    ],
)
def test_progress_is_the_share_of_what_has_to_be_encoded(
    renditions: list[Rendition], progress: float | None
) -> None:
    assert asset_json(asset(), renditions, "").progress == progress
    assert asset_json(asset("ready"), renditions, "").progress == 1.0
    assert asset_json(asset("failed"), renditions, "").progress is None


def test_hls_and_dash_are_offered_from_the_first_second() -> None:
    playback = asset_json(asset(), [picture("480p", made=0)], "").playback
    assert (playback.hls, playback.dash) == ("/media/film/hls/master.m3u8", "/media/film/dash/manifest.mpd")
    for nothing in (asset_json(asset("probing"), [], ""), asset_json(asset("failed"), [], "")):
        assert (nothing.playback.hls, nothing.playback.dash, nothing.playback.mp4) == (None, None, None)


@pytest.mark.parametrize(
    ("renditions", "name"),
    [
        ([picture("source"), sound()], "source.mp4"),
        ([picture("source"), sound(made=3)], None),
        ([picture("source", codecs="hvc1.1.6.L93.B0"), picture("480p", made=10), sound()], "480p.mp4"),
        ([picture("source", codecs="hvc1.1.6.L93.B0"), picture("480p", made=9), sound()], None),
        ([picture("1080p", made=9), picture("480p", made=10)], "480p.mp4"),
        ([sound()], "audio.m4a"),
        ([sound(made=1)], None),
    ],
)
def test_the_plain_file_is_the_best_that_every_player_decodes(
    renditions: list[Rendition], name: str | None
) -> None:
    mp4 = asset_json(asset(), renditions, "").playback.mp4
    assert mp4 == (None if name is None else f"/media/film/{name}")


def test_what_is_packaged_is_there_from_the_start() -> None:
    source, made = asset_json(asset(), [picture("source"), picture("480p", made=4)], "").renditions
    assert (source.packaged, source.segments, source.made_segments) == (True, 10, 10)
    assert (made.packaged, made.segments, made.made_segments) == (False, 10, 4)


def test_subtitles_that_are_images_have_no_address() -> None:
    text, images = asset_json(asset(), [picture("source")], "").playback.subtitles
    assert (text.url, text.language, text.convertible) == ("/media/film/subtitles/0.vtt", "de", True)
    assert (images.url, images.forced, images.convertible) == (None, True, False)
