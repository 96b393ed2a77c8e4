"""Who is signed in to the admin panel: a cookie instead of a key, which no script can read.

The cookie holds a secret of 256 random bits; the catalog keeps its digest only. The proof against forged requests
(X-CSRF-Token) is made from the same secret, so that it needs no place of its own and changes with each sign-in.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from typing import NamedTuple

from media_service.errors import Forbidden, Unauthorized
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import PanelSession
from media_service.web.attempts import Attempts
from media_service.web.keyring import ADMIN, ADMIN_ID, Caller, Keyring, caller_of

log = logging.getLogger(__name__)

SESSION_SECONDS = 12 * 3600  # a working day; whoever is signed in is so until then, or signs out


class Session(NamedTuple):
    """Somebody who is signed in. `expires_at` is Unix milliseconds."""

    caller: Caller
    csrf_token: str
    expires_at: int


class Sessions:
    """Signs in and out, and knows who is. Every method raises CatalogUnavailable."""

    def __init__(self, catalog: Catalog, keyring: Keyring, admin_token: str) -> None:
        self._catalog = catalog
        self._keyring = keyring
        self._attempts = Attempts()
        # With another admin token no session of before is found: changing it signs everybody out.
        self._pepper = hashlib.sha256(b"media_service panel v1" + admin_token.encode()).digest()

    async def sign_in(self, token: str, client: str, *, instead_of: str | None) -> tuple[str, Session]:
        """The secret of a new session of whoever has this token, and the session; the one before it ends.

        `client` is who counts as one in the limit on attempts. Raises Unauthorized, Forbidden for a key that may not
        manage, TooManyAttempts.
        """
        self._attempts.begin(client)
        caller = await self._keyring.caller(token)
        if caller is None:
            log.warning("a wrong token at the panel's sign-in, from %s", client)
            raise Unauthorized("This token is not known here.")
        self._attempts.forgive(client)
        if "manage" not in caller.scopes:
            raise Forbidden("The panel is for the admin token and for keys with the scope 'manage'.")
        secret, now = secrets.token_urlsafe(32), now_ms()
        kept = PanelSession(key_id=caller.key_id, created_at=now, expires_at=now + SESSION_SECONDS * 1000)
        await self._catalog.add_session(kept, self._digest(secret))
        if instead_of is not None:
            await self.sign_out(instead_of)
        return secret, Session(caller, self._csrf_token(secret), kept.expires_at)

    async def session(self, secret: str) -> Session | None:
        """Who is signed in with this secret; None when that is over, or the key was revoked."""
        kept = await self._catalog.session(self._digest(secret), now=now_ms())
        if kept is None:
            return None
        if kept.key_id == ADMIN_ID:
            return Session(ADMIN, self._csrf_token(secret), kept.expires_at)
        key = await self._catalog.key(kept.key_id)
        return None if key is None else Session(caller_of(key), self._csrf_token(secret), kept.expires_at)

    async def sign_out(self, secret: str) -> None:
        """The secret opens nothing any more."""
        await self._catalog.delete_session(self._digest(secret))

    def _digest(self, secret: str) -> str:
        return self._made_of("session", secret).hex()

    def _csrf_token(self, secret: str) -> str:
        return self._made_of("csrf", secret).hex()

    def _made_of(self, purpose: str, secret: str) -> bytes:
        return hmac.digest(self._pepper, f"{purpose} {secret}".encode(), "sha256")
