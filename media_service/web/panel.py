"""`/admin/session`: the admin panel's sign-in. Programs use keys; this is for the panel's own page."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Request, Response, delete, post, route

from media_service.errors import UnsupportedBody
from media_service.web.cookies import check_origin, client_of, cookie_secret, session_cookie
from media_service.web.guards import needs, public
from media_service.web.sessions import Session, Sessions
from media_service.web.shapes import instant

SESSION = "/admin/session"
HEADERS = {"cache-control": "no-store", "cross-origin-resource-policy": "same-origin"}
MAX_BODY_BYTES = 4096

AnyRequest = Request[Any, Any, Any]


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """What POST takes: the admin token, or a key with the scope `manage`."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class SessionJson(msgspec.Struct, frozen=True):
    """Who is signed in, and what a change needs as X-CSRF-Token; all null when nobody is."""

    name: str | None = None
    csrf_token: str | None = None
    expires_at: str | None = None


@post(
    SESSION,
    guards=[public],
    request_max_body_size=MAX_BODY_BYTES,
    include_in_schema=False,
    status_code=200,
)
async def sign_in(request: AnyRequest, sessions: Sessions, data: SignIn) -> Response[SessionJson]:
    """Sign in: the answer sets the cookie."""
    # A form of another site could sign somebody in to where he does not want to be; it cannot send this type unasked.
    if request.content_type[0] != "application/json":
        raise UnsupportedBody("The token comes as application/json.")
    check_origin(request)
    secret, session = await sessions.sign_in(
        data.token, client_of(request), instead_of=cookie_secret(request)
    )
    return Response(_told(session), headers=HEADERS, cookies=[session_cookie(request, secret)])


@route(SESSION, http_method=[HttpMethod.GET, HttpMethod.HEAD], guards=[public], include_in_schema=False)
async def session_state(request: AnyRequest, sessions: Sessions) -> Response[SessionJson]:
    """Who is signed in with the request's cookie. 200 also when nobody is: the page asks this to find out."""
    secret = cookie_secret(request)
    session = None if secret is None else await sessions.session(secret)
    return Response(SessionJson() if session is None else _told(session), headers=HEADERS)


@delete(SESSION, guards=[needs("manage")], include_in_schema=False)
async def sign_out(request: AnyRequest, sessions: Sessions) -> Response[None]:
    """Sign out."""
    if (secret := cookie_secret(request)) is not None:
        await sessions.sign_out(secret)
    return Response(None, status_code=204, headers=HEADERS, cookies=[session_cookie(request, "")])


def _told(session: Session) -> SessionJson:
    return SessionJson(session.caller.name, session.csrf_token, instant(session.expires_at))


HANDLERS = [sign_in, session_state, sign_out]
