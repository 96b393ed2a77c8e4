"""Blobs that are open for all who read them now, and for those who come soon: opening one costs more than most of what is
read of it.

What is open here is held also when the blob has been deleted or replaced; `sweep` lets go of that, and of what nobody has
read for a while, so that neither the disk nor the descriptors are taken for long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from media_service.store.blobs import BlobReader, BlobStore
from media_service.store.generations import Generations

# Of those that nobody reads at the moment. Films that are seeked in are far fewer, and a process has 4096 descriptors or more.
MOST_IDLE = 512
IDLE_SWEEPS = 10  # `sweep` comes each second (playback.opened)


class SharedBlobs:
    """Open blobs of `store`, each as it was at a stamp of its asset in `generations`."""

    def __init__(self, store: BlobStore, generations: Generations) -> None:
        self._store = store
        self._generations = generations
        self._open: OrderedDict[str, SharedReader] = OrderedDict()
        self._sweeps = 0

    def __len__(self) -> int:
        return len(self._open)

    async def open(self, key: str, asset_id: str, stamp: int) -> SharedReader:
        """The blob, which belongs to that asset, as it was at `stamp` or later. To be closed on exit, as every reader.

        Raises errors.NotFound.
        """
        if (found := self.ready(key, stamp)) is not None:
            return found.hold()
        reader = SharedReader(await self._store.open(key), asset_id, stamp)
        # Without an await from here on: what another request has opened meanwhile is as good, and closes first.
        if self._generations.stamp(asset_id) != stamp:
            reader.kept = False
            return reader
        try:
            for other in self._put(key, reader):
                await other.let_go()
        except BaseException:
            reader.users -= 1
            raise
        reader.swept = self._sweeps
        return reader

    def ready(self, key: str, stamp: int) -> SharedReader | None:
        """The blob as it was at `stamp`, if it is open. Nobody reads it thereby: it may be closed in the loop's next turn."""
        found = self._open.get(key)
        if found is None or found.stamp != stamp:
            return None
        self._open.move_to_end(key)
        found.swept = self._sweeps
        return found

    async def sweep(self) -> None:
        """Close what is not as it was any more, and what nobody has read for IDLE_SWEEPS sweeps."""
        self._sweeps += 1
        oldest = self._sweeps - IDLE_SWEEPS
        for key, reader in list(self._open.items()):
            idle = not reader.users and reader.swept <= oldest
            if idle or self._generations.stamp(reader.asset_id) != reader.stamp:
                await self._drop(key, reader)

    async def close(self) -> None:
        """Close all that nobody reads; the rest closes when it has been read."""
        for key, reader in list(self._open.items()):
            await self._drop(key, reader)

    def _put(self, key: str, reader: SharedReader) -> list[SharedReader]:
        """Keep it; those that give way."""
        before = self._open.pop(key, None)
        self._open[key] = reader
        if before is not None:
            return [before]
        if len(self._open) > MOST_IDLE:
            for oldest, idle in self._open.items():
                if not idle.users:
                    del self._open[oldest]
                    return [idle]
        return []

    async def _drop(self, key: str, reader: SharedReader) -> None:
        if self._open.get(key) is reader:
            del self._open[key]
            await reader.let_go()


class SharedReader:
    """A `store.blobs.BlobReader` for several readers at once, each of whom leaves it on exit."""

    __slots__ = ("_reader", "asset_id", "file", "kept", "size", "stamp", "swept", "users")

    def __init__(self, reader: BlobReader, asset_id: str, stamp: int) -> None:
        self._reader = reader
        self.asset_id = asset_id
        self.stamp = stamp
        self.size = reader.size
        self.file = reader.file
        self.users = 1
        self.kept = True  # for others to come
        self.swept = 0

    @property
    def fd(self) -> int:
        """See `BlobReader.fd`."""
        return self._reader.fd

    def hold(self) -> Self:
        """One reader more, from now on until the block is left."""
        self.users += 1
        return self

    async def read(self, start: int, stop: int) -> memoryview:
        """See `BlobReader.read`."""
        return await self._reader.read(start, stop)

    async def gather(self, spans: Sequence[tuple[int, int]]) -> memoryview:
        """See `BlobReader.gather`."""
        return await self._reader.gather(spans)

    async def let_go(self) -> None:
        """Nobody else is to come: whoever leaves last closes it."""
        self.kept = False
        if not self.users:
            await self._reader.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.users -= 1
        if not self.users and not self.kept:
            await self._reader.__aexit__(kind, error, trace)
