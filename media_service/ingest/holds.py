"""Who may write to an upload: one request at a time, whichever server it came to.

The right to write is a lease in the catalog, renewed while it is used together with the offset that is durable. Whoever
wants it asks the holder to leave, and gets it as soon as the holder has committed what it received; a holder that died is
forgotten with its lease. Nobody is locked out by a connection that is dead and does not know it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

from media_service.errors import (
    Busy,
    MediaServiceError,
    OffsetMismatch,
    ShuttingDown,
    StorageFull,
)
from media_service.ingest.holding import Holding, lease_end
from media_service.store.catalog import Catalog
from media_service.store.disk import to_its_end
from media_service.store.instants import now_ms
from media_service.store.records import Upload
from media_service.store.uploads import HoldLost

# How long a newcomer waits for a holder to leave: its lease, and the sync of what it has received.
PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.1  # of a holder in another server: the catalog sends no event
# How long a holder in another server may be silent before one whose bytes begin where its bytes end asks it to leave: it
# tells how far it is with each renewal.
SILENCE_SECONDS = 2.5


class Holds:
    """The holdings of this server. `expires_seconds` is how long an upload is kept after it was last touched."""

    def __init__(self, catalog: Catalog, *, expires_seconds: int) -> None:
        self._catalog = catalog
        self._expires_ms = expires_seconds * 1000
        self._here: dict[str, Holding] = {}
        self._stopping = False

    def expiry(self) -> int:
        """When an upload that is touched now expires, in Unix milliseconds."""
        return now_ms() + self._expires_ms

    def stop(self) -> None:
        """The service stops: all who receive shall commit and leave, and nobody begins any more."""
        self._stopping = True
        for holding in self._here.values():
            holding.ask(_stopping())

    async def take(self, upload_id: str, owner: str | None, *, at: int | None = None) -> Holding:
        """The right to write to an upload, once who has it has left. Raises NotFound, Busy when that takes too long.

        Who begins `at` an offset that is not where the holder's bytes end disturbs nobody, and gets OffsetMismatch: of two
        that begin at one offset, the one wins whose bytes came first.
        """
        token = secrets.token_hex(16)
        began = monotonic()
        async with _patience(upload_id):
            while True:
                await self._ask(upload_id, at)
                urgent = at is None or monotonic() - began > SILENCE_SECONDS
                upload = await self._hold(upload_id, owner, token, ask=urgent)
                if upload is not None:
                    holding = Holding(self._catalog, upload, token, expiry=self.expiry, ended=self._forget)
                    self._here[upload_id] = holding
                    if self._stopping:
                        holding.ask(_stopping())
                    return holding
                if (
                    at is not None
                    and (committed := (await self._catalog.upload(upload_id, owner)).offset) != at
                ):
                    raise mismatch(committed, at)
                await asyncio.sleep(POLL_SECONDS)

    async def vacate(self, upload_id: str, owner: str | None) -> Upload:
        """The record of an upload that nobody writes to any more: its offset can be relied on. Raises NotFound, Busy."""
        async with _patience(upload_id):
            while True:
                upload = await self._catalog.upload(upload_id, owner)
                if self._settled(upload):
                    return upload
                try:
                    async with await self.take(upload_id, owner) as holding:
                        return holding.upload
                except StorageFull:
                    # On a full disk nobody can give a lease back, nor renew it: it runs out. A client that was told 507
                    # here would begin the whole upload anew (tus-js-client does).
                    await asyncio.sleep(POLL_SECONDS)

    def _forget(self, holding: Holding) -> None:
        del self._here[holding.upload.id]

    def _settled(self, upload: Upload) -> bool:
        """Nobody adds bytes to it: it is whole, or nobody holds it."""
        if upload.complete or upload.state != "open":
            return True
        return upload.id not in self._here and (upload.holder is None or upload.held_until <= now_ms())

    async def _hold(self, upload_id: str, owner: str | None, token: str, *, ask: bool) -> Upload | None:
        moment = now_ms()
        try:
            return await self._catalog.hold_upload(
                upload_id, owner, token, now=moment, until=lease_end(moment), ask=ask
            )
        except asyncio.CancelledError:
            # It may have been taken all the same, and nobody is left to give it back.
            # RuntimeError: the service stops, and its catalog is closed; the lease ends by itself.
            with suppress(HoldLost, MediaServiceError, RuntimeError):
                await to_its_end(self._catalog.release_upload(upload_id, token))
            raise

    async def _ask(self, upload_id: str, at: int | None) -> None:
        """Wait until nobody in this server holds the upload. Raises OffsetMismatch."""
        while (there := self._here.get(upload_id)) is not None:
            if at is not None and at != there.received:
                raise mismatch(there.committed, at)
            there.ask()
            await there.gone.wait()


def mismatch(expected: int, provided: int) -> OffsetMismatch:
    """The error of an append that begins elsewhere than where the bytes end."""
    return OffsetMismatch(
        f"The upload has {expected} bytes; the request begins at {provided}.",
        expected=expected,
        provided=provided,
    )


def _stopping() -> ShuttingDown:
    return ShuttingDown("The service is stopping; go on in a moment.")


@asynccontextmanager
async def _patience(upload_id: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield
    except TimeoutError:
        raise Busy(f"The upload {upload_id} is being written to, and its holder does not leave.") from None
