"""Ranges of what is open already, for a server to which the same request comes again with another one (server.repeats)."""

from __future__ import annotations

from collections.abc import Callable
from weakref import ReferenceType, ref

from media_service.playback.opened import Address, Opened, OpenedRepresentations
from media_service.store.shared_blobs import SharedReader
from media_service.web.headers import completed_by
from media_service.web.send import FILE_BYTES
from media_service.wire.delivery import Answers, Headers
from media_service.wire.representation import BlobExtent

# In place of what was asked for first: whatever has a byte has this range.
_ANY = b"range", b"bytes=0-"

Part = tuple[Headers, bytes, int, int, int, Callable[[], SharedReader]]  # as server.repeats has it


class Repeat:
    """A GET for what players fetch, at `address`, of which only the Range changes. `conditions` are its headers that may have
    a say in that (RFC 9110 s13.1), `readable_by` is from `web.headers.may_read`.

    What it gets is what `web.shortcut` would say. Whatever is not a piece of one open file is left to that.
    """

    __slots__ = (
        "_address",
        "_answers",
        "_conditions",
        "_known",
        "_path",
        "_prepared",
        "_readable_by",
    )

    def __init__(
        self,
        known: OpenedRepresentations,
        address: Address,
        path: str,
        conditions: Headers,
        readable_by: str | None,
    ) -> None:
        self._known = known
        self._address = address
        self._path = path
        self._conditions = conditions
        self._readable_by = readable_by
        # Not kept by this: who looks after what is open decides what that takes of the memory.
        self._answers: ReferenceType[Answers] | None = None
        self._prepared: bytes | None = None

    def part(self, wanted: str) -> Part | None:
        """The lines and the bytes of that range, now; None when it takes more than a look."""
        known = self._known
        opened = known.get(self._address)
        if opened is None or (answers := opened.answers()) is None:
            return None
        if self._answers is None or self._answers() is not answers:
            self._prepare(opened, answers)
        if self._prepared is None:
            return None
        delivery = answers.to_range(wanted)
        if delivery.size < FILE_BYTES or delivery.status != 206:
            return None
        extent = next(delivery.extents())
        if not isinstance(extent, BlobExtent) or extent.size != delivery.size:
            return None
        reader = known.blobs.ready(extent.blob, opened.stamp)
        if reader is None or (file := reader.file) is None:
            return None
        return delivery.own, self._prepared, file, extent.start, extent.size, reader.hold

    def _prepare(self, opened: Opened, answers: Answers) -> None:
        """What all ranges have in common, if the request's conditions let it have any."""
        self._answers = ref(answers)
        partial = answers.to("GET", (*self._conditions, _ANY))
        self._prepared = None
        if partial.status == 206:
            self._prepared = completed_by(opened, answers, self._path, self._readable_by).prepared
