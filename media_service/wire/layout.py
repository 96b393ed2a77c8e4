"""Many extents in few bytes: what is held, and what the catalog keeps, of a virtual file.

A classic MP4 of a long film lies in thousands of stored segments, and the original's own packets may lie in half a million
places of it. So each blob is named once, and spans are columns of plain numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import msgspec

from media_service.wire.representation import BlobExtent, Extent, MemoryExtent


@dataclass(frozen=True, slots=True)
class Layout(Sequence[Extent]):
    """`head` in memory, if there is any, then the bytes [starts[k], stops[k]) of blobs[numbers[k]] for each k."""

    head: bytes
    blobs: tuple[str, ...]
    numbers: array[int]
    starts: array[int]
    stops: array[int]

    @classmethod
    def of(cls, extents: Iterable[BlobExtent], *, head: bytes = b"") -> Layout:
        """These extents, `head` before them."""
        blobs: dict[str, int] = {}
        numbers, starts, stops = array("I"), array("Q"), array("Q")
        for extent in extents:
            numbers.append(blobs.setdefault(extent.blob, len(blobs)))
            starts.append(extent.start)
            stops.append(extent.stop)
        return cls(head, tuple(blobs), numbers, starts, stops)

    def __len__(self) -> int:
        return len(self.starts) + bool(self.head)

    @overload
    def __getitem__(self, at: int) -> Extent: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Extent]: ...

    def __getitem__(self, at: int | slice) -> Extent | Sequence[Extent]:
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(len(self))))
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        number = at % len(self) - bool(self.head)
        return MemoryExtent(self.head) if number < 0 else self._extent(number)

    def __iter__(self) -> Iterator[Extent]:
        if self.head:
            yield MemoryExtent(self.head)
        yield from self.spans()

    def spans(self) -> Iterator[BlobExtent]:
        """All but the head."""
        return map(self._extent, range(len(self.starts)))

    def _extent(self, number: int) -> BlobExtent:
        return BlobExtent(self.blobs[self.numbers[number]], self.starts[number], self.stops[number])


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    blobs: list[str]
    spans: list[int]  # blob's number, start, stop; again and again


def pack(extents: Iterable[BlobExtent]) -> bytes:
    """The extents as bytes for the catalog."""
    made = Layout.of(extents)
    spans = [0] * (3 * len(made))
    spans[0::3], spans[1::3], spans[2::3] = made.numbers, made.starts, made.stops
    return msgspec.msgpack.encode(_Packed(list(made.blobs), spans))


def unpack(data: bytes) -> Layout:
    """What `pack` was given. Raises msgspec.DecodeError for anything else."""
    packed = msgspec.msgpack.decode(data, type=_Packed)
    numbers, starts, stops = (
        array(typecode, packed.spans[column::3]) for typecode, column in (("I", 0), ("Q", 1), ("Q", 2))
    )
    return Layout(b"", tuple(packed.blobs), numbers, starts, stops)
