"""multipart/byteranges: several ranges in one answer (RFC 9110 s14.6, RFC 2046 s5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain

from media_service.wire.representation import Cut, MemoryExtent, Representation, Span


def content_range(span: Span, size: int) -> bytes:
    """`span` as Content-Range text: inclusive positions and always the real total (`*` as total kills Safari)."""
    return b"bytes %d-%d/%d" % (span.start, span.stop - 1, size)


def boundary(representation: Representation, spans: Sequence[Span]) -> str:
    """The text between the parts: 32 hexadecimal digits.

    It is the same for the same answer, so that HEAD, retries and caches agree. To plant it inside a file one would
    have to know the file's entity-tag before the file exists.
    """
    asked = ",".join(f"{span.start}-{span.stop}" for span in spans)
    return sha256(f"byteranges {representation.etag} {asked}".encode()).hexdigest()[:32]


def parts(representation: Representation, spans: Sequence[Span]) -> tuple[MemoryExtent | Cut, ...]:
    """The body of a multi-range answer: a head in memory and the bytes of each span, then the closing delimiter."""
    delimiter = "--" + boundary(representation, spans)
    pieces: Iterator[MemoryExtent | Cut] = chain.from_iterable(
        (
            MemoryExtent(_head(representation, span, ("\r\n" if number else "") + delimiter)),
            Cut(representation, span),
        )
        for number, span in enumerate(spans)
    )
    return (*pieces, MemoryExtent(f"\r\n{delimiter}--\r\n".encode("ascii")))


def _head(representation: Representation, span: Span, delimiter: str) -> bytes:
    lines = (
        delimiter,
        f"Content-Type: {representation.media_type}",
        f"Content-Range: {content_range(span, representation.size).decode()}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
