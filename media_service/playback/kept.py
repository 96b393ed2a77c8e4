"""Representations that were put together once and are asked for again: players ask for a film in hundreds of ranges.

What is kept is named by a key that is never used for anything else, so nothing ever has to be thrown out as outdated.
"""

from __future__ import annotations

from collections import OrderedDict

from media_service.wire.layout import Layout
from media_service.wire.representation import MemoryExtent, Representation

MAX_KEPT = 64
# The header of a film of three hours has some ten megabytes, and its own packets may lie in half a million places.
MAX_KEPT_BYTES = 64 << 20
EXTENT_BYTES = 28  # of each in a Layout, with its place in the file
OBJECT_BYTES = 150  # of each that is an object of its own, with its numbers


class KeptRepresentations:
    """The representations used last, up to `most` and up to MAX_KEPT_BYTES of memory together."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[Representation, int]] = OrderedDict()  # and its bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Representation | None:
        """What was kept under `key`, if it still is."""
        if (found := self._kept.get(key)) is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def keep(self, key: str, representation: Representation) -> Representation:
        """Keep it, in place of those that were not used for longest; the representation itself."""
        if key not in self._kept and (held := held_bytes(representation)) <= MAX_KEPT_BYTES:
            self._kept[key] = representation, held
            self._bytes += held
            while len(self._kept) > self._most or self._bytes > MAX_KEPT_BYTES:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._bytes -= dropped
        return representation


def held_bytes(representation: Representation) -> int:
    """About how much memory it takes."""
    extents = representation.extents
    if isinstance(
        extents, Layout
    ):  # has its head only in memory; half a million spans take a second to look at
        return len(extents.head) + EXTENT_BYTES * len(extents)
    made = sum(extent.size for extent in extents if isinstance(extent, MemoryExtent))
    return made + OBJECT_BYTES * len(extents)
