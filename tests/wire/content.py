"""Representations whose every byte is known, for the tests of what is sent."""

from __future__ import annotations

from collections.abc import Iterable

from media_service.wire.representation import BlobExtent, Cut, Extent, MemoryExtent, Representation

MODIFIED = 1_780_000_000  # Unix seconds: Thu, 28 May 2026 20:26:40 GMT


def pattern(start: int, stop: int) -> bytes:
    """Bytes that know their offset."""
    return bytes((i * 7 + (i >> 8)) & 255 for i in range(start, stop))


def representation(
    size: int, *, etag: str = "v1", modified: int | None = MODIFIED, content: str = "pattern"
) -> Representation:
    """`size` bytes: a header in memory, a gap of nothing, then a blob; `content` is the blob's name and filling."""
    header = min(3, size) if content == "pattern" else 0
    extents: tuple[Extent, ...] = (
        MemoryExtent(pattern(0, header)),
        BlobExtent(content, 5, 5),
        BlobExtent(content, header, size),
    )
    return Representation(
        extents, "video/mp4", etag, modified, (("Cache-Control", "public, max-age=31536000, immutable"),)
    )


def read(parts: Iterable[Extent | Cut], *, limit: int = 1 << 20) -> bytes:
    """The bytes of `parts`; blobs are named after what fills them. More than `limit` bytes are an error of the test."""
    body = bytearray()
    for part in parts:
        assert len(body) + part.size <= limit, "a test would read too much"
        match part:
            case Cut():
                body += read(part.extents(), limit=limit)
            case MemoryExtent(data):
                body += data
            case BlobExtent("pattern", start, stop):
                body += pattern(start, stop)
            case BlobExtent("zeros", start, stop):
                body += bytes(stop - start)
            case _:
                raise AssertionError(f"no such blob: {part}")
    return bytes(body)


def fields(**values: str | list[str]) -> list[tuple[bytes, bytes]]:
    """Request headers as ASGI gives them: `if_range="x"` is (b"if-range", b"x"); a list is several lines."""
    return [
        (name.replace("_", "-").lower().encode("ascii"), line.encode("latin-1"))
        for name, value in values.items()
        for line in ([value] if isinstance(value, str) else value)
    ]


def split_multipart(body: bytes, content_type: str) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart/byteranges body, cut by Content-Range and checked delimiter by delimiter."""
    delimiter = b"--" + content_type.partition("boundary=")[2].strip('"').encode("ascii")
    parts: list[tuple[dict[str, str], bytes]] = []
    rest = body.removeprefix(b"\r\n")
    while not rest.startswith(delimiter + b"--"):
        assert rest.startswith(delimiter + b"\r\n"), rest[:80]
        head, _, rest = rest.removeprefix(delimiter + b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode("latin-1").split("\r\n"))
        part = {name.lower(): value for name, _, value in lines}
        first, _, last = part["content-range"].removeprefix("bytes ").partition("/")[0].partition("-")
        size = int(last) - int(first) + 1
        parts.append((part, rest[:size]))
        assert rest[size : size + 2] == b"\r\n"
        rest = rest[size + 2 :]
    assert rest == delimiter + b"--\r\n"
    return parts
