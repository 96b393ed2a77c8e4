"""What stands between the public address and the service: does it let uploads, events and sign-ins through as they are?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from media_service.doctor.films import bearer, code_of, read_json, said
from media_service.doctor.findings import Finding
from media_service.doctor.visiting import Unreachable, Visitor

LARGE_BYTES = 3 << 30  # a film; announced, never sent
WAIT_SECONDS = 5.0  # for what comes at once where nothing holds it back
HEARTBEAT_SECONDS = 15.0  # of a stream in which nothing happens (web.events)
MOST_REDIRECTS = 3
_AGED = re.compile("0*[1-9][0-9]*")
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def reach(origin: str) -> tuple[Visitor, list[Finding]]:
    """Who answers at the address, behind redirects. Raises Unreachable when it is not the service.

    They are followed within the host only, and never from https to http: a key goes where this leads.
    """
    found = []
    for _ in range(MOST_REDIRECTS):
        visitor = Visitor(origin)
        answer = visitor.ask("GET", "/livez")
        place = answer.get("location")
        if answer.status not in {301, 302, 307, 308} or not place.startswith("http"):
            break
        if not _same_host(visitor, place):
            raise Unreachable(f"it leads to {place}: if that is yours, run doctor with that address")
        found.append(
            Finding(
                "note",
                f"{visitor.origin} leads to {place}: give players the second address, Media3 follows none from http to https",
            )
        )
        origin = place
    if answer.status != 200 or b'"alive"' not in answer.body:
        raise Unreachable(f"/livez is answered {answer.status}, and not by media_service")
    found.append(Finding("ok", f"media_service answers at {visitor.origin}"))
    if not visitor.https and visitor.host not in _LOCAL:
        found.append(
            Finding(
                "note",
                "no https: apps for iOS and Android refuse such addresses unless they are told otherwise",
            )
        )
    return visitor, found


def _same_host(visitor: Visitor, place: str) -> bool:
    try:
        parts = urlsplit(place)
        port = parts.port
    except ValueError:
        return False
    return parts.hostname == visitor.host and port != 0 and (parts.scheme == "https" or not visitor.https)


def uploads(visitor: Visitor) -> Iterator[Finding]:
    """A film is announced, without a key and without its bytes: the service says 401 before any of them comes."""
    headers = {"Content-Length": str(LARGE_BYTES), "Content-Type": "multipart/form-data; boundary=doctor"}
    answer = visitor.announce("POST", "/api/v1/assets", headers, patience=WAIT_SECONDS)
    if answer is None:
        yield Finding(
            "BAD",
            "are taken in whole before the service sees them, which doubles the time and fills the proxy's disk:"
            " no request buffering (nginx: proxy_request_buffering off)",
        )
    elif answer.status == 413:
        yield Finding("BAD", "of 3 GiB are refused on the way (nginx: client_max_body_size 0 for uploads)")
    elif answer.status != 401 or not code_of(answer):
        yield Finding("BAD", f"do not reach the service: {said(answer)}")
    else:
        yield Finding("ok", "reach the service while they come, also large ones")
    options = visitor.ask("OPTIONS", "/api/v1/uploads")
    patch = visitor.ask("PATCH", "/api/v1/uploads/none", {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"})
    if options.get("tus-resumable") != "1.0.0" or patch.status != 401:
        yield Finding(
            "BAD",
            f"cannot be resumed: OPTIONS gets {options.status}, PATCH {patch.status} (401 is right, without a key); let all"
            " methods and headers through to /api/v1/uploads",
        )


def events(visitor: Visitor, key: str, asset_id: str | None) -> Iterator[Finding]:
    """A film's events begin with what it is; when nothing happens, a few bytes come every 15 s. What fills a buffer first lets
    the beginning through, so it is those few that tell."""
    if not key or asset_id is None:
        yield Finding("note", "are not tried without a key" if asset_id else "are not tried without a film")
        return
    target = f"/api/v1/assets/{asset_id}/events"
    answer = visitor.hear(target, bearer(key), _goes_on, patience=HEARTBEAT_SECONDS + WAIT_SECONDS)
    if answer is None:
        yield Finding(
            "BAD",
            "are held back: within 20 s none came, and something small should every 15; no buffering of responses (nginx:"
            " proxy_buffering off, and no proxy_ignore_headers X-Accel-Buffering)",
        )
    elif answer.status != 200:
        yield Finding("BAD", f"are refused: {answer.status}; is the key one with the scope read?")
    elif answer.get("content-encoding") or answer.get("content-type") != "text/event-stream":
        yield Finding("BAD", "are changed on the way: no compression of text/event-stream")
    elif not _goes_on(answer.body):
        yield Finding(
            "BAD", "end too soon: no time-out below 30 s for responses (nginx: proxy_read_timeout 1h)"
        )
    else:
        yield Finding("ok", "come as they happen, and small ones too")


def _goes_on(heard: bytes) -> bool:
    """More has come than what every stream begins with."""
    _, _, rest = heard.partition(b"\nevent: made\n")
    return rest.count(b"\n\n") > 1


class _Session(msgspec.Struct):
    csrf_token: Annotated[str, msgspec.Meta(pattern="^[!-~]+$")]


def sign_in(visitor: Visitor, key: str) -> Iterator[Finding]:
    """The panel's sign-in compares the page's origin with Host, and makes its cookie for https by X-Forwarded-Proto."""
    body = msgspec.json.encode({"token": key or "the doctor was here"})
    headers = {"Content-Type": "application/json", "Origin": visitor.origin}
    answer = visitor.ask("POST", "/admin/session", headers, body=body)
    if code_of(answer) == "csrf":
        yield Finding(
            "BAD",
            "fails: the service sees another Host than the browser (nginx: proxy_set_header Host $http_host)",
        )
        return
    cookie = answer.get("set-cookie")
    if answer.status == 200:
        proof = read_json(answer, _Session).csrf_token
        if not cookie:
            yield Finding("BAD", "lets nobody in: Set-Cookie is lost on the way; let it through")
            return
        visitor.ask(
            "DELETE",
            "/admin/session",
            {"Cookie": cookie.partition(";")[0], "X-CSRF-Token": proof, "Origin": visitor.origin},
        )
        if visitor.https and "secure" not in cookie.lower():
            yield Finding(
                "BAD",
                "makes a cookie that http would carry, too: the service does not know of https (nginx: proxy_set_header"
                " X-Forwarded-Proto $scheme; and the proxy's address in MEDIA_SERVICE_TRUSTED_PROXIES)",
            )
            return
    elif answer.status not in {401, 403, 429}:
        yield Finding("BAD", f"does not reach the service: {said(answer)}")
        return
    yield Finding("ok", "sees the Host that the browser sees")


def caches(visitor: Visitor) -> Iterator[Finding]:
    """Nobody may keep what the service says must not be kept."""
    answers = [visitor.ask("GET", "/livez") for _ in range(2)]
    aged = any(_AGED.fullmatch(answer.get("age")) for answer in answers)
    hit = any(
        "hit" in answer.get(name).lower() for answer in answers for name in ("x-cache", "cf-cache-status")
    )
    if aged or hit or any("no-store" not in answer.get("cache-control") for answer in answers):
        yield Finding(
            "BAD", "keep answers that are marked no-store, or change Cache-Control: let the service decide"
        )
    else:
        yield Finding("ok", "keep nothing that they must not keep")
