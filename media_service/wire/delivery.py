"""A request and a representation -> the whole answer, before a byte of it moves (RFC 9110 s13, s14, s15).

Plan, then execute: `web.send` walks through `Delivery.extents` and decides nothing. Content-Length is the sum of the
parts, never arithmetic of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from media_service import errors
from media_service.wire import byteranges, preconditions, ranges
from media_service.wire.preconditions import EntityTag, Verdict
from media_service.wire.representation import Cut, Extent, MemoryExtent, Representation, Span

Headers = tuple[tuple[bytes, bytes], ...]
Part = MemoryExtent | Cut

_READ = frozenset(
    {
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
    }
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A planned response: status, headers (lower-case names, as ASGI wants them) and the parts of its body."""

    status: int
    headers: Headers
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of body that will be sent."""
        return sum(part.size for part in self.parts)

    def extents(self) -> Iterator[Extent]:
        """The body, piece by piece; none is empty."""
        for part in self.parts:
            if isinstance(part, Cut):
                yield from part.extents()
            else:
                yield part


def plan(method: str, headers: Iterable[tuple[bytes, bytes]], representation: Representation) -> Delivery:
    """The answer to a request for `representation`; `headers` are the request's, names in any case.

    Raises nothing, whatever the bytes: 304, 405, 412 and 416 are deliveries too. HEAD gets the headers of the GET
    without a Range (s9.3.2, s14.2) and no parts.
    """
    if method not in {"GET", "HEAD"}:
        refusal = errors.MethodNotAllowed("This can be read with GET and HEAD only.")
        return _problem(refusal, ((b"allow", b"GET, HEAD"),))
    fields = _fields(headers)
    if method == "HEAD":
        fields.pop("range", None)
    delivery = _answer(fields, representation)
    return replace(delivery, parts=()) if method == "HEAD" else delivery


def _answer(fields: dict[str, list[str]], representation: Representation) -> Delivery:
    verdict = preconditions.evaluate(fields, representation)
    if verdict is Verdict.FAILED:
        return _problem(errors.PreconditionFailed("The file is not the one that the request names."))
    if verdict is Verdict.NOT_MODIFIED:
        return Delivery(304, _validators(representation), ())
    try:
        spans = _spans(fields, representation)
    except errors.RangeNotSatisfiable as error:
        total = f"bytes */{representation.size}".encode("ascii")
        return _problem(error, ((b"content-range", total),))
    return _whole(representation) if spans is None else _partial(representation, spans)


def _spans(fields: dict[str, list[str]], representation: Representation) -> tuple[Span, ...] | None:
    values = fields.get("range", ())
    # Range is not a list field: two lines are no valid Range, and mixing them would be a guess.
    if len(values) != 1 or not preconditions.range_applies(fields, representation):
        return None
    return ranges.parse(values[0], representation.size)


def _whole(representation: Representation) -> Delivery:
    whole = Span(0, representation.size)
    parts = (Cut(representation, whole),) if whole.size else ()
    return _content(200, representation.media_type, parts, representation)


def _partial(representation: Representation, spans: tuple[Span, ...]) -> Delivery:
    if len(spans) > 1:
        # No Content-Range here: it stands in each part (s15.3.7.2).
        media_type = f"multipart/byteranges; boundary={byteranges.boundary(representation, spans)}"
        return _content(206, media_type, byteranges.parts(representation, spans), representation)
    (span,) = spans
    where = byteranges.content_range(span, representation.size).encode("ascii")
    parts = (Cut(representation, span),)
    return _content(206, representation.media_type, parts, representation, extra=((b"content-range", where),))


def _content(
    status: int,
    media_type: str,
    parts: tuple[Part, ...],
    representation: Representation,
    *,
    extra: Headers = (),
) -> Delivery:
    headers = (
        (b"content-type", media_type.encode("latin-1")),
        (b"content-length", _length(parts)),
        (b"accept-ranges", b"bytes"),
        *extra,
        *_validators(representation),
    )
    return Delivery(status, headers, parts)


def _validators(representation: Representation) -> Headers:
    """What a 304 must repeat of the 200 (s15.4.5), and a 206 as well (s15.3.7)."""
    headers = [("etag", preconditions.build_tag(EntityTag(representation.etag)))]
    if representation.last_modified is not None:
        headers.append(("last-modified", preconditions.build_date(representation.last_modified)))
    headers.extend((name.lower(), value) for name, value in representation.headers)
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def _problem(error: errors.MediaServiceError, extra: Headers = ()) -> Delivery:
    """An error as problem+json (RFC 9457). Never stored: it says nothing about the representation."""
    problem = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    parts = (MemoryExtent(json.dumps(problem).encode("ascii")),)
    headers = (
        (b"content-type", b"application/problem+json"),
        (b"content-length", _length(parts)),
        (b"cache-control", b"no-store"),
        *extra,
    )
    return Delivery(error.status, headers, parts)


def _length(parts: tuple[Part, ...]) -> bytes:
    return str(sum(part.size for part in parts)).encode("ascii")


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    """The request fields that matter here; Latin-1 gives every byte a character, so nothing can fail."""
    fields: dict[str, list[str]] = {}
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name in _READ:
            fields.setdefault(name, []).append(raw_value.decode("latin-1").strip(" \t"))
    return fields
