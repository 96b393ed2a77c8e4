"""Who lets viewers in: verifies their tokens, makes new ones, and knows which assets need one."""

from __future__ import annotations

from collections.abc import Mapping
from time import time

from media_service.playback.access import Access
from media_service.store.records import Asset, Visibility
from media_service.wire.signatures import PlaybackToken, sign, verify

# Addresses that the service itself gives to holders of keys last for so long and up to an hour more: in between they stay
# the same, so that pictures stay in the panel's cache.
OWN_SECONDS = 6 * 3600
ROUNDED_SECONDS = 3600


class Gate:
    """`keys` by their ids: the first signs, all verify. `default` is for assets whose visibility is not set."""

    def __init__(self, keys: Mapping[str, bytes], default: Visibility) -> None:
        self._keys = keys
        self._default = default
        self._first = next(iter(keys))

    def access(self, token: str | None, asset_id: str) -> Access:
        """The right of a request with that token, or without one. Raises TokenInvalid, TokenNotYet, TokenExpired."""
        if token is None:
            return Access(self._default)
        return Access(self._default, verify(token, self._keys, now=time(), asset_id=asset_id))

    def token(
        self,
        asset_id: str,
        expires_at: int,
        *,
        not_before: int | None = None,
        window: tuple[int, int] | None = None,
        max_height: int | None = None,
    ) -> tuple[str, Access]:
        """A new token, and what it opens: see PlaybackToken. Raises ValueError, with a sentence, for what none can say."""
        said = PlaybackToken(
            asset_id=asset_id,
            expires_at=expires_at,
            key_id=self._first,
            not_before=not_before,
            window=window,
            max_height=max_height,
        )
        return sign(said, self._keys[self._first]), Access(self._default, said)

    def is_signed(self, asset: Asset) -> bool:
        """Whether it is played with a token."""
        return (asset.visibility or self._default) == "signed"

    def prefix(self, asset: Asset) -> str:
        """What stands before an asset's addresses for holders of keys: `/t/` with a token if it needs one."""
        if not self.is_signed(asset):
            return ""
        last = int(time()) + OWN_SECONDS
        token, _ = self.token(asset.id, last + -last % ROUNDED_SECONDS)
        return prefix_of(token)


def prefix_of(token: str) -> str:
    """What stands before the addresses that the token opens."""
    return f"/t/{token}"
