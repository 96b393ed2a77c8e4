"""What was opened for a player and is asked for again, by the address that it has: ready to be sent without another look.

A player asks for a film in hundreds of ranges, and a segment is asked for by all who watch. Whether they may have it, and
what it is, was found out for the first of them. That holds for everybody with the same address (a token is a part of it), for
as long as nothing of the asset has changed (store.generations) and the token's time lasts.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import time
from typing import NamedTuple

from media_service.playback.access import Access
from media_service.playback.kept import held_bytes
from media_service.store.blobs import BlobStore
from media_service.store.generations import Generations
from media_service.store.shared_blobs import SharedBlobs, SharedReader
from media_service.wire.delivery import Answers, Headers
from media_service.wire.representation import Representation

# A thousand viewers with a token each, or the segments of a few films that are watched by many.
MOST_OPENED = 4096
MOST_BYTES = 64 << 20
MOST_ADDRESS_BYTES = 2048  # of a path with its query; a token has some hundred
ENTRY_BYTES = 4096  # of each, besides what its representation holds
SWEEP_SECONDS = 1.0
IDLE_SWEEPS = 60

Address = tuple[bytes, bytes]  # path and query, as they were sent


class Completion(NamedTuple):
    """The headers that complete those of a handler, and all that never change of an answer as lines of its head."""

    headers: Headers
    prepared: bytes


class Opened:
    """A representation as it is sent to whoever asks at one address. `headers` are the handler's, `access` the first asker's.

    `completions` is the web layer's: what else is sent with all of `answers`, by the origin that may read them.
    """

    __slots__ = (
        "_access",
        "_answers",
        "_second",
        "asset_id",
        "completions",
        "headers",
        "held",
        "representation",
        "stamp",
        "swept",
    )

    def __init__(
        self, asset_id: str, stamp: int, access: Access, representation: Representation, headers: Headers
    ) -> None:
        self.asset_id = asset_id
        self.stamp = stamp
        self.headers = headers
        self.representation = representation
        self.completions: dict[str | None, Completion] = {}
        self.held = 0
        self.swept = 0
        self._access = access
        self._second = 0
        self._answers: Answers | None = None

    def answers(self) -> Answers | None:
        """The answers to requests of now; None when this is not the token's time."""
        token = self._access.token
        if token is None:
            if self._answers is None:
                self._answers = Answers(self.representation)
            return self._answers
        now = time()
        if now >= token.expires_at or (token.not_before is not None and now < token.not_before):
            return None
        if self._answers is None or int(now) != self._second:
            # What a cache may keep, it may keep for a second less than a second ago.
            self._second = int(now)
            self.completions.clear()
            headers = self._access.headers(self.representation.headers, now)
            self._answers = Answers(self.representation, headers)
        return self._answers


class OpenedRepresentations:
    """Those asked for last, up to MOST_OPENED and MOST_BYTES of memory, and the blobs that are open for them."""

    def __init__(self, generations: Generations, blobs: BlobStore) -> None:
        self._generations = generations
        self.blobs = SharedBlobs(blobs, generations)
        self._opened: OrderedDict[Address, Opened] = OrderedDict()
        self._held = 0
        self._sweeps = 0

    def __len__(self) -> int:
        return len(self._opened)

    def get(self, address: Address) -> Opened | None:
        """What is there at that address, if that is known and has not changed since."""
        found = self._opened.get(address)
        if found is None:
            return None
        if self._generations.stamp(found.asset_id) != found.stamp:
            self.drop(address)
            return None
        self._opened.move_to_end(address)
        found.swept = self._sweeps
        return found

    def opening(self, address: Address, asset_id: str) -> Opening:
        """To be asked for before anything is read of the asset for a request at that address."""
        return Opening(self, address, asset_id, self._generations.stamp(asset_id))

    def keep(self, address: Address, opened: Opened) -> None:
        """Keep it, in place of those that were not asked for for longest."""
        if not _is_asked_again(address[1]):
            return
        held = ENTRY_BYTES + len(address[0]) + len(address[1]) + held_bytes(opened.representation)
        if held > MOST_BYTES // 2 or len(address[0]) + len(address[1]) > MOST_ADDRESS_BYTES:
            return
        self.drop(address)
        opened.held, opened.swept = held, self._sweeps
        self._opened[address] = opened
        self._held += held
        while len(self._opened) > MOST_OPENED or self._held > MOST_BYTES:
            self.drop(next(iter(self._opened)))

    def drop(self, address: Address) -> None:
        """Forget what is there."""
        if (dropped := self._opened.pop(address, None)) is not None:
            self._held -= dropped.held

    async def sweep(self) -> None:
        """Let go of what has changed, also where nobody asks any more, and of what nobody has asked for for a while."""
        self._sweeps += 1
        oldest = self._sweeps - IDLE_SWEEPS
        stamps: dict[str, int] = {}  # thousands of segments are of few films
        for address, opened in list(self._opened.items()):
            if (stamp := stamps.get(opened.asset_id)) is None:
                stamp = stamps[opened.asset_id] = self._generations.stamp(opened.asset_id)
            if opened.swept <= oldest or stamp != opened.stamp:
                self.drop(address)
        await self.blobs.sweep()

    async def close(self) -> None:
        """Forget all."""
        self._opened.clear()
        self._held = 0
        await self.blobs.close()


class Opening:
    """A request that nothing is known for yet, and what its asset was known by before anybody looked at it."""

    __slots__ = ("_address", "_all", "asset_id", "stamp")

    def __init__(self, opened: OpenedRepresentations, address: Address, asset_id: str, stamp: int) -> None:
        self._all = opened
        self._address = address
        self.asset_id = asset_id
        self.stamp = stamp

    def keep(self, access: Access, representation: Representation, headers: Headers) -> Opened:
        """What the request has found, for those to come."""
        opened = Opened(self.asset_id, self.stamp, access, representation, headers)
        self._all.keep(self._address, opened)
        return opened

    async def open(self, key: str) -> SharedReader:
        """A blob of the asset, which others may have open already. Raises errors.NotFound."""
        return await self._all.blobs.open(key, self.asset_id, self.stamp)


@asynccontextmanager
async def open_representations(
    generations: Generations, blobs: BlobStore
) -> AsyncIterator[OpenedRepresentations]:
    """An empty cache, which is swept each second until it is closed."""
    opened = OpenedRepresentations(generations, blobs)
    sweeping = asyncio.create_task(_sweep(opened), name="sweep of opened representations")
    try:
        yield opened
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping
        await opened.close()


def _is_asked_again(query: bytes) -> bool:
    """Whether lists of ours name it, with a version at most: what else clients add (`?1`, `?2`) is mostly new each time, and
    would be in the place of what everybody watches.
    """
    return not query or (query.startswith(b"v=") and b"&" not in query)


async def _sweep(opened: OpenedRepresentations) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await opened.sweep()
