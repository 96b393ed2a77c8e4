"""Who a key belongs to, and what its holder may do. Known keys are remembered for a moment, so that most requests ask nobody."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from media_service.errors import CatalogUnavailable, StorageFull
from media_service.store.api_keys import SCOPES, USED_STEP_MS, digest_of
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import ApiKey, Scope

# A key that another process revokes (the command line) opens for so long yet; the promise in docs/security.md is 5 s.
REMEMBERED_SECONDS = 3.0
ADMIN_ID = "admin"


class Caller(NamedTuple):
    """Who makes a request."""

    name: str
    key_id: str
    scopes: frozenset[Scope]  # with those that others include


ADMIN = Caller("admin", ADMIN_ID, frozenset(SCOPES))


class Keyring:
    """The keys of `catalog`, and the admin token. `now` counts seconds."""

    def __init__(self, catalog: Catalog, admin_token: str, *, now: Callable[[], float] = monotonic) -> None:
        self._catalog = catalog
        self._admin_digest = digest_of(admin_token)
        self._now = now
        self._remembered: dict[str, tuple[float, Caller]] = {}  # by digest; only keys that exist
        self._revocations = 0

    async def caller(self, secret: str) -> Caller | None:
        """Who comes with this key; None for one that is unknown or revoked. Raises CatalogUnavailable."""
        digest = digest_of(secret)
        # Digests are compared and looked up, never secrets: what an attacker learns from times is of no use to him.
        if hmac.compare_digest(digest, self._admin_digest):
            return ADMIN
        until, caller = self._remembered.get(digest, (0.0, None))
        # Before the catalog is asked: what it says is true of then, however long the rest takes.
        now = self._now()
        if caller is not None and now < until:
            return caller
        revocations = self._revocations
        key = await self._catalog.key_of_digest(digest)
        if key is None:
            return None
        await self._keep_use(key)
        caller = caller_of(key)
        if revocations != self._revocations:
            return caller  # it may have been this one, meanwhile: the next request asks again
        fresh = {known: found for known, found in self._remembered.items() if now < found[0]}
        self._remembered = fresh | {digest: (now + REMEMBERED_SECONDS, caller)}
        return caller

    def forget(self) -> None:
        """A key was revoked here: it ends at once."""
        self._revocations += 1
        self._remembered.clear()

    async def _keep_use(self, key: ApiKey) -> None:
        now = now_ms()
        if key.last_used_at is None or key.last_used_at <= now - USED_STEP_MS:
            # On a full disk films can still be watched and deleted.
            with suppress(StorageFull, CatalogUnavailable):
                await self._catalog.use_key(key.id, now=now)


def caller_of(key: ApiKey) -> Caller:
    """The holder of the key: who may `manage` may do everything."""
    return Caller(key.name, key.id, frozenset(SCOPES if "manage" in key.scopes else key.scopes))
