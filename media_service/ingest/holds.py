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
from time import monotonic, time
from types import TracebackType
from typing import Self

from media_service.errors import (
    Busy,
    MediaServiceError,
    OffsetMismatch,
    ShuttingDown,
    StorageFull,
    UploadTakenOver,
)
from media_service.store.catalog import Catalog
from media_service.store.disk import to_its_end
from media_service.store.records import Upload, UploadChanges
from media_service.store.uploads import HoldLost

# A client that resumes after a crash waits for what is left of the lease: issue 4 wants that within 5 s.
LEASE_SECONDS = 4.0
RENEW_SECONDS = 1.0  # three may be late before the lease is lost
# How long a newcomer waits for a holder to leave: its lease, and the sync of what it has received.
PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.1  # of a holder in another server: the catalog sends no event
# How long a holder in another server may be silent before one whose bytes begin where its bytes end asks it to leave: it
# tells how far it is with each renewal.
SILENCE_SECONDS = 2.5

TAKEN_OVER = UploadTakenOver("Another request for this upload has come; what this one sent before is kept.")


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time() * 1000)


class Holding:
    """The right to write to one upload, an async context manager; `upload` is its record, as committed.

    `received` is how far its bytes have come, durable or not; whoever writes keeps it up to date. `committed` is how far
    clients may be told. `asked` is set when the holder shall leave, and `leave` says why.
    """

    def __init__(self, holds: Holds, catalog: Catalog, upload: Upload, token: str) -> None:
        self.upload = upload
        self.received = upload.offset
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.leave: MediaServiceError = TAKEN_OVER
        self._holds = holds
        self._catalog = catalog
        self._token = token
        self.committed = upload.offset
        self._durable = upload.offset
        self._ended = False
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew(), name=f"holding {self.upload.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await to_its_end(self._end())
        finally:
            self._holds.ended(self)

    @property
    def lost(self) -> bool:
        """The right is somebody else's by now, or was given back."""
        return self._ended

    def ask(self, reason: MediaServiceError = TAKEN_OVER) -> None:
        """Ask the holder to commit what it has and to leave, for `reason`; the first one counts."""
        if not self.asked.is_set():
            self.leave = reason
            self.asked.set()

    async def commit(self, changes: UploadChanges) -> None:
        """Change the upload and hold it on; its `offset` counts durable bytes. Raises UploadTakenOver when the lease was lost."""
        self._durable = changes.get("offset", self._durable)  # before a renewal tells of less
        try:
            self.upload = await self._catalog.set_upload(self.upload.id, self._token, **changes)
        except HoldLost:
            raise self._lost() from None
        self.committed = self.upload.offset

    def synced(self, offset: int) -> None:
        """The first `offset` bytes are durable: the next renewal says so."""
        self._durable = offset

    async def release(self, changes: UploadChanges | None = None) -> None:
        """Give the right back, with the last changes. Raises UploadTakenOver when the lease was lost."""
        last: UploadChanges = {"offset": self._durable}
        if changes is not None:
            last |= changes
        try:
            self.upload = await self._catalog.release_upload(self.upload.id, self._token, **last)
        except HoldLost:
            raise self._lost() from None
        finally:
            self._ended = True

    async def delete(self) -> None:
        """Delete the upload's record, and the hold with it. Raises UploadTakenOver when the lease was lost."""
        try:
            await self._catalog.delete_upload(self.upload.id, self._token)
        except HoldLost:
            raise self._lost() from None
        finally:
            self._ended = True

    async def _end(self) -> None:
        assert self._renewing is not None
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        if not self._ended:
            with suppress(MediaServiceError):  # the lease ends by itself
                await self.release()

    def _lost(self) -> UploadTakenOver:
        self._ended = True
        return UploadTakenOver("The right to write to this upload went to another server.")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            offset = self._durable
            try:
                wanted = await self._catalog.renew_hold(
                    self.upload.id,
                    self._token,
                    until=now_ms() + int(LEASE_SECONDS * 1000),
                    offset=offset,
                    expires_at=self._holds.expiry(),
                )
            except HoldLost:
                self._ended = True
                self.ask()
                return
            except MediaServiceError:
                continue  # a catalog that is busy for a moment: the lease lasts longer than that
            self.committed = offset
            if wanted:
                self.ask()


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

    def here(self, upload_id: str) -> Holding | None:
        """Who writes to the upload in this very server."""
        return self._here.get(upload_id)

    def ended(self, holding: Holding) -> None:
        """To be called by the holding alone."""
        del self._here[holding.upload.id]
        holding.gone.set()

    def stop(self) -> None:
        """The service stops: all who receive shall commit and leave, and nobody begins any more."""
        self._stopping = True
        for holding in self._here.values():
            holding.ask(ShuttingDown("The service is stopping; what was sent is kept, go on in a moment."))

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
                    holding = self._here[upload_id] = Holding(self, self._catalog, upload, token)
                    if self._stopping:
                        holding.ask(ShuttingDown("The service is stopping; go on in a moment."))
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

    def _settled(self, upload: Upload) -> bool:
        """Nobody adds bytes to it: it is whole, or nobody holds it."""
        if upload.complete or upload.state != "open":
            return True
        return upload.id not in self._here and (upload.holder is None or upload.held_until <= now_ms())

    async def _hold(self, upload_id: str, owner: str | None, token: str, *, ask: bool) -> Upload | None:
        moment = now_ms()
        until = moment + int(LEASE_SECONDS * 1000)
        try:
            return await self._catalog.hold_upload(upload_id, owner, token, now=moment, until=until, ask=ask)
        except asyncio.CancelledError:
            # It may have been taken all the same, and nobody is left to give it back.
            with suppress(HoldLost, MediaServiceError):
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


@asynccontextmanager
async def _patience(upload_id: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield
    except TimeoutError:
        raise Busy(f"The upload {upload_id} is being written to, and its holder does not leave.") from None
