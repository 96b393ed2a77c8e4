"""The panel's cookie on its way, and the proof that a request with it comes from the panel's own pages."""

from __future__ import annotations

import hmac
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from media_service.errors import CsrfRefused
from media_service.web.fields import fields_of
from media_service.web.sessions import SESSION_SECONDS, Session
from media_service.wire.forwarded import Networks, client_address, household, is_https

Connection = ASGIConnection[Any, Any, Any, Any]

COOKIE = "media_service_session"
# RFC 6265bis s4.1.3.2: browsers take this name from https, for this very host and all of its paths, or not at all.
HTTPS_COOKIE = f"__Host-{COOKIE}"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 s9.2.1


def cookie_secret(connection: Connection) -> str | None:
    """The secret that the request's cookie holds."""
    return connection.cookies.get(_name(connection))


def session_cookie(connection: Connection, secret: str) -> Cookie:
    """The cookie that signs in; an empty secret makes the browser forget it.

    No script reads it, no other site's request carries it (SameSite=Strict), and over https nothing else does.
    """
    https = _is_https(connection)
    return Cookie(
        key=HTTPS_COOKIE if https else COOKIE,
        value=secret,
        path="/",
        max_age=SESSION_SECONDS if secret else 0,
        secure=https,
        httponly=True,
        samesite="strict",
    )


def check_csrf(connection: Connection, session: Session) -> None:
    """Raise CsrfRefused unless a request that changes something proves that one of our own pages has made it."""
    if connection.scope.get("method") in SAFE_METHODS:
        return
    given = connection.headers.get("x-csrf-token", "")
    if not hmac.compare_digest(given.encode(), session.csrf_token.encode()):
        raise CsrfRefused("X-CSRF-Token is not that of this session.")
    check_origin(connection)


def check_origin(connection: Connection) -> None:
    """Raise CsrfRefused for a request that a page of another origin has made, as far as the browser says."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise CsrfRefused("The request comes from another site.")
        return
    # Browsers send Sec-Fetch-Site over https and to localhost only, but Origin with every request that changes something.
    origin = connection.headers.get("origin")
    # Compared as text: whatever is not exactly ours, or no address at all, is another's.
    if origin is not None and origin.partition("://")[2] != connection.headers.get("host", ""):
        raise CsrfRefused("The request comes from another origin.")


def client_of(connection: Connection) -> str:
    """Who counts as one client."""
    forwarded = fields_of(connection).get("x-forwarded-for", "")
    return household(client_address(_peer(connection), forwarded, _trusted(connection)))


def _name(connection: Connection) -> str:
    return HTTPS_COOKIE if _is_https(connection) else COOKIE


def _is_https(connection: Connection) -> bool:
    told = fields_of(connection).get("x-forwarded-proto", "")
    return is_https(_peer(connection), connection.scope["scheme"], told, _trusted(connection))


def _peer(connection: Connection) -> str:
    return "" if connection.client is None else connection.client.host


def _trusted(connection: Connection) -> Networks:
    trusted: Networks = connection.app.state.trusted_proxies
    return trusted
