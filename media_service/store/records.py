"""What the catalog holds, as plain values. Fields of type `bytes` are opaque here: others encode and read them."""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec

AssetState = Literal["probing", "playable", "ready", "failed"]
RenditionState = Literal["queued", "encoding", "ready", "failed"]
RenditionKind = Literal["video", "audio"]


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """What a user uploaded. Instants are Unix milliseconds; sizes are bytes; width and height are pixels."""

    id: str
    title: str
    filename: str
    extension: str  # of the served original, without a dot
    media_type: str
    size: int
    sha256: str  # lower-case hexadecimal
    state: AssetState
    created_at: int
    updated_at: int
    error_code: str | None = None
    error_detail: str | None = None
    version: int = 1  # grows by one with each change of this record
    facts: bytes | None = None  # JSON of timeline.facts.Facts
    duration_seconds: float | None = None
    width: int | None = None
    height: int | None = None
    codecs: str | None = None  # RFC 6381
    original_layout: bytes | None = None
    seekability: bytes | None = (
        None  # JSON of timeline.seekability.Seekability; there as soon as the index is kept
    )
    has_poster: bool = False
    attempts: int = 0  # at making something of it that never came to an end, not even a bad one


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """One encoding of an asset. Bandwidths are bits per second; `blob` is the key that its segments lie in."""

    asset_id: str
    name: str
    kind: RenditionKind
    state: RenditionState = "queued"
    width: int | None = None
    height: int | None = None
    codecs: str | None = None  # RFC 6381
    init: bytes | None = None  # the init segment (ISO/IEC 23000-19 s7.3.1)
    timescale: int | None = None  # ticks per second
    blob: str | None = None
    bandwidth: int | None = None  # the peak
    average_bandwidth: int | None = None
    encoded_seconds: float = 0.0


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a rendition: the bytes [start, stop) of `blob`, of which the samples begin at `payload_start`.

    `begin_ticks` and `duration_ticks` are in the rendition's timescale; `number` counts from 0.
    """

    asset_id: str
    rendition: str
    number: int
    blob: str
    start: int
    stop: int
    payload_start: int
    begin_ticks: int
    duration_ticks: int
    samples: bytes


class SegmentPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a segment's bytes lie, and of which kind its rendition is: all that sending it takes."""

    kind: RenditionKind
    blob: str
    start: int
    stop: int


class AssetChanges(TypedDict, total=False):
    """What `Catalog.update_asset` can change; see `Asset`."""

    title: str
    filename: str
    extension: str
    media_type: str
    state: AssetState
    error_code: str | None
    error_detail: str | None
    facts: bytes | None
    duration_seconds: float | None
    width: int | None
    height: int | None
    codecs: str | None
    original_layout: bytes | None
    seekability: bytes | None
    has_poster: bool


class RenditionChanges(TypedDict, total=False):
    """What `Catalog.update_rendition` can change; see `Rendition`."""

    state: RenditionState
    width: int | None
    height: int | None
    codecs: str | None
    init: bytes | None
    timescale: int | None
    blob: str | None
    bandwidth: int | None
    average_bandwidth: int | None
    encoded_seconds: float
