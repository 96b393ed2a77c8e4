"""A multipart form with one file, streamed: the file goes into a `Receiver` while the form is still arriving."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from media_service.errors import MalformedForm
from media_service.wire.formdata import Event, FieldData, FieldStarted, FormParser

MAX_FIELDS = 16
MAX_FIELD_BYTES = 8 << 10  # of a text field: a title, not a novel
MAX_HEADER_BYTES = 8 << 10  # of one part's headers

# What multipart/form-data may add around the file: boundaries, headers and the other fields, within the limits above.
OVERHEAD_BYTES = MAX_FIELDS * (MAX_FIELD_BYTES + MAX_HEADER_BYTES + 1024)


class Receiver(Protocol):
    """Where the file goes."""

    async def write(self, data: bytes) -> None:
        """Take the next bytes of the file."""


class FileForm:
    """What a form said: the file's name, and the text fields as they came."""

    def __init__(self) -> None:
        self.filename = ""
        self.texts: list[tuple[str, str]] = []
        self._has_file = False
        self._into_file = False
        self._name = ""
        self._text = bytearray()

    @property
    def fields(self) -> dict[str, str]:
        """The text fields by name; of a repeated one the last."""
        return dict(self.texts)

    async def read(self, content_type: str, chunks: AsyncIterator[bytes], incoming: Receiver) -> None:
        """Read the whole form. Raises MalformedForm, or what `incoming.write` and `chunks` raise."""
        parser = FormParser(
            content_type,
            max_fields=MAX_FIELDS,
            max_field_bytes=MAX_FIELD_BYTES,
            max_header_bytes=MAX_HEADER_BYTES,
        )
        async for chunk in chunks:
            for event in parser.feed(chunk):
                await self._take(event, incoming)
        for event in parser.finish():
            await self._take(event, incoming)
        if not self._has_file:
            raise MalformedForm("The form has no file in a field named 'file'.")

    async def _take(self, event: Event, incoming: Receiver) -> None:
        if isinstance(event, FieldStarted):
            self._begin(event)
        elif isinstance(event, FieldData):
            if self._into_file:
                await incoming.write(event.data)
            else:
                self._text += event.data
        elif not self._into_file:
            self.texts.append((self._name, self._text.decode("utf-8", "replace")))

    def _begin(self, event: FieldStarted) -> None:
        self._name = event.name
        self._text.clear()
        self._into_file = event.name == "file"
        if self._into_file:
            if self._has_file:
                raise MalformedForm("The form has more than one file; send one request for each.")
            self._has_file = True
            self.filename = event.filename or ""
        elif event.filename is not None:
            raise MalformedForm(f"The file is in the field {event.name!r}; it belongs in the field 'file'.")
