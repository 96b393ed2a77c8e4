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
    """One rendition of an asset, as its outline says. Bandwidths are bits per second, sizes of the picture pixels.

    `packaged`: cut out of the original, never stored. Of the others `made_segments` of the `segments` are stored.
    """

    asset_id: str
    name: str
    position: int  # in the outline's order
    kind: RenditionKind
    state: RenditionState = "queued"
    packaged: bool = False
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    channels: int | None = None
    language: str | None = None
    label: str | None = None
    codecs: str  # RFC 6381
    bandwidth: int  # the peak
    average_bandwidth: int
    segments: int
    made_segments: int = 0
    init: bytes | None = None  # the init segment (ISO/IEC 23000-19 s7.3.1); None until an encoder has said it


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One stored piece of a rendition: all of `blob`, `size` bytes, of which the samples begin at `payload_start`.

    `digest` names these very bytes. `begin_ticks` is its first sample's decode time in the rendition's timescale; its first
    picture alone is the first `iframe_size` bytes. `number` counts from 0.
    """

    asset_id: str
    rendition: str
    number: int
    blob: str
    digest: str
    size: int
    payload_start: int
    iframe_size: int
    begin_ticks: int
    samples: bytes


class SegmentPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a segment's bytes lie and what names them: all that sending it takes."""

    blob: str
    digest: str
    size: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """How often a segment could not be made, and why the last time."""

    attempts: int
    code: str
    detail: str


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
    codecs: str
    bandwidth: int
    average_bandwidth: int
    layout: bytes  # packed, of its classic file
