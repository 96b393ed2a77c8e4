"""multipart/form-data bodies byte by byte, also such as no library would write (RFC 7578)."""

from __future__ import annotations

from typing import NamedTuple

BOUNDARY = "----tests-boundary-7f3a"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


class Part(NamedTuple):
    """One field; `disposition` is what follows `form-data; ` in its header, as it is."""

    disposition: str
    content: bytes
    content_type: str | None = None


def text(name: str, value: str) -> Part:
    """A text field."""
    return Part(f'name="{name}"', value.encode())


def file(content: bytes, filename: str = "film.mp4", name: str = "file") -> Part:
    """A file field; `filename` goes between the quotes as it is."""
    return Part(f'name="{name}"; filename="{filename}"', content, "video/mp4")


def form(*parts: Part) -> bytes:
    """The body of a form with CONTENT_TYPE."""
    body = b""
    for part in parts:
        body += f"--{BOUNDARY}\r\nContent-Disposition: form-data; {part.disposition}\r\n".encode()
        body += f"Content-Type: {part.content_type}\r\n".encode() if part.content_type else b""
        body += b"\r\n" + part.content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()
