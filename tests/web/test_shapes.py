"""The JSON of an asset: how far it is, and what it offers for playing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from media_service.playback.access import Access
from media_service.store.records import Asset, AssetState, PreviewsSummary, Rendition
from media_service.timeline.facts import Facts, SubtitleFacts
from media_service.web.playback_shapes import PlaybackJson, PreviewJson, PreviewsJson, playback_json
from media_service.web.shapes import asset_json
from media_service.wire.signatures import PlaybackToken

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


def test_previews_are_told_of_once_there_are_some() -> None:
    none = asset_json(asset(), [picture("source")], "")
    assert (none.previews, none.playback.storyboard, none.playback.storyboard_json) == (None, None, None)
    summary = PreviewsSummary(count=40, width=256, height=144, longest_us=1_033_333, complete=False)
    some = asset_json(
        msgspec.structs.replace(asset(), previews=msgspec.json.encode(summary)), [picture("source")], "/t/x"
    )
    assert some.previews == PreviewsJson(
        count=40, spacing_seconds=1.033333, width=256, height=144, complete=False
    )
    assert some.playback.storyboard == "/t/x/media/film/storyboard.vtt"
    assert some.playback.storyboard_json == "/t/x/media/film/storyboard.json"


@pytest.mark.parametrize(
    ("said", "offered"),
    [({}, True), ({"max_height": 144}, True), ({"max_height": 143}, False), ({"window": (0, 1000)}, False)],
)
def test_storyboards_are_offered_to_whom_they_are_open(said: dict[str, Any], *, offered: bool) -> None:
    summary = PreviewsSummary(count=40, width=256, height=144, longest_us=1_033_333, complete=True)
    film = msgspec.structs.replace(asset(), previews=msgspec.json.encode(summary))
    access = Access("signed", PlaybackToken(asset_id="film", key_id="k1", expires_at=1, **said))
    some = playback_json(film, [picture("source")], "", access)
    assert [address is not None for address in (some.storyboard, some.storyboard_json)] == [offered, offered]


def test_a_clip_and_a_waveform_are_offered_once_they_are_made_and_to_whom_they_are_open() -> None:
    film = msgspec.structs.replace(asset(), width=1920, height=1080)
    none = asset_json(film, [picture("source")], "").playback
    assert (none.preview, none.waveform) == (None, None)
    never = msgspec.structs.replace(film, clip="", animation="", waveform="")
    none = asset_json(never, [picture("source")], "").playback
    assert (none.preview, none.waveform) == (None, None)
    made = msgspec.structs.replace(film, clip="c1", animation="a1", waveform="w1")
    some = asset_json(made, [picture("source")], "/t/x").playback
    assert some.preview == PreviewJson(
        mp4="/t/x/media/film/preview.mp4?v=c1", webp="/t/x/media/film/preview.webp?v=a1"
    )
    assert some.waveform == "/t/x/media/film/waveform.json?v=w1"
    plain = asset_json(msgspec.structs.replace(made, animation=""), [picture("source")], "").playback
    assert plain.preview == PreviewJson(mp4="/media/film/preview.mp4?v=c1", webp=None)

    def opened(**said: object) -> PlaybackJson:
        claims = {"asset_id": "film", "key_id": "k1", "expires_at": 1, **said}
        access = Access("signed", PlaybackToken(**claims))  # type: ignore[arg-type] # what is said is each field's own
        return playback_json(made, [picture("source")], "", access)

    small, part = opened(max_height=144), opened(window=(0, 1000))
    assert (small.preview, small.waveform) == (None, "/media/film/waveform.json?v=w1")
    assert (part.preview, part.waveform) == (None, None)
    assert opened(max_height=180).preview is not None
