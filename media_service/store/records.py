"""What the catalog holds, as plain values. Fields of type `bytes` are opaque here: others encode and read them."""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec

AssetState = Literal["probing", "playable", "ready", "failed"]
Visibility = Literal["public", "signed"]
RenditionState = Literal["queued", "encoding", "ready", "failed"]
RenditionKind = Literal["video", "audio"]
UploadDialect = Literal["tus", "ietf"]
UploadState = Literal["open", "finished", "rejected"]
UploadConcat = Literal["", "partial", "final"]
Scope = Literal["manage", "read", "transform", "upload"]
WebhookEvent = Literal["asset.failed", "asset.playable", "asset.ready", "upload.finished"]
HistoryEvent = Literal[
    "changed",
    "clip",
    "failed",
    "incomplete",
    "playable",
    "poster",
    "previews",
    "ready",
    "rendition",
    "rendition_failed",
    "retried",
    "uploaded",
    "waveform",
]
DeliveryState = Literal["waiting", "delivered", "given_up"]


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
    visibility: Visibility | None = None  # who may play it; None: as the settings say
    previews: bytes | None = None  # JSON of PreviewsSummary, once there are any
    # What names the bytes of its clip, as MP4 and as WebP, and of its waveform; "": there can be none, None: not made yet.
    clip: str | None = None
    animation: str | None = None
    waveform: str | None = None
    poster_time: float | None = None  # seconds of the film, as somebody chose; None: the service does
    poster_version: str | None = None  # names its bytes; None: see store.keys.poster_key
    placeholder: bytes | None = None  # the poster tiny and blurred, as WebP


class PreviewsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What an asset tells of its previews: `width` and `height` in pixels; each is shown for at most `longest_us`."""

    count: int
    width: int
    height: int
    longest_us: int
    complete: bool  # no more will come


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
    """Where a segment's bytes lie, what names them, and who may have them: all that sending it takes."""

    blob: str
    digest: str
    size: int
    visibility: Visibility | None  # the asset's


class InitPlace(msgspec.Struct, frozen=True, kw_only=True):
    """An init segment, None until an encoder has said it, and who may have it."""

    init: bytes | None
    visibility: Visibility | None  # the asset's


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """How often a segment could not be made, and why the last time."""

    attempts: int
    code: str
    detail: str


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An unfinished incoming asset, remembered until it expires. Instants are Unix milliseconds; sizes are bytes.

    `open`: its bytes are in the blob of the asset that it will be; `finished`: an asset is made of it; `rejected`: no asset
    can be, and its bytes are gone. Who holds it may write it: `holder` is a token of a request's own, valid to `held_until`
    and beyond, until another takes it; `wanted`: somebody else waits for that.
    """

    id: str  # of the asset that it will be
    owner: str  # name of the API key
    dialect: UploadDialect  # that created it
    state: UploadState = "open"
    filename: str
    title: str | None = None
    # Upload-Metadata (tus) as it was sent; the other dialect's `visibility` in the same form.
    metadata: str = ""
    concat: UploadConcat = ""
    concat_header: str = ""  # Upload-Concat (tus) as it was sent
    length: int | None = None  # of the whole; None while the client has not said
    offset: int = 0  # what is durable, and all that clients are told
    complete: bool = False  # the client said that all is there, and it is
    repr_digests: bytes = b""  # that the whole must have
    idempotency_key: str | None = None
    asset_id: str | None = None  # the asset made of it; another's when that had the same bytes or key
    sha256: str | None = None  # of the whole, lower-case hexadecimal
    error_code: str | None = None
    error_detail: str | None = None
    created_at: int
    updated_at: int
    expires_at: int
    holder: str | None = None
    held_until: int = 0
    wanted: bool = False


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, without what opens: that is known to its holder alone. Instants are Unix milliseconds."""

    id: str  # public; what belongs to the key is found by it
    name: str
    scopes: tuple[Scope, ...]  # sorted
    created_at: int
    last_used_at: int | None = None  # to the hour
    revoked_at: int | None = None


class PanelSession(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is signed in to the admin panel: with a key, or with the admin token, whose id is "admin"."""

    key_id: str
    created_at: int
    expires_at: int


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where to tell that something has happened. `created_at` is Unix milliseconds."""

    id: str
    url: str
    secret: str  # as people pass it on; see wire.webhook_signatures
    events: tuple[WebhookEvent, ...]  # sorted
    created_at: int

    def __repr__(self) -> str:
        """Without what opens: the path and query of such addresses are passwords, too."""
        return f"Webhook({self.id!r})"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one webhook. Instants are Unix milliseconds.

    `waiting`: to be sent at `next_at`; `delivered`; `given_up` after the last attempt.
    """

    id: str  # the receiver's, too: by it a repeated delivery is known
    webhook_id: str
    event: WebhookEvent
    asset_id: str
    body: bytes  # JSON, the same at each attempt
    state: DeliveryState = "waiting"
    attempts: int = 0  # that were begun
    next_at: int | None
    last_status: int | None = None  # of HTTP; None when the last attempt brought no answer
    last_error: str | None = None  # a sentence
    created_at: int
    ended_at: int | None = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an asset. `at` is Unix milliseconds; `code` is an error's; `detail` is for people."""

    at: int
    event: HistoryEvent
    code: str | None = None
    detail: str | None = None


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
    visibility: Visibility | None
    clip: str | None
    animation: str | None
    waveform: str | None
    poster_time: float | None
    poster_version: str | None
    placeholder: bytes | None


class RenditionChanges(TypedDict, total=False):
    """What `Catalog.update_rendition` can change; see `Rendition`."""

    state: RenditionState
    codecs: str
    bandwidth: int
    average_bandwidth: int
    layout: bytes  # packed, of its classic file


class UploadChanges(TypedDict, total=False):
    """What the holder of an upload can change; see `Upload`."""

    state: UploadState
    offset: int
    length: int | None
    complete: bool
    repr_digests: bytes
    asset_id: str | None
    sha256: str | None
    error_code: str | None
    error_detail: str | None
    expires_at: int
