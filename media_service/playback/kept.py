"""Representations that were put together once and are asked for again: players ask for a film in hundreds of ranges.

What is kept is named by a key that is never used for anything else, so nothing ever has to be thrown out as outdated.
"""

from __future__ import annotations

from collections import OrderedDict

from media_service.wire.representation import Representation

MAX_KEPT = 64
# A film of three hours has 10,801 extents, and each takes some 200 bytes: 20 MB for ten such films, or for many short ones.
MAX_KEPT_EXTENTS = 100_000


class KeptRepresentations:
    """The representations used last, up to `most` and up to MAX_KEPT_EXTENTS together."""

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Representation] = OrderedDict()
        self._extents = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Representation | None:
        """What was kept under `key`, if it still is."""
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: str, representation: Representation) -> Representation:
        """Keep it, in place of those that were not used for longest; the representation itself."""
        if key not in self._kept and len(representation.extents) <= MAX_KEPT_EXTENTS:
            self._kept[key] = representation
            self._extents += len(representation.extents)
            while len(self._kept) > self._most or self._extents > MAX_KEPT_EXTENTS:
                _, dropped = self._kept.popitem(last=False)
                self._extents -= len(dropped.extents)
        return representation
