"""A file of requests as the HTTP clients of VS Code and JetBrains' editors read it: `###`, `@name = value`, `{{name}}`, `< file`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

SEPARATOR = re.compile(r"^###(.*)\n", re.MULTILINE)
VARIABLE = re.compile(r"^@(\w+) = (.*)$", re.MULTILINE)
USE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Written:
    """One request as it is written. `url` and the values of `headers` may use variables; `body`: b"" for none."""

    title: str
    comment: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpFile:
    """A file of requests, and what its variables are just now."""

    requests: list[Written]
    variables: dict[str, str]
    directory: Path = field(default_factory=Path)

    def filled(self, text: str) -> str:
        """With the variables' values. Raises KeyError for one that the file does not have."""
        return USE.sub(lambda use: self.variables[use[1]], text)

    def body(self, request: Written) -> bytes:
        """Its bytes, files (of `directory`) among them. A form's lines end as RFC 2046 has it."""
        form = request.headers.get("Content-Type", "").startswith("multipart/")
        written = request.body.replace(b"\n", b"\r\n") if form else request.body.rstrip(b"\n")
        if b"\r\n< " in written or written.startswith(b"< "):
            pieces = re.split(rb"^< (\S+?)(?=\r?$)", written, flags=re.MULTILINE)
            pieces[1::2] = [(self.directory / name.decode()).read_bytes() for name in pieces[1::2]]
            written = b"".join(pieces)
        return written


def read_http_file(text: str) -> HttpFile:
    """The requests of a file in their order."""
    head, *parts = SEPARATOR.split(text)
    titled = zip(parts[::2], parts[1::2], strict=True)
    return HttpFile([_request(title.strip(), part) for title, part in titled], dict(VARIABLE.findall(head)))


def _request(title: str, part: str) -> Written:
    head, _, body = part.strip("\n").partition("\n\n")
    lines = head.splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    first, *headers = [line for line in lines if not line.startswith("#")]
    method, url = first.split(" ")
    fields = dict(line.split(": ", 1) for line in headers)
    return Written(title, comment, method, url, fields, f"{body}\n".encode() if body else b"")
