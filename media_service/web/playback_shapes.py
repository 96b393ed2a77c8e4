"""The JSON of where to play a film, and of what stands for it while nobody plays it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from media_service.playback.access import Access
from media_service.store.records import Asset, PreviewsSummary, Rendition
from media_service.timeline.clips import clip_size
from media_service.timeline.facts import Facts
from media_service.timeline.outlining import subtitle_tracks


class OriginalJson(msgspec.Struct, frozen=True):
    """The upload, where browsers may play it. `codecs` is for `canPlayType` (RFC 6381)."""

    url: str
    media_type: str
    codecs: str


class SubtitleJson(msgspec.Struct, frozen=True):
    """A subtitle track of the upload. Text is there as WebVTT at `url`; images (`convertible` is false) are not."""

    number: int
    language: str | None
    label: str
    forced: bool
    convertible: bool
    url: str | None


class PreviewJson(msgspec.Struct, frozen=True):
    """A few seconds from all over the film, small and silent: for `<video>`, and the same as an animated picture for `<img>`."""

    mp4: str
    webp: str | None


class PreviewsJson(msgspec.Struct, frozen=True):
    """The pictures that a storyboard shows: how many, in pixels of which size; each is shown for at most `spacing_seconds`.

    While they are not `complete`, more will come between them.
    """

    count: int
    spacing_seconds: float
    width: int
    height: int
    complete: bool


class PlaybackJson(msgspec.Struct, frozen=True):
    """Where to play it; null for what does not exist (yet).

    `hls` and `dash` are there as soon as the asset is playable, and reach the film's end from then on. `packaged`: they
    carry the original's own picture and sound, so that watching those needs no encoder. `mp4` is one file that every
    player decodes, once all of it is made. `placeholder` is the poster tiny and blurred, as a data: URI: to be shown until
    anything else is there. `storyboard` and `storyboard_json` list small pictures of the film for scrub bars, as WebVTT and as
    JSON. What a playback token does not open is null as well; `starts_at` is the time in seconds at which its part of the film
    begins.
    """

    original: OriginalJson | None
    hls: str | None
    dash: str | None
    packaged: bool
    mp4: str | None
    subtitles: list[SubtitleJson]
    poster: str | None
    placeholder: str | None
    storyboard: str | None
    storyboard_json: str | None
    preview: PreviewJson | None
    waveform: str | None  # how loud the main sound is: the JSON of peaks.js
    watch: str
    starts_at: float = 0.0


def playback_json(
    asset: Asset, renditions: Sequence[Rendition], prefix: str, access: Access | None = None
) -> PlaybackJson:
    """Where to play an asset with what `access` opens (None: all)."""
    base = f"{prefix}/media/{asset.id}"
    original = None
    whole = access is None or access.has_whole
    # An original that no browser seeks in can still be fetched at its address; it is not offered for playing.
    if asset.original_layout is not None and asset.codecs is not None and whole and _is_seen(asset, access):
        original = OriginalJson(f"{base}/original.{asset.extension}", asset.media_type, asset.codecs)
    plays = asset.state in {"playable", "ready"} and bool(renditions)
    mp4 = _whole_file([one for one in renditions if _is_seen(one, access)]) if plays and whole else None
    storyboards = plays and whole and _has_storyboards(asset, access)
    main = {one.kind: one for one in reversed(renditions)}  # the first picture and the first sound
    return PlaybackJson(
        original=original,
        hls=f"{base}/hls/master.m3u8" if plays else None,
        dash=f"{base}/dash/manifest.mpd" if plays else None,
        packaged=plays and all(one.packaged for one in main.values()),
        mp4=None if mp4 is None else f"{base}/{mp4}",
        subtitles=_subtitles(asset, f"{base}/subtitles") if plays and whole else [],
        poster=_poster(asset, base) if asset.has_poster else None,
        placeholder=None if asset.placeholder is None else _data_uri("image/webp", asset.placeholder),
        storyboard=f"{base}/storyboard.vtt" if storyboards else None,
        storyboard_json=f"{base}/storyboard.json" if storyboards else None,
        preview=_preview(asset, base, access) if plays and whole else None,
        waveform=f"{base}/waveform.json?v={asset.waveform}" if plays and whole and asset.waveform else None,
        watch=f"{prefix}/watch/{asset.id}",
        starts_at=0.0 if access is None else access.begins_at / 1000,
    )


def previews_json(asset: Asset) -> PreviewsJson | None:
    """What there is of previews."""
    if asset.previews is None:
        return None
    found = msgspec.json.decode(asset.previews, type=PreviewsSummary)
    return PreviewsJson(
        count=found.count,
        spacing_seconds=round(found.longest_us / 1_000_000, 6),
        width=found.width,
        height=found.height,
        complete=found.complete,
    )


def _has_storyboards(asset: Asset, access: Access | None) -> bool:
    previews = previews_json(asset)
    return previews is not None and (access is None or access.has_picture(previews.width, previews.height))


def _poster(asset: Asset, base: str) -> str:
    version = "" if asset.poster_version is None else f"?v={asset.poster_version}"
    return f"{base}/poster.jpg{version}"


def _data_uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"


def _preview(asset: Asset, base: str, access: Access | None) -> PreviewJson | None:
    size = clip_size(asset.width, asset.height) if asset.width and asset.height else (None, None)
    if not asset.clip or not (access is None or access.has_picture(*size)):
        return None
    return PreviewJson(
        mp4=f"{base}/preview.mp4?v={asset.clip}",
        webp=f"{base}/preview.webp?v={asset.animation}" if asset.animation else None,
    )


def _is_seen(one: Asset | Rendition, access: Access | None) -> bool:
    return access is None or access.has_picture(one.width, one.height)


def _subtitles(asset: Asset, base: str) -> list[SubtitleJson]:
    facts = facts_of(asset)
    return [
        SubtitleJson(
            number=track.number,
            language=track.language,
            label=track.label,
            forced=track.forced,
            convertible=track.convertible,
            url=f"{base}/{track.number}.vtt" if track.convertible else None,
        )
        for track in (subtitle_tracks(facts) if facts is not None else ())
    ]


def _whole_file(renditions: Sequence[Rendition]) -> str | None:
    """The name of the best classic MP4 that every player decodes; None while there is none."""
    pictures = [one for one in renditions if one.kind == "video"]
    sounds = [one for one in renditions if one.kind == "audio"][:1]
    if any(one.state != "ready" for one in sounds):
        return None
    if not pictures:
        return f"{sounds[0].name}.m4a" if sounds else None
    decoded_everywhere = (one for one in pictures if one.state == "ready" and one.codecs.startswith("avc1."))
    best = next(decoded_everywhere, None)
    return None if best is None else f"{best.name}.mp4"


@lru_cache(maxsize=512)
def _decoded(facts: bytes) -> Facts:
    """A page of the list, a change and its event ask for the same several times."""
    return msgspec.json.decode(facts, type=Facts)


def facts_of(asset: Asset) -> Facts | None:
    """What is known of the original."""
    return None if asset.facts is None else _decoded(asset.facts)
