"""multipart/form-data (RFC 7578) -> events, as the bytes arrive.

python_multipart finds the delimiters; this module reads the part headers, keeps the account of every limit and turns
call-backs into events. No byte of a part is lost or doubled, however the body is split. A file's name is data that is
shown to people: it is cleaned here and never becomes a path.
"""

from __future__ import annotations

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from media_service.errors import MalformedForm
from media_service.wire.disposition import parse_disposition, parse_parameters

MAX_BOUNDARY_CHARS = 70  # RFC 2046 s5.1.1

_BOUNDARY_CHARS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ")
_PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})


@dataclass(frozen=True, slots=True)
class FieldStarted:
    """A part begins. `filename` is None for plain fields and "" for a file input in which nothing was chosen."""

    name: str
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class FieldData:
    """Some bytes of the part that began last."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FieldEnded:
    """The part is complete."""


Event = FieldStarted | FieldData | FieldEnded


class FormParser:
    """Push parser: `feed` it the body in pieces of any size, then `finish`.

    `content_type` is the request's Content-Type. Limits: `max_fields` parts in all; `max_field_bytes` of content in a
    part without a file name; `max_header_bytes` of header names and values in one part. The size of the files is for
    the caller to bound. Everything raises MalformedForm and nothing else; after that the parser takes no more.
    """

    def __init__(
        self, content_type: str, *, max_fields: int, max_field_bytes: int, max_header_bytes: int
    ) -> None:
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_size=max_header_bytes,
        )
        self._max_fields = max_fields
        self._max_field_bytes = max_field_bytes
        self._max_header_bytes = max_header_bytes
        self._events: list[Event] = []
        self._fields = 0
        self._headers: dict[str, str] = {}  # of the part at hand, like the next four
        self._header_bytes = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._room: int | None = None  # bytes that a plain field may still hold; None in a file
        self._ended = False
        self._broken = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data`, the next bytes of the body, completes."""
        if self._broken:
            raise MalformedForm("The form was given up before.")
        try:
            self._parser.write(data)
        except FormParserError as error:
            self._broken = True
            raise MalformedForm("The form's parts are not delimited as multipart/form-data is.") from error
        except MalformedForm:
            self._broken = True
            raise
        events, self._events = self._events, []
        return events

    def finish(self) -> list[Event]:
        """Say that the body has ended. Raises MalformedForm unless the closing delimiter was seen."""
        if self._broken or not self._ended:
            raise MalformedForm("The form ends before its closing delimiter.")
        return []

    def _on_part_begin(self) -> None:
        self._fields += 1
        if self._fields > self._max_fields:
            raise MalformedForm(f"The form has more than {self._max_fields} fields.")
        self._headers = {}
        self._header_bytes = 0
        self._header_name.clear()
        self._header_value.clear()

    def _on_header_field(self, data: bytes, start: int, stop: int) -> None:
        self._count_header(stop - start)
        self._header_name += data[start:stop]

    def _on_header_value(self, data: bytes, start: int, stop: int) -> None:
        self._count_header(stop - start)
        self._header_value += data[start:stop]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._max_header_bytes:
            raise MalformedForm(f"The headers of a field are longer than {self._max_header_bytes} bytes.")

    def _on_header_end(self) -> None:
        name = self._header_name.decode("ascii").lower()  # the parser lets only token characters through
        if name in self._headers:
            raise MalformedForm(f"A field has two {name} headers.")
        self._headers[name] = _decode(bytes(self._header_value)).strip(" \t")
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        part = parse_disposition(self._headers.get("content-disposition", ""))
        if part.kind != "form-data" or part.name is None:
            raise MalformedForm("A field has no name.")
        if self._headers.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
            # Deprecated (RFC 7578 s4.7); taking such content as it is would store another file than the one sent.
            raise MalformedForm("A field is encoded for mail transfer; send it as it is.")
        self._room = self._max_field_bytes if part.filename is None else None
        self._events.append(FieldStarted(part.name, part.filename, self._headers.get("content-type")))

    def _on_part_data(self, data: bytes, start: int, stop: int) -> None:
        if self._room is not None:
            self._room -= stop - start
            if self._room < 0:
                raise MalformedForm(f"A field holds more than {self._max_field_bytes} bytes.")
        self._events.append(FieldData(data[start:stop]))

    def _on_part_end(self) -> None:
        self._events.append(FieldEnded())

    def _on_end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> bytes:
    media_type, parameters = parse_parameters(content_type)
    boundary = parameters.get("boundary", "")
    if media_type != "multipart/form-data":
        raise MalformedForm("The body is not multipart/form-data.")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_CHARS or not _BOUNDARY_CHARS.issuperset(boundary):
        raise MalformedForm("The boundary of the form is missing or not valid.")
    return boundary.encode("ascii")


def _decode(raw: bytes) -> str:
    """Header bytes as text: UTF-8 as RFC 7578 s5.1.2 wants it, or else Latin-1, which takes all bytes."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
