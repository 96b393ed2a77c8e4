"""The right to write to an upload while somebody has it: a lease that is renewed, and given back however the holder ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from media_service.errors import MediaServiceError, UploadTakenOver
from media_service.store.catalog import Catalog
from media_service.store.disk import to_its_end
from media_service.store.instants import now_ms
from media_service.store.records import Upload, UploadChanges
from media_service.store.uploads import HoldLost

# A client that resumes after a crash waits for what is left of the lease: issue 4 wants that within 5 s.
LEASE_SECONDS = 4.0
RENEW_SECONDS = 1.0  # three may be late before the lease is lost

TAKEN_OVER = UploadTakenOver("Another request for this upload has come; ask how far it is.")


def lease_end(begin: int) -> int:
    """When a lease that begins then is over, in Unix milliseconds."""
    return begin + int(LEASE_SECONDS * 1000)


class Holding:
    """The right to write to one upload, an async context manager; `upload` is its record, as committed.

    `received` is how far its bytes have come, durable or not; whoever writes keeps it up to date. `committed` is how far
    clients may be told. `asked` is set when the holder shall leave, and `leave` says why; `gone` when it has left.

    `token` is its own in the catalog; `expiry()` is when that expires of which a byte comes now, in Unix milliseconds;
    `ended` is called last.
    """

    def __init__(
        self,
        catalog: Catalog,
        upload: Upload,
        token: str,
        *,
        expiry: Callable[[], int],
        ended: Callable[[Holding], None],
    ) -> None:
        self.upload = upload
        self.received = upload.offset
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.leave: MediaServiceError = TAKEN_OVER
        self.committed = upload.offset
        self._catalog = catalog
        self._token = token
        self._expiry = expiry
        self._tell_ended = ended
        self._durable = upload.offset
        self._noticed = upload.offset
        self._kept_until = 0
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
            self._tell_ended(self)
            self.gone.set()

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
        last: UploadChanges = {"offset": self._durable, "expires_at": self._expires_at()}
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

    def _expires_at(self) -> int:
        """Bytes put it off. A hold alone does not: what can never be finished, and is tried again and again, ends as well."""
        if self.received != self._noticed:
            self._noticed, self._kept_until = self.received, self._expiry()
        return max(self._kept_until, self.upload.expires_at)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            offset = self._durable
            try:
                wanted = await self._catalog.renew_hold(
                    self.upload.id,
                    self._token,
                    until=lease_end(now_ms()),
                    offset=offset,
                    expires_at=self._expires_at(),
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
