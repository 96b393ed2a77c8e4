"""What every answer tells browsers, whoever has made it: what it may be taken for, load, be framed by and be read by.

One hook for all answers, errors of the framework too, so that no handler can forget it. What a handler says itself stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from litestar.types import Message, Scope

from media_service.playback.opened import Completion, Opened
from media_service.web.cors import ALLOW_ORIGIN, PUBLIC_PREFIX
from media_service.wire.delivery import Answers
from media_service.wire.origins import ANY, Origins, allow_origin

Headers = tuple[tuple[bytes, bytes], ...]

CONTENT_POLICY = "content-security-policy"
RESOURCE_POLICY = "cross-origin-resource-policy"

# No page of ours needs any of these; a script that slips in shall not have them either.
_UNUSED = (
    "accelerometer", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope", "hid",
    "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip


def page_policy(frame_ancestors: str = "'none'", *, frames: str = "'none'") -> str:
    """The policy of a page that pages of `frame_ancestors` may show, and that may show pages of `frames`.

    No inline script or style, nothing from elsewhere: a title that slips through as markup can still do nothing. blob: is
    how hls.js feeds a <video> and runs its worker; data: is how browsers draw some of their controls, and the empty text
    track into which hls.js puts subtitles.
    """
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
        "connect-src 'self'; worker-src 'self' blob:; font-src 'self'; base-uri 'none'; form-action 'self'; "
        f"frame-src {frames}; frame-ancestors {frame_ancestors}"
    )


PAGE: Headers = (
    (CONTENT_POLICY.encode(), page_policy().encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in _UNUSED).encode()),
    # Not less: without a referrer Origin is null, and tells where a sign-in comes from no more.
    (b"referrer-policy", b"same-origin"),
)
# Opened as a page of its own, a film is shown by the browser's player, which loads it once more.
FILM: Headers = (
    (
        CONTENT_POLICY.encode(),
        b"default-src 'none'; img-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
)
# JSON, scripts, styles, nothing at all: none of it is a page, even if somebody opens it as one.
OTHER: Headers = (
    (
        CONTENT_POLICY.encode(),
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
)
OWN: Headers = ((RESOURCE_POLICY.encode(), b"same-origin"),)
NEVER_GUESS: Headers = ((b"x-content-type-options", b"nosniff"),)


def completing(origins: Origins) -> Callable[[Message, Scope], Awaitable[None]]:
    """The hook that completes each answer's headers; `origins` are those whose scripts may read films."""

    async def complete(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            path = scope["path"]
            readable_by = may_read(scope["headers"], origins) if path.startswith(PUBLIC_PREFIX) else None
            message["headers"] = [*message["headers"], *completion(message["headers"], path, readable_by)]

    return complete


def may_read(headers: Iterable[tuple[bytes, bytes]], origins: Origins) -> str | None:
    """Whose scripts may read the answer to a request with these headers, if it is one that players fetch: ANY, the origin
    that asks, or None.
    """
    if origins is None:
        return ANY
    asking = (value.decode("latin-1") for name, value in headers if name == b"origin")
    return allow_origin(origins, asking)


def completion(headers: Iterable[tuple[bytes, bytes]], path: str, readable_by: str | None) -> Headers:
    """What an answer with these headers, to a request for that path, lacks; `readable_by` is from `may_read`."""
    given = dict(headers)
    is_public = path.startswith(PUBLIC_PREFIX)
    kind = OTHER
    if given.get(b"content-type", b"").startswith(b"text/html"):
        kind = PAGE
    elif is_public:
        kind = FILM
    wanted = NEVER_GUESS + kind + (_readable(readable_by) if is_public else OWN)
    # Vary is a list, and may have several lines (RFC 9110 s5.3).
    return tuple(header for header in wanted if header[0] not in given or header[0] == b"vary")


def completed_by(opened: Opened, answers: Answers, path: str, readable_by: str | None) -> Completion:
    """What is added to each of the answers: the same to all, as none of them says any of it itself."""
    known = opened.completions.get(readable_by)
    if known is not None:
        return known
    headers = completion((*answers.whole().headers, *opened.headers), path, readable_by)
    lines = (*answers.common, *opened.headers, *headers)
    prepared = b"".join(b"%b: %b\r\n" % line for line in lines)
    opened.completions[readable_by] = made = Completion(headers, prepared)
    return made


def _readable(by: str | None) -> Headers:
    """What lets scripts of other origins read the answer, and anybody's pages show it."""
    found: Headers = ((RESOURCE_POLICY.encode(), b"cross-origin"),)
    if by != ANY:
        # Also without: a cache must not give one origin the answer that another one got, or none.
        found = (*found, (b"vary", b"Origin"))
    return found if by is None else (*found, (ALLOW_ORIGIN.encode(), by.encode("ascii")))
