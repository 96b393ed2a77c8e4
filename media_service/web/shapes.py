"""The JSON that clients see: snake_case, times in seconds, instants in RFC 3339."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from media_service.store.records import Asset, Rendition
from media_service.timeline.facts import Facts
from media_service.timeline.seekability import Seekability


class ErrorJson(msgspec.Struct, frozen=True):
    """Why an asset failed."""

    code: str
    detail: str


class RenditionJson(msgspec.Struct, frozen=True):
    """One encoding and how far it is."""

    name: str
    kind: str
    state: str
    width: int | None
    height: int | None
    codecs: str | None
    bandwidth: int | None
    encoded_seconds: float


class OriginalJson(msgspec.Struct, frozen=True):
    """The upload, where browsers may play it. `codecs` is for `canPlayType` (RFC 6381)."""

    url: str
    media_type: str
    codecs: str


class PlaybackJson(msgspec.Struct, frozen=True):
    """Where to play it; null for what does not exist (yet)."""

    original: OriginalJson | None
    hls: str | None
    mp4: str | None
    poster: str | None
    watch: str


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
    facts: Facts | None
    seekability: Seekability | None
    renditions: list[RenditionJson]


class AssetPageJson(msgspec.Struct, frozen=True):
    """One page of the catalog, newest first; `next_cursor` is null on the last."""

    items: list[AssetJson]
    next_cursor: str | None


def asset_json(asset: Asset, renditions: Sequence[Rendition]) -> AssetJson:
    """The full view."""
    public = public_asset_json(asset, renditions)
    return AssetJson(
        **{name: getattr(public, name) for name in PublicAssetJson.__struct_fields__},
        filename=asset.filename,
        media_type=asset.media_type,
        size=asset.size,
        sha256=asset.sha256,
        created_at=_instant(asset.created_at),
        updated_at=_instant(asset.updated_at),
        facts=msgspec.json.decode(asset.facts, type=Facts) if asset.facts else None,
        seekability=msgspec.json.decode(asset.seekability, type=Seekability) if asset.seekability else None,
        renditions=[
            RenditionJson(
                name=one.name,
                kind=one.kind,
                state=one.state,
                width=one.width,
                height=one.height,
                codecs=one.codecs,
                bandwidth=one.bandwidth,
                encoded_seconds=round(one.encoded_seconds, 3),
            )
            for one in renditions
        ],
    )


def public_asset_json(asset: Asset, renditions: Sequence[Rendition]) -> PublicAssetJson:
    """The view that needs no key."""
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
        playback=_playback(asset, renditions),
    )


def _playback(asset: Asset, renditions: Sequence[Rendition]) -> PlaybackJson:
    base = f"/media/{asset.id}"
    original = None
    # An original that no browser seeks in can still be fetched at its address; it is not offered for playing.
    if asset.original_layout is not None and asset.codecs is not None:
        original = OriginalJson(f"{base}/original.{asset.extension}", asset.media_type, asset.codecs)
    has_segments = bool(renditions) and all(
        one.init is not None and one.encoded_seconds > 0 for one in renditions
    )
    main = next((one for one in renditions if one.kind == "video"), next(iter(renditions), None))
    mp4 = None
    if main is not None and main.state == "ready":
        mp4 = f"{base}/audio.m4a" if main.kind == "audio" else f"{base}/{main.name}.mp4"
    return PlaybackJson(
        original=original,
        hls=f"{base}/hls/master.m3u8" if has_segments else None,
        mp4=mp4,
        poster=f"{base}/poster.jpg" if asset.has_poster else None,
        watch=f"/watch/{asset.id}",
    )


def _progress(asset: Asset, renditions: Sequence[Rendition]) -> float | None:
    """How much of the film every rendition has, 0 to 1."""
    if asset.state == "ready":
        return 1.0
    if not renditions or not asset.duration_seconds or asset.state == "failed":
        return None
    return round(min(1.0, min(one.encoded_seconds for one in renditions) / asset.duration_seconds), 4)


def _frame_seconds(asset: Asset) -> float | None:
    facts = msgspec.json.decode(asset.facts, type=Facts) if asset.facts else None
    if facts is None or facts.video is None or facts.video.frame_rate is None:
        return None
    frames, seconds = facts.video.frame_rate
    # 1000/1 is what Matroska says when it does not know; no screen shows that.
    return round(seconds / frames, 6) if seconds <= frames <= 240 * seconds else None


def _instant(unix_ms: int) -> str:
    return (
        datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
