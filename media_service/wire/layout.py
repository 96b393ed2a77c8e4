"""The stored form of a Representation's extents: what the catalog keeps of a virtual file.

A three-hour film put together from fragments has over ten thousand extents in three blobs, so each blob is named once
and the spans are plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from media_service.wire.representation import BlobExtent


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    blobs: list[str]
    spans: list[int]  # blob's number, start, stop; again and again


def pack(extents: Iterable[BlobExtent]) -> bytes:
    """The extents as bytes for the catalog."""
    numbers: dict[str, int] = {}
    spans: list[int] = []
    for extent in extents:
        spans += (numbers.setdefault(extent.blob, len(numbers)), extent.start, extent.stop)
    return msgspec.msgpack.encode(_Packed(list(numbers), spans))


def unpack(data: bytes) -> tuple[BlobExtent, ...]:
    """What `pack` was given. Raises msgspec.DecodeError for anything else."""
    packed = msgspec.msgpack.decode(data, type=_Packed)
    numbers = iter(packed.spans)
    return tuple(
        BlobExtent(packed.blobs[blob], start, stop)
        for blob, start, stop in zip(numbers, numbers, numbers, strict=True)
    )
