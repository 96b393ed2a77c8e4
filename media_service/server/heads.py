"""The head of a response as bytes: checked, and cheap for the same few names again and again."""

from __future__ import annotations

import http
import re
from collections.abc import Iterable

# RFC 9110 s5.6.2: a token. uvicorn refuses a few characters; this accepts what there is.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110 s5.5: what would end the line, and what none of ours has. Tabs are allowed.
_FORBIDDEN = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
# Names that were seen: an application has a few dozen of them; one that makes them up must not fill the memory.
_KEPT_NAMES = 512
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})

Header = tuple[bytes, bytes]
# The block of the status line and the headers, without the empty line at its end; Content-Length; whether the body is
# chunked; whether the head says that this response is the connection's last. No class: one is made for each response.
Head = tuple[bytes, int | None, bool, bool]


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(100, 600)}
_names: dict[bytes, tuple[bytes, bool]] = {}


def head(
    status: int, headers: Iterable[Header], prepared: bytes = b"", defaults: list[Header] | None = None
) -> Head:
    """Put it together: the `defaults`, which are the same list again and again (uvicorn's: the date); the headers; and the
    `prepared` lines, each with its end, none of them about framing.

    Raises RuntimeError for a name or a value that would break the line.
    """
    length: int | None = None
    chunked = closes = False
    lines = [_STATUS_LINES[status], _default_lines(defaults) if defaults else b""]
    put = lines.append
    for name, value in headers:
        start, frames = _names.get(name) or _known(name)
        put(start)
        put(value)
        if frames:
            if start == b"\r\ncontent-length: ":
                length = int(value)
            elif start == b"\r\ntransfer-encoding: ":
                chunked = value.lower() == b"chunked"
            else:
                closes = b"close" in [option.strip().lower() for option in value.split(b",")]
    put(b"\r\n")
    put(prepared)
    block = b"".join(lines)
    ends = len(lines) // 2 - 1 + (len(defaults) if defaults else 0) + prepared.count(b"\n")
    # Once for all values: line ends are those that were put in here, and nothing else is of that kind.
    if len(block.translate(None, _FORBIDDEN)) != len(block) - 2 * ends:
        raise RuntimeError("Invalid HTTP header value.")
    return block, length, chunked, closes


_last_defaults: tuple[list[Header], bytes] = ([], b"")


def _default_lines(defaults: list[Header]) -> bytes:
    global _last_defaults  # noqa: PLW0603 # one server a process, and it makes a new list each second
    if _last_defaults[0] is not defaults:
        _last_defaults = (
            defaults,
            b"".join(_known(name)[0] + value for name, value in defaults),
        )
    return _last_defaults[1]


def _known(name: bytes) -> tuple[bytes, bool]:
    """How its line begins, and whether it says how long the response or the connection is."""
    if not _NAME.fullmatch(name):
        raise RuntimeError("Invalid HTTP header name.")
    lower = name.lower()
    if len(_names) >= _KEPT_NAMES:
        _names.clear()
    known = _names[name] = (b"\r\n" + lower + b": ", lower in _FRAMING)
    return known
