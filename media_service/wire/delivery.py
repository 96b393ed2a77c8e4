"""A request and a representation -> the whole answer, before a byte of it moves (RFC 9110 s13, s14, s15).

Plan, then execute: `web.send` walks through `Delivery.extents` and decides nothing. Content-Length is the sum of the
parts, never arithmetic of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from media_service import errors
from media_service.wire import byteranges, preconditions, ranges
from media_service.wire.preconditions import EntityTag, Verdict
from media_service.wire.representation import Cut, Extent, MemoryExtent, Representation, Span

Headers = tuple[tuple[bytes, bytes], ...]
Part = MemoryExtent | Cut

_ACCEPTED = (b"accept-ranges", b"bytes")

_CONDITIONS = {
    name.encode(): name
    for name in ("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since")
}


class Delivery(msgspec.Struct, frozen=True):
    """A planned response: status, headers (lower-case names, as ASGI wants them) and the parts of its body.

    `own` are the headers of this one, `common` those that the representation has in all of them.
    """

    status: int
    own: Headers
    common: Headers
    parts: tuple[Part, ...]
    size: int  # bytes of body that will be sent

    @property
    def headers(self) -> Headers:
        """All of them."""
        return self.own + self.common

    def extents(self) -> Iterator[Extent]:
        """The body, piece by piece; none is empty."""
        if len(self.parts) == 1 and isinstance(part := self.parts[0], Cut):
            return part.extents()
        return chain.from_iterable(
            part.extents() if isinstance(part, Cut) else (part,) for part in self.parts
        )


def plan(method: str, headers: Iterable[tuple[bytes, bytes]], representation: Representation) -> Delivery:
    """The answer to one request for `representation`: see `Answers.to`."""
    return Answers(representation).to(method, headers)


class Answers:
    """The answers to all requests for `representation`; what they have in common is written once.

    `headers` are sent in place of the representation's own.
    """

    __slots__ = ("__weakref__", "_media_type", "_size", "_validators", "common", "representation")

    def __init__(
        self, representation: Representation, headers: Iterable[tuple[str, str]] | None = None
    ) -> None:
        self.representation = representation
        self._size = representation.size
        self._media_type = representation.media_type.encode("latin-1")
        # What a 304 must repeat of the 200 (s15.4.5), and a 206 as well (s15.3.7).
        self._validators = _validators(representation, representation.headers if headers is None else headers)
        self.common = (_ACCEPTED, *self._validators)

    def to(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Delivery:
        """The answer to a request; `headers` are the request's, names in any case.

        Raises nothing, whatever the bytes: 304, 405, 412 and 416 are deliveries too. HEAD gets the headers of the GET
        without a Range (s9.3.2, s14.2) and no parts.
        """
        if method == "GET":
            return self._answer(*_asked(headers))
        if method == "HEAD":
            _, conditions = _asked(headers)
            answer = self._answer([], conditions)
            return Delivery(answer.status, answer.own, answer.common, (), 0)
        refusal = errors.MethodNotAllowed("This can be read with GET and HEAD only.")
        return _problem(refusal, ((b"allow", b"GET, HEAD"),))

    def to_range(self, wanted: str) -> Delivery:
        """The answer to a GET with that Range, whose conditions hold or that has none."""
        return self._answer([wanted], {})

    def whole(self) -> Delivery:
        """The answer to a GET that asks for nothing in particular."""
        whole = Span(0, self._size)
        parts = (Cut(self.representation, whole),) if self._size else ()
        return self._content(200, self._media_type, parts, self._size)

    def _answer(self, wanted: list[str], conditions: dict[str, list[str]]) -> Delivery:
        if conditions:
            verdict = preconditions.evaluate(conditions, self.representation)
            if verdict is Verdict.FAILED:
                return _problem(errors.PreconditionFailed("The file is not the one that the request names."))
            if verdict is Verdict.NOT_MODIFIED:
                return Delivery(304, (), self._validators, (), 0)
        # Range is not a list field: two lines are no valid Range, and mixing them would be a guess.
        if len(wanted) != 1 or (
            conditions and not preconditions.range_applies(conditions, self.representation)
        ):
            return self.whole()
        try:
            spans = ranges.parse(wanted[0], self._size)
        except errors.RangeNotSatisfiable as error:
            return _problem(error, ((b"content-range", b"bytes */%d" % self._size),))
        return self.whole() if spans is None else self._partial(spans)

    def _partial(self, spans: tuple[Span, ...]) -> Delivery:
        representation = self.representation
        if len(spans) > 1:
            # No Content-Range here: it stands in each part (s15.3.7.2).
            media_type = f"multipart/byteranges; boundary={byteranges.boundary(representation, spans)}"
            parts = byteranges.parts(representation, spans)
            return self._content(206, media_type.encode("ascii"), parts, sum(part.size for part in parts))
        span = spans[0]
        where = (b"content-range", byteranges.content_range(span, self._size))
        part = Cut(representation, span)
        return self._content(206, self._media_type, (part,), span.stop - span.start, (where,))

    def _content(
        self, status: int, media_type: bytes, parts: tuple[Part, ...], size: int, extra: Headers = ()
    ) -> Delivery:
        own = ((b"content-type", media_type), (b"content-length", b"%d" % size), *extra)
        return Delivery(status, own, self.common, parts, size)


def _validators(representation: Representation, sent: Iterable[tuple[str, str]]) -> Headers:
    headers = [("etag", preconditions.build_tag(EntityTag(representation.etag)))]
    if representation.last_modified is not None:
        headers.append(("last-modified", preconditions.build_date(representation.last_modified)))
    headers.extend((name.lower(), value) for name, value in sent)
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
    size = parts[0].size
    headers = (
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % size),
        (b"cache-control", b"no-store"),
        *extra,
    )
    return Delivery(error.status, headers, (), parts, size)


def _asked(headers: Iterable[tuple[bytes, bytes]]) -> tuple[list[str], dict[str, list[str]]]:
    """The lines of Range, and the conditions; Latin-1 gives every byte a character, so nothing can fail."""
    wanted: list[str] = []
    conditions: dict[str, list[str]] = {}
    for raw_name, raw_value in headers:
        name = raw_name.lower()
        if name == b"range":
            wanted.append(raw_value.decode("latin-1").strip(" \t"))
        elif (condition := _CONDITIONS.get(name)) is not None:
            conditions.setdefault(condition, []).append(raw_value.decode("latin-1").strip(" \t"))
    return wanted, conditions
