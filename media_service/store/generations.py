"""Whether what was read from the catalog is still so, told between processes by memory that they share, without a query.

Each asset has a slot of 64 bits. Who keeps something that was read takes the slot's stamp before he reads, and what he
keeps holds for as long as the stamp is the same. Every commit that concerns an asset leaves another stamp behind, whichever
process makes it, and while one is under way nothing holds: so nobody goes by what was true before a commit that others see,
nor for ever by what a process left that was killed in the middle.

Stamps are random and never counted on: of two processes that change the same slot at once neither can undo the other.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

from media_service import errors
from media_service.store.disk import no_room_is_storage_full
from media_service.store.files import write_all

GENERATIONS_FILE = "generations"
SLOTS = (
    4096  # assets share them: with a change of one in a thousand films a minute, hardly anybody reads twice
)
EVERYTHING: Final = "*"  # in place of an asset's id: all of them may have changed
_SLOT_BYTES = 8
_SIZE = SLOTS * _SLOT_BYTES
_UNDER_WAY = 0  # in a slot: somebody is changing this


class Generations:
    """The stamps in a shared mapping of SLOTS native 64-bit numbers; without one, in memory of this process alone."""

    def __init__(self, mapping: mmap.mmap | None = None) -> None:
        self._slots = memoryview(bytearray(_SIZE) if mapping is None else mapping).cast("Q")

    def stamp(self, asset_id: str) -> int:
        """What an asset's state is known by from before it is read: unlike all others while a change is under way."""
        return self._slots[_slot(asset_id)] or _fresh()

    def changing(self, of: str | None) -> None:
        """A change of that asset (or EVERYTHING; None: of none) is to be committed: `changed` follows, whatever happens."""
        self._fill(of, _UNDER_WAY)

    def changed(self, of: str | None) -> None:
        """That asset (or EVERYTHING; None: none) may be another by now."""
        self._fill(of, _fresh())

    def close(self) -> None:
        """Let go of the mapping; from here on nothing that was read holds."""
        self._slots.release()
        self._slots = memoryview(bytearray(_SIZE)).cast("Q")

    def _fill(self, of: str | None, value: int) -> None:
        if of == EVERYTHING:
            self._slots.cast("B")[:] = value.to_bytes(_SLOT_BYTES, "little") * SLOTS
        elif of is not None:
            self._slots[_slot(of)] = value


@contextmanager
def open_generations(directory: Path | None) -> Iterator[Generations]:
    """Those of the catalog in a directory, shared by all processes that open it; None: of this process alone.

    Raises errors.StorageFull, errors.CatalogUnavailable.
    """
    if directory is None:
        yield Generations()
        return
    try:
        with no_room_is_storage_full():
            mapping = _mapped(directory / GENERATIONS_FILE)
    except OSError as error:
        raise errors.CatalogUnavailable(f"{error.filename} cannot be used: {error.strerror}.") from error
    with mapping:
        generations = Generations(mapping)
        # Who was here before may have been killed amid a change, or a backup was put in place of the catalog.
        generations.changed(EVERYTHING)
        try:
            yield generations
        finally:
            generations.close()


def _mapped(path: Path) -> mmap.mmap:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if os.fstat(fd).st_size < _SIZE:
            # All of it is written, as SQLite does with its own: a write to a hole of a mapping kills on a full disk.
            write_all(fd, memoryview(bytes(_SIZE)), 0)
        return mmap.mmap(fd, _SIZE)
    finally:
        os.close(fd)


def _slot(asset_id: str) -> int:
    # The same in all processes, which hash() is not.
    return crc32(asset_id.encode(errors="surrogatepass")) % SLOTS


def _fresh() -> int:
    return int.from_bytes(os.urandom(_SLOT_BYTES)) | 1  # never _UNDER_WAY
