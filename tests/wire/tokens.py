"""Keys and playback tokens that the tests of tokens share; docs/signed-playback.md has the same two."""

from __future__ import annotations

from media_service.wire.signatures import PlaybackToken

ASSET = "nbswy3dpeb3w64tmmqqho33snq"
KEY = bytes(range(32))
KEYS = {"k1": KEY, "k2": bytes(range(32, 64))}
NOW = 1_800_000_000
TOKEN = PlaybackToken(asset_id=ASSET, expires_at=NOW + 3600, key_id="k1")
FULL = PlaybackToken(
    asset_id=ASSET,
    expires_at=NOW + 3600,
    key_id="k1",
    not_before=NOW - 60,
    window=(30_000, 90_000),
    max_height=720,
)
