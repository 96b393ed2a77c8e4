"""The JSON that clients see: snake_case, times in seconds, instants in RFC 3339."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from media_service.playback.access import Access
from media_service.store.records import Asset, Rendition, Visibility
from media_service.timeline.facts import Facts
from media_service.timeline.seekability import Seekability
from media_service.web.playback_shapes import (
    PlaybackJson,
    PreviewsJson,
    facts_of,
    playback_json,
    previews_json,
)


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
    previews: PreviewsJson | None
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
    poster_time: float | None  # of the poster that somebody chose; null: the service chooses
    facts: Facts | None
    seekability: Seekability | None
    renditions: list[RenditionJson]


class AssetPageJson(msgspec.Struct, frozen=True):
    """One page of the catalog; `next_cursor` is null on the last.

    `total`: how many there are on all pages together; null when those are more than 10,000.
    """

    items: list[AssetJson]
    next_cursor: str | None
    total: int | None


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
        poster_time=asset.poster_time,
        facts=facts_of(asset),
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
        previews=previews_json(asset),
        playback=playback_json(asset, renditions, prefix, access),
    )


def _rendition(one: Rendition) -> RenditionJson:
    said = {name: getattr(one, name) for name in RenditionJson.__struct_fields__}
    if one.frame_rate is not None:
        said["frame_rate"] = round(one.frame_rate, 3)
    if one.packaged:
        said["made_segments"] = one.segments
    return RenditionJson(**said)


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
    facts = facts_of(asset)
    if facts is None or facts.video is None or facts.video.frame_rate is None:
        return None
    frames, seconds = facts.video.frame_rate
    # 1000/1 is what Matroska says when it does not know; no screen shows that.
    return round(seconds / frames, 6) if seconds <= frames <= 240 * seconds else None


def instant(unix_ms: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return (
        datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
