"""The JSON that clients see: snake_case, times in seconds, instants in RFC 3339."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from media_service.playback.access import Access
from media_service.store.records import Asset, Rendition, Visibility
from media_service.timeline.facts import Facts
from media_service.timeline.outlining import subtitle_tracks
from media_service.timeline.seekability import Seekability


class ErrorJson(msgspec.Struct, frozen=True):
    """Why an asset failed; of one that is `playable`, what could not be made of it (`code` is `segment_failed`)."""

    code: str
    detail: str


class RenditionJson(msgspec.Struct, frozen=True):
    """One rendition and how far it is. All its segments can be asked for; those that are made come at once.

    `packaged`: cut out of the original, so all is there from the start. Sizes in pixels, rates in bits/s and frames/s.
    """

    name: str
    kind: str
    state: str
    packaged: bool
    width: int | None
    height: int | None
    frame_rate: float | None
    channels: int | None
    language: str | None  # BCP 47, or what the source says
    label: str | None  # for people, of a sound
    codecs: str
    bandwidth: int  # the peak
    average_bandwidth: int
    segments: int
    made_segments: int


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


class PlaybackJson(msgspec.Struct, frozen=True):
    """Where to play it; null for what does not exist (yet).

    `hls` and `dash` are there as soon as the asset is playable, and reach the film's end from then on. `packaged`: they
    carry the original's own picture and sound, so that watching those needs no encoder. `mp4` is one file that every
    player decodes, once all of it is made. What a playback token does not open is null as well; `starts_at` is the time in
    seconds at which its part of the film begins.
    """

    original: OriginalJson | None
    hls: str | None
    dash: str | None
    packaged: bool
    mp4: str | None
    subtitles: list[SubtitleJson]
    poster: str | None
    watch: str
    starts_at: float = 0.0


class PublicAssetJson(msgspec.Struct, frozen=True):
    """What a viewer's page needs to know."""

    id: str
    title: str
    state: str
    error: ErrorJson | None
    duration: float | None
    width: int | None
    height: int | None
    progress: float | None
    frame_seconds: float | None  # how long a frame lasts, on average
    playback: PlaybackJson


class AssetJson(PublicAssetJson, frozen=True):
    """All that is known of an asset."""

    filename: str
    media_type: str
    size: int
    sha256: str
    created_at: str
    updated_at: str
    visibility: Visibility | None  # who may play it; null: as the setting PLAYBACK says
    facts: Facts | None
    seekability: Seekability | None
    renditions: list[RenditionJson]


class AssetPageJson(msgspec.Struct, frozen=True):
    """One page of the catalog, newest first; `next_cursor` is null on the last."""

    items: list[AssetJson]
    next_cursor: str | None


def asset_json(asset: Asset, renditions: Sequence[Rendition], prefix: str) -> AssetJson:
    """The full view. `prefix` stands before the asset's addresses: see playback.gate."""
    public = public_asset_json(asset, renditions, prefix)
    return AssetJson(
        **{name: getattr(public, name) for name in PublicAssetJson.__struct_fields__},
        filename=asset.filename,
        media_type=asset.media_type,
        size=asset.size,
        sha256=asset.sha256,
        created_at=instant(asset.created_at),
        updated_at=instant(asset.updated_at),
        visibility=asset.visibility,
        facts=_facts(asset),
        seekability=msgspec.json.decode(asset.seekability, type=Seekability) if asset.seekability else None,
        renditions=[_rendition(one) for one in renditions],
    )


def public_asset_json(
    asset: Asset, renditions: Sequence[Rendition], prefix: str, access: Access | None = None
) -> PublicAssetJson:
    """The view that needs no key: with what `access` opens (None: all)."""
    error = ErrorJson(asset.error_code, asset.error_detail or "") if asset.error_code else None
    return PublicAssetJson(
        id=asset.id,
        title=asset.title,
        state=asset.state,
        error=error,
        duration=asset.duration_seconds,
        width=asset.width,
        height=asset.height,
        progress=_progress(asset, renditions),
        frame_seconds=_frame_seconds(asset),
        playback=playback_json(asset, renditions, prefix, access),
    )


def _rendition(one: Rendition) -> RenditionJson:
    said = {name: getattr(one, name) for name in RenditionJson.__struct_fields__}
    if one.frame_rate is not None:
        said["frame_rate"] = round(one.frame_rate, 3)
    if one.packaged:
        said["made_segments"] = one.segments
    return RenditionJson(**said)


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
    main = {one.kind: one for one in reversed(renditions)}  # the first picture and the first sound
    return PlaybackJson(
        original=original,
        hls=f"{base}/hls/master.m3u8" if plays else None,
        dash=f"{base}/dash/manifest.mpd" if plays else None,
        packaged=plays and all(one.packaged for one in main.values()),
        mp4=None if mp4 is None else f"{base}/{mp4}",
        subtitles=_subtitles(asset, f"{base}/subtitles") if plays and whole else [],
        poster=f"{base}/poster.jpg" if asset.has_poster else None,
        watch=f"{prefix}/watch/{asset.id}",
        starts_at=0.0 if access is None else access.begins_at / 1000,
    )


def _is_seen(one: Asset | Rendition, access: Access | None) -> bool:
    return access is None or access.has_picture(one.width, one.height)


def _subtitles(asset: Asset, base: str) -> list[SubtitleJson]:
    facts = _facts(asset)
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


def _progress(asset: Asset, renditions: Sequence[Rendition]) -> float | None:
    """How much of what has to be encoded is stored, 0 to 1."""
    if asset.state == "ready":
        return 1.0
    if not renditions or asset.state == "failed":
        return None
    encoded = [one for one in renditions if not one.packaged]
    wanted = sum(one.segments for one in encoded)
    return round(sum(one.made_segments for one in encoded) / wanted, 4) if wanted else 1.0


def _frame_seconds(asset: Asset) -> float | None:
    facts = _facts(asset)
    if facts is None or facts.video is None or facts.video.frame_rate is None:
        return None
    frames, seconds = facts.video.frame_rate
    # 1000/1 is what Matroska says when it does not know; no screen shows that.
    return round(seconds / frames, 6) if seconds <= frames <= 240 * seconds else None


@lru_cache(maxsize=512)
def _decoded(facts: bytes) -> Facts:
    """A page of the list, a change and its event ask for the same several times."""
    return msgspec.json.decode(facts, type=Facts)


def _facts(asset: Asset) -> Facts | None:
    return None if asset.facts is None else _decoded(asset.facts)


def instant(unix_ms: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return (
        datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
