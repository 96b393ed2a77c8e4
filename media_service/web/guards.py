"""Who may call what. Guards run before a request's body is read, so that a refusal costs no upload.

Every handler has exactly one: `needs("upload")` and the like, or `public`. A test walks all routes and finds those without.
"""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from media_service.errors import CatalogUnavailable, Forbidden, Unauthorized
from media_service.store.records import Scope
from media_service.web.cookies import check_csrf, cookie_secret
from media_service.web.keyring import Caller, Keyring
from media_service.web.sessions import Sessions

Connection = ASGIConnection[Any, Any, Any, Any]


class Needs:
    """A guard that lets those pass whose key has `scope`. Made by `needs`."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Raises Unauthorized, Forbidden."""
        found = await _identify(connection)
        if self.scope not in found.scopes:
            raise Forbidden(f"A key with the scope '{self.scope}' is needed for this.")
        connection.scope["user"] = found


def needs(scope: Scope) -> Needs:
    """The guard of a handler that is for keys with `scope`."""
    return Needs(scope)


def public(_connection: Connection, _: BaseRouteHandler) -> None:
    """The guard of a handler that is for everybody."""


def caller(connection: Connection) -> Caller:
    """Who makes the request. Only behind `needs`."""
    found: Caller = connection.scope["user"]
    return found


async def may_still(connection: Connection, scope: Scope) -> bool:
    """Whether the request would be let in now as well: for answers that go on while keys are revoked and people sign out."""
    try:
        return scope in (await _identify(connection)).scopes
    except Unauthorized:
        return False
    except CatalogUnavailable:
        return True  # not known; what the answer tells comes from the catalog too


def owner_of(connection: Connection) -> str:
    """The id of the key that the request came with, for what belongs to a key: unfinished uploads, and quotas."""
    return caller(connection).key_id


async def _identify(connection: Connection) -> Caller:
    """Who comes with `Authorization: Bearer` (RFC 6750 s2.1), or else with the panel's cookie. Raises Unauthorized, CsrfRefused."""
    if "authorization" not in connection.headers and (secret := cookie_secret(connection)) is not None:
        return await _signed_in(connection, secret)
    scheme, _space, credentials = connection.headers.get("authorization", "").partition(" ")
    given = credentials.strip(" \t")
    if scheme.lower() != "bearer" or not given:
        raise Unauthorized("Send a key as 'Authorization: Bearer <key>'.")
    keyring: Keyring = connection.app.state.keyring
    if (found := await keyring.caller(given)) is None:
        raise Unauthorized("This key is not known here.")
    return found


async def _signed_in(connection: Connection, secret: str) -> Caller:
    sessions: Sessions = connection.app.state.sessions
    if (session := await sessions.session(secret)) is None:
        raise Unauthorized("You are not signed in any more.")
    check_csrf(connection, session)
    return session.caller
